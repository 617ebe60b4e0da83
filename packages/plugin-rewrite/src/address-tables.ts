/** The tables of one kind, asked for an address in Postfix's order (mail_addr_find), and what they say of it (mail_addr_map). */
import {
  addressForms,
  addressKeys,
  after,
  checkEntries,
  ConfigError,
  describeEntry,
  findFirst,
  splitExtension,
  TableUnavailable,
  unmatchedExtension,
  withExtension,
  type AddressPlace,
  type GatewayAddresses,
  type MaybePromise,
  type RewriteTrace,
  type UsedTable,
} from "@postern/core";
import { formOf, type FormOptions } from "./address-form.ts";
import { parseAliasValue } from "./alias-value.ts";

export interface AddressTablesScope {
  readonly recipientDelimiter: string;
  readonly addresses: GatewayAddresses;
  readonly appendDomain?: string | undefined;
  /** For the operator. */
  readonly warn: (text: string) => void;
}

/** Loops of a table that are told of, one line each; an address may be a stranger's. */
const mostWarnings = 20;

export interface AddressTablesOptions extends AddressTablesScope {
  /** For steps and messages: `canonical`, `virtual`, … */
  readonly name: string;
  readonly tables: readonly UsedTable[];
  /** An extension that no key matched goes to what stands in the address's place. */
  readonly propagates: boolean;
}

/** Who wants to know of a step, and where the address stands. */
export interface TraceAt {
  readonly place: AddressPlace;
  readonly trace: RewriteTrace | undefined;
}

interface Found {
  readonly table: Omit<UsedTable, "lookup">;
  readonly key: string;
  readonly value: string;
  /** The address that was asked for, by the form of its domain that was found. */
  readonly form: string;
}

export interface AddressTables {
  readonly name: string;
  /** Is there an entry? Throws `TableUnavailable`, as the others do. */
  has(address: string): MaybePromise<boolean>;
  /** The value as it stands. */
  value(address: string): MaybePromise<string | undefined>;
  /** The addresses in its place, canonical; `undefined` when there is no entry. */
  replace(address: string, at: TraceAt): MaybePromise<readonly string[] | undefined>;
  /** Tells the operator that the address becomes another one again and again. */
  neverSettled(address: string): void;
  /** Rejects with `ConfigError` for the first value in memory that is no list of addresses, or of more than `most`. */
  check(most?: number): Promise<void>;
}

export function createAddressTables(options: AddressTablesOptions): AddressTables {
  const { name, tables, propagates, recipientDelimiter, addresses, appendDomain, warn } = options;
  const warned = new Set<string>();

  function find(address: string): MaybePromise<Found | undefined> {
    const at = address.lastIndexOf("@");
    // Without a domain it is nobody's but ours.
    if (at < 0 || address.endsWith('"')) return findForm([address], 0, false);
    return after(isLocal(address.slice(at + 1)), (local) => findForm(addressForms(address), 0, local));
  }

  function isLocal(domain: string): MaybePromise<boolean> {
    if (domain === addresses.origin) return true;
    return after(addresses.classOf(domain), (known) => known === "local");
  }

  function findForm(forms: readonly string[], at: number, local: boolean): MaybePromise<Found | undefined> {
    const form = forms[at];
    if (form === undefined) return undefined;
    const keys = addressKeys(form, { recipientDelimiter, isLocal: local });
    return after(findFirst(tables, keys), (match) =>
      match === undefined ? findForm(forms, at + 1, local) : { ...match, form },
    );
  }

  function targetsOf({ table, key, value, form }: Found): readonly string[] {
    const extension = unmatchedExtension(form, key, recipientDelimiter);
    const read: FormOptions = { origin: addresses.origin, domain: appendDomain };
    const targets = parseAliasValue(value, userOf(form, extension), (written) => formOf(written, read));
    if ("wrong" in targets) throw new TableUnavailable(`${table.type}:${table.name}`, `key "${key}": ${targets.wrong}`);
    return propagates ? targets.map((target) => withExtension(target, extension)) : targets;
  }

  /** The local part as it stands in the address, without an extension that no key matched. */
  function userOf(address: string, extension: string): string {
    const at = address.lastIndexOf("@");
    const user = at < 0 ? address : address.slice(0, at);
    if (extension === "") return user;
    // The first delimiter begins it, and none of them needs quoting before it but within quotes.
    return splitExtension(user, recipientDelimiter).localPart + (user.endsWith('"') ? '"' : "");
  }

  function tell({ table, key }: Found, before: string, targets: readonly string[], { place, trace }: TraceAt): void {
    if (trace === undefined) return;
    const { file, line } = table.locate?.(key) ?? {};
    trace({
      name,
      place,
      before,
      after: targets,
      table: `${table.type}:${table.name}`,
      key,
      ...(file === undefined ? {} : { file }),
      ...(line === undefined ? {} : { line }),
    });
  }

  return Object.freeze({
    name,
    has: (address: string) => after(find(address), (found) => found !== undefined),
    value: (address: string) => after(find(address), (found) => found?.value),
    replace: (address: string, at: TraceAt) =>
      after(find(address), (found) => {
        if (found === undefined) return undefined;
        const targets = targetsOf(found);
        tell(found, address, targets, at);
        return targets;
      }),
    neverSettled(address: string) {
      if (warned.size >= mostWarnings || warned.has(address)) return;
      warned.add(address);
      warn(`${name}: ${address.slice(0, 300)} becomes another address again and again`);
    },
    async check(most = Number.POSITIVE_INFINITY) {
      const read = (written: string): string | undefined => formOf(written, { origin: "origin.invalid" });
      for (const table of tables) {
        await checkEntries(table, (entry) => {
          const targets = parseAliasValue(entry.value, "user", read);
          const wrong = "wrong" in targets ? targets.wrong : tooMany(targets.length, most);
          if (wrong === undefined) return;
          throw new ConfigError(`${name}: ${describeEntry(table, entry)}: ${wrong}`);
        });
      }
    },
  });
}

function tooMany(count: number, most: number): string | undefined {
  return count > most ? `it names ${count} addresses, and one is wanted` : undefined;
}
