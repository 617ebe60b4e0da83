/**
 * Address classes (Postfix's ADDRESS_CLASS_README): which domains are ours, and who exists there. Domains are compared
 * without case and without regard to the form of their labels. A relay domain stands for its subdomains too
 * (parent_domain_matches_subdomains); a domain of another class only for itself.
 */
import { didYouMean } from "../config/nearest.ts";
import type { DomainClass } from "../config/resolve.ts";
import { canonicalDomain } from "../address/index.ts";
import { ConfigError } from "../errors.ts";
import { after, isPromise, type AddressClass, type MaybePromise } from "../model/index.ts";
import {
  addressFlavour,
  domainFlavour,
  domainForms,
  isList,
  openMatchList,
  type LookupTable,
  type MatchItems,
  type MatchList,
  type TableSpec,
} from "../tables/index.ts";

export type OwnClass = Exclude<AddressClass, "default">;
export type DomainsConfig = Readonly<Partial<Record<OwnClass, DomainClass>>>;

/** A domain that tables put into several classes is of the first of these, as in Postfix's trivial-rewrite(8). */
const classOrder: readonly OwnClass[] = Object.freeze(["local", "virtualAlias", "virtualMailbox", "relay"]);

/** Who is ours: the config's domains, as words, the relay guard and routing may ask about them. */
export interface AddressBook {
  /** "default" when the domain is none of ours. Throws `TableUnavailable`. */
  classOf(domain: string): MaybePromise<AddressClass>;
  /**
   * Is the address known in its class, or an alias? A class without a recipient list knows everybody, but in `virtualAlias` only
   * aliases exist. Throws `TableUnavailable`.
   */
  isListed(address: string): MaybePromise<boolean>;
  /**
   * `5.7.1 text` when mail of this sender for the address would bounce, by a transport table or because it leads back to us; absent
   * where nothing is known of routes. Throws `TableUnavailable`.
   */
  bounceText?(address: string, sender: string): MaybePromise<string | undefined>;
  readonly recipientDelimiter: string;
}

/** With what only the generation needs to know. */
export interface OpenAddressBook extends AddressBook {
  /** The first domain that is plainly written and has mailboxes; `undefined` when none is. */
  readonly firstDomain: string | undefined;
}

export interface AddressBookOptions {
  readonly recipientDelimiter: string;
  /** Relative file names resolve from here; the current folder unless given. */
  readonly directory?: string;
  readonly openTable: (spec: TableSpec) => Promise<LookupTable>;
  /** Does a rewriter replace the address? Nobody is an alias unless given. Throws `TableUnavailable`. */
  readonly isAlias?: (address: string) => MaybePromise<boolean>;
  /** Told of domains that are in several classes. */
  readonly warn?: (message: string) => void;
}

