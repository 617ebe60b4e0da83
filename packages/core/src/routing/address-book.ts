/**
 * Address classes (Postfix's ADDRESS_CLASS_README): which domains are ours, and who exists there. Domains are compared
 * without case and without regard to the form of their labels; `example.test` does not stand for its subdomains.
 */
import { didYouMean } from "../config/nearest.ts";
import type { DomainClass } from "../config/resolve.ts";
import { canonicalDomain, canonicalAddress, domainToAscii, domainToUnicode } from "../address/index.ts";
import { ConfigError } from "../errors.ts";
import { after, type AddressClass, type MaybePromise } from "../model/index.ts";
import { addressKeys, findFirst, type LookupTable, type TableSpec } from "../tables/index.ts";

export type OwnClass = Exclude<AddressClass, "default">;
export type DomainsConfig = Readonly<Partial<Record<OwnClass, DomainClass>>>;

/** Who is ours: the config's domains, as words, the relay guard and routing may ask about them. */
export interface AddressBook {
  /** "default" when the domain is none of ours. Throws `TableUnavailable`. */
  classOf(domain: string): MaybePromise<AddressClass>;
  /** Is the address known in its class? A class without a recipient list knows everybody. Throws `TableUnavailable`. */
  isListed(address: string): MaybePromise<boolean>;
  readonly recipientDelimiter: string;
}

export interface AddressBookOptions {
  readonly recipientDelimiter: string;
  openTable(spec: TableSpec): Promise<LookupTable>;
}

/** Throws `ConfigError` for a domain in two classes, or a recipient of a domain that is not in its class. */
export async function createAddressBook(domains: DomainsConfig, options: AddressBookOptions): Promise<AddressBook> {
  const { recipientDelimiter } = options;
  const classes = readClasses(domains);
  const tables = new Map<AddressClass, LookupTable>();
  for (const [name, { recipients }] of Object.entries(domains) as [OwnClass, DomainClass][]) {
    if (recipients === undefined) continue;
    if (name === "virtualAlias") {
      throw new ConfigError("domains.virtualAlias.recipients has no use yet: there are no virtual aliases");
    }
    const spec = isList(recipients) ? listAsTable(name, recipients, classes) : recipients;
    tables.set(name, await openAt(`domains.${name}.recipients`, () => options.openTable(spec)));
  }

  function classOf(domain: string): AddressClass {
    const known = classes.get(domain);
    if (known !== undefined) return known;
    const ascii = domainToAscii(domain.endsWith(".") ? domain.slice(0, -1) : domain);
    return (ascii === null ? undefined : classes.get(ascii)) ?? "default";
  }

  function isListed(address: string): MaybePromise<boolean> {
    const at = address.lastIndexOf("@");
    const domain = address.slice(at + 1);
    const name = at < 0 ? "local" : classOf(domain);
    // An alias that nobody expanded is nobody.
    if (name === "virtualAlias") return false;
    const table = tables.get(name);
    // A bare `postmaster` is taken whatever the lists say (RFC 5321 §4.5.1).
    if (table === undefined || at < 0) return true;
    const order = { recipientDelimiter, isLocal: name === "local" };
    const keys = formsOf(domain).flatMap((form) => addressKeys(`${address.slice(0, at)}@${form}`, order));
    return after(findFirst([table], keys), (match) => match !== undefined);
  }

  return Object.freeze({ classOf, isListed, recipientDelimiter });
}

const isList = (recipients: NonNullable<DomainClass["recipients"]>): recipients is readonly string[] =>
  Array.isArray(recipients);

/** Every domain by each form of its labels. */
function readClasses(domains: DomainsConfig): ReadonlyMap<string, OwnClass> {
  const classes = new Map<string, OwnClass>();
  for (const [name, { domains: list }] of Object.entries(domains) as [OwnClass, DomainClass][]) {
    for (const written of list) {
      const domain = canonicalDomain(written);
      if (domain === undefined) throw new ConfigError(`domains.${name}: "${written}" is no domain`);
      for (const form of formsOf(domain)) {
        const other = classes.get(form);
        if (other !== undefined && other !== name) {
          throw new ConfigError(`domains.${name}: "${written}" is in domains.${other} already; a domain has one class`);
        }
        classes.set(form, name);
      }
    }
  }
  return classes;
}

/** The domain itself first, then its other form. */
function formsOf(domain: string): readonly string[] {
  if (domain.startsWith("[")) return [domain];
  const forms = new Set([domain, domainToAscii(domain) ?? domain, domainToUnicode(domain) ?? domain]);
  return [...forms];
}

function listAsTable(
  name: OwnClass,
  recipients: readonly string[],
  classes: ReadonlyMap<string, OwnClass>,
): Readonly<Record<string, string>> {
  return Object.fromEntries(recipients.map((written, index) => [checkRecipient(written, index), "listed"]));

  function checkRecipient(written: string, index: number): string {
    const path = `domains.${name}.recipients[${index}]`;
    // Users of local domains may be named without one, as in local_recipient_maps.
    if (name === "local" && !written.includes("@")) return written;
    const everybody = written.startsWith("@");
    const address = canonicalAddress(everybody ? `x${written}` : written, { smtputf8: true });
    if (address === undefined) throw new ConfigError(`${path}: "${written}" is no address`);
    const domain = address.slice(address.lastIndexOf("@") + 1);
    if (classes.get(domain) !== name) {
      const own = [...classes].filter(([, other]) => other === name).map(([known]) => known);
      throw new ConfigError(`${path}: "${domain}" is not in domains.${name}${didYouMean(domain, own)}`);
    }
    return everybody ? address.slice(1) : address;
  }
}

async function openAt(path: string, open: () => Promise<LookupTable>): Promise<LookupTable> {
  try {
    return await open();
  } catch (error) {
    if (error instanceof ConfigError) throw new ConfigError(`${path}: ${error.message}`, { cause: error });
    throw error;
  }
}
