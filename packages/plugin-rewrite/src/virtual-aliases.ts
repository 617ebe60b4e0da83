/** Virtual aliases (virtual(5)): recipients replaced by those that tables name, before the message is queued. */
import { setImmediate as turn } from "node:timers/promises";
import {
  addressKeys,
  after,
  checkEntries,
  ConfigError,
  domainForms,
  findFirst,
  isPromise,
  splitExtension,
  TableUnavailable,
  unmatchedExtension,
  withExtension,
  type Envelope,
  type GatewayAddresses,
  type MaybePromise,
  type Recipient,
  type Rewriter,
  type UsedTable,
} from "@postern/core";
import { parseAliasValue } from "./alias-value.ts";
import { expandAddress } from "./expansion.ts";

export interface VirtualAliasOptions {
  readonly recipientDelimiter: string;
  readonly addresses: GatewayAddresses;
  readonly propagateExtensions: boolean;
}

export interface VirtualAliases extends Pick<Rewriter, "name" | "rewrite"> {
  isAlias(address: string): MaybePromise<boolean>;
  /** Rejects with `ConfigError` for the first wrong value of a table that is in memory. */
  check(): Promise<void>;
}

interface Found {
  readonly table: Omit<UsedTable, "lookup">;
  readonly key: string;
  readonly value: string;
  /** The address that was asked for, by the form of its domain that was found. */
  readonly form: string;
}

/** Recipients of one message whose aliases are asked for at a time. */
const atATime = 20;
/** One message cannot become a flood: an extension makes a new recipient of each member of a list. */
const mostRecipients = 100_000;
/** Addresses found in memory before others have their turn: some milliseconds. */
const addressesPerTurn = 2000;

export function createVirtualAliases(
  tables: readonly UsedTable[],
  { recipientDelimiter, addresses, propagateExtensions }: VirtualAliasOptions,
): VirtualAliases {
  function find(address: string): MaybePromise<Found | undefined> {
    const domain = address.slice(address.lastIndexOf("@") + 1);
    return after(isLocal(domain), (local) => findForm(address, domainForms(domain), 0, local));
  }

  function isLocal(domain: string): MaybePromise<boolean> {
    if (domain === addresses.origin) return true;
    return after(addresses.classOf(domain), (name) => name === "local");
  }

  function findForm(
    address: string,
    forms: readonly string[],
    at: number,
    local: boolean,
  ): MaybePromise<Found | undefined> {
    if (at === forms.length) return undefined;
    const form = at === 0 ? address : `${address.slice(0, address.lastIndexOf("@"))}@${forms[at]}`;
    const keys = addressKeys(form, { recipientDelimiter, isLocal: local });
    return after(findFirst(tables, keys), (match) =>
      match === undefined ? findForm(address, forms, at + 1, local) : { ...match, form },
    );
  }

  function lookUp(address: string): MaybePromise<readonly string[] | undefined> {
    return after(find(address), (found) => (found === undefined ? undefined : targetsOf(found)));
  }

  function targetsOf({ table, key, value, form }: Found): readonly string[] {
    const extension = unmatchedExtension(form, key, recipientDelimiter);
    const targets = parseAliasValue(value, userOf(form, extension, recipientDelimiter), addresses.origin);
    if ("wrong" in targets) throw new TableUnavailable(`${table.type}:${table.name}`, `key "${key}": ${targets.wrong}`);
    return propagateExtensions ? targets.map((target) => withExtension(target, extension)) : targets;
  }

  function rewriteFrom<E extends Envelope>(envelope: E, start: number, done: Recipient[]): MaybePromise<E> {
    const { recipients } = envelope;
    const turnAt = done.length + addressesPerTurn;
    for (let at = start; at < recipients.length; at++) {
      if (done.length >= turnAt) return turn().then(() => rewriteFrom(envelope, at, done));
      const recipient = recipients[at] as Recipient;
      const expanded = expandAddress(recipient.address, lookUp);
      if (isPromise(expanded)) return rewriteLate(envelope, at, done, expanded);
      take(recipient, expanded, done);
    }
    return done.length === recipients.length && done.every((recipient, at) => recipient === recipients[at])
      ? envelope
      : { ...envelope, recipients: done };
  }

  /** Some at a time, the first of them under way. */
  async function rewriteLate<E extends Envelope>(
    envelope: E,
    start: number,
    done: Recipient[],
    first: Promise<readonly string[]>,
  ): Promise<E> {
    const { recipients } = envelope;
    const some = recipients.slice(start, start + atATime);
    const others = some.slice(1).map(async ({ address }) => expandAddress(address, lookUp));
    const expanded = await Promise.all([first, ...others]);
    for (const [at, recipient] of some.entries()) take(recipient, expanded[at] ?? [], done);
    return rewriteFrom(envelope, start + some.length, done);
  }

  return Object.freeze({
    name: "virtual-aliases",
    rewrite: <E extends Envelope>(envelope: E) => rewriteFrom(envelope, 0, []),
    isAlias: (address: string) => after(find(address), (found) => found !== undefined),
    async check() {
      for (const table of tables) {
        await checkEntries(table, ({ file, line, key, value }) => {
          const targets = parseAliasValue(value, "user", "origin.invalid");
          if (!("wrong" in targets)) return;
          const where = file === undefined ? `table ${table.type}:${table.name}` : `${file}, line ${line ?? "?"}`;
          throw new ConfigError(`${where}, key "${key}": ${targets.wrong}`);
        });
      }
    },
  });
}

/** The local part as it stands in the address, without an extension that no key matched. */
function userOf(address: string, extension: string, recipientDelimiter: string): string {
  const user = address.slice(0, address.lastIndexOf("@"));
  if (extension === "") return user;
  // The first delimiter begins it, and none of them needs quoting before it but within quotes.
  return splitExtension(user, recipientDelimiter).localPart + (user.endsWith('"') ? '"' : "");
}

function take(recipient: Recipient, addresses: readonly string[], done: Recipient[]): void {
  if (done.length + addresses.length > mostRecipients) {
    throw new TableUnavailable("virtual aliases", `one message would have more than ${mostRecipients} recipients`);
  }
  for (const address of addresses) {
    done.push(address === recipient.address ? recipient : { ...recipient, address });
  }
}