/** Throws `ConfigError` for a domain that is written in two classes, or a recipient of a domain that is not in its class. */
export async function createAddressBook(domains: DomainsConfig, options: AddressBookOptions): Promise<OpenAddressBook> {
  const { recipientDelimiter, isAlias = () => false } = options;
  const classes: ClassList[] = [];
  const recipients = new Map<AddressClass, MatchList<string>>();
  for (const name of classOrder) {
    const given = domains[name];
    if (given === undefined) continue;
    const list = await open(`domains.${name}`, given.domains, domainFlavour(name === "relay" ? "parent" : undefined));
    classes.push({ name, list, isEmpty: list.literals.length === 0 && list.tables.length === 0 });
  }
  refuseDoubles(classes);
  for (const { name, list } of classes) {
    const given = domains[name]?.recipients;
    if (given === undefined) continue;
    const path = `domains.${name}.recipients`;
    if (name === "virtualAlias") {
      throw new ConfigError(`${path}: who exists there is said by the aliases of @postern/plugin-rewrite`);
    }
    const known = await open(path, given, addressFlavour({ recipientDelimiter, isLocal: name === "local" }));
    if (isList(given)) refuseStrangers(path, name, known, list);
    recipients.set(name, known);
  }
  const asked = classes.filter(({ isEmpty }) => !isEmpty);
  if (options.warn !== undefined) warnOfOverlaps(asked, options.warn);

  function open(path: string, items: MatchItems, flavour: ReturnType<typeof domainFlavour>) {
    const { directory = ".", openTable } = options;
    return openMatchList(items, flavour, { path, directory, openTable });
  }

  function classOf(domain: string): MaybePromise<AddressClass> {
    const plain = domain.endsWith(".") ? domain.slice(0, -1) : domain;
    return classFrom(0, plain.toLowerCase());
  }

  function classFrom(start: number, domain: string): MaybePromise<AddressClass> {
    if (domain === "") return "default";
    for (let at = start; at < asked.length; at++) {
      const { name, list } = asked[at] as ClassList;
      const matches = list.matches(domain);
      if (isPromise(matches)) return matches.then((late) => (late ? name : classFrom(at + 1, domain)));
      if (matches) return name;
    }
    return "default";
  }

  function isListed(address: string): MaybePromise<boolean> {
    const at = address.lastIndexOf("@");
    // `postmaster`, bare or in a domain of this host, is taken whatever the lists say (RFC 5321 §4.5.1).
    if (at < 0) return true;
    const isPostmaster = at === "postmaster".length && address.toLowerCase().startsWith("postmaster@");
    return after(classOf(address.slice(at + 1)), (name): MaybePromise<boolean> => {
      if (name === "default" || (name === "local" && isPostmaster)) return true;
      if (name === "virtualAlias") return isAlias(address);
      const list = recipients.get(name);
      if (list === undefined) return true;
      return after(list.matches(address), (listed) => listed || isAlias(address));
    });
  }

  return Object.freeze({ classOf, isListed, recipientDelimiter, firstDomain: firstDomain(classes) });
}

interface ClassList {
  readonly name: OwnClass;
  readonly list: MatchList<string>;
  readonly isEmpty: boolean;
}

function firstDomain(classes: readonly ClassList[]): string | undefined {
  for (const wanted of ["local", "virtualMailbox", "relay"]) {
    const [first] = classes.find(({ name }) => name === wanted)?.list.literals ?? [];
    if (first !== undefined) return canonicalDomain(first);
  }
  return undefined;
}

function refuseDoubles(classes: readonly ClassList[]): void {
  const known = new Map<string, OwnClass>();
  for (const { name, list } of classes) {
    for (const written of list.literals) {
      for (const form of domainForms(canonicalDomain(written) ?? written)) {
        const other = known.get(form);
        if (other !== undefined && other !== name) {
          throw new ConfigError(`domains.${name}: "${written}" is in domains.${other} already; a domain has one class`);
        }
        known.set(form, name);
      }
    }
  }
}

/** A recipient that is written for a domain of another class would never be asked for. */
function refuseStrangers(path: string, name: OwnClass, known: MatchList<string>, own: MatchList<string>): void {
  for (const [index, written] of known.literals.entries()) {
    const at = written.lastIndexOf("@");
    // What a table says may change; users of local domains may be named without one, as in local_recipient_maps.
    if (at < 0 || own.tables.length > 0) continue;
    const domain = canonicalDomain(written.slice(at + 1)) ?? "";
    if (own.matches(domain) !== true) {
      const hint = didYouMean(domain, own.literals);
      throw new ConfigError(`${path}[${index}]: "${domain}" is not in domains.${name}${hint}`);
    }
  }
}

/** Entries of one table that are looked at. */
const mostEntries = 10_000;

/** What lists and tables in memory have in common, said once for each domain. */
function warnOfOverlaps(classes: readonly ClassList[], warn: (message: string) => void): void {
  for (const [at, { name, list }] of classes.entries()) {
    for (const domain of provableDomains(list)) {
      const winner = classes.slice(0, at).find((earlier) => isIn(earlier.list, domain));
      if (winner === undefined) continue;
      warn(`domains.${name}: "${domain}" is in domains.${winner.name} too; it is ${winner.name}`);
    }
  }
}

function* provableDomains({ literals, tables }: MatchList<string>): Generator<string> {
  yield* literals;
  for (const table of tables) {
    let count = 0;
    for (const { key } of table.entries?.() ?? []) {
      if (++count > mostEntries) break;
      yield key.toLowerCase();
    }
  }
}

function isIn(list: MatchList<string>, domain: string): boolean {
  // A table elsewhere is not asked at the start.
  if (list.tables.some((table) => table.entries === undefined)) return false;
  return list.matches(domain) === true;
}
