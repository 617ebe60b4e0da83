/**
 * `senderRelayhosts` and `senderTransports` of the config: what depends on the envelope sender, asked as Postfix asks
 * sender_dependent_relayhost_maps and sender_dependent_default_transport_maps. The null sender is the key `<>`.
 */
import { after, type MaybePromise } from "../model/index.ts";
import {
  addressForms,
  addressKeys,
  findFirst,
  findInTurns,
  nullSenderKey,
  type Match,
  type TableSpec,
} from "../tables/index.ts";
import { openCheckedTables, parseMatch, type OpenTable } from "./checked-table.ts";

export interface SenderTables<T> {
  /**
   * `undefined` when no table knows the sender, or one says DUNNO. Bare local parts are keys for senders of local domains. Throws
   * `TableUnavailable`, also for a value that cannot be used.
   */
  find(sender: string, isLocal: boolean): MaybePromise<T | undefined>;
}

export interface SenderTablesOptions<T> {
  /** Key of the config, for errors. */
  readonly key: string;
  readonly recipientDelimiter: string;
  readonly openTable: OpenTable;
  /** Throws `ConfigError`, without a place, for a value that cannot be used. */
  readonly parse: (value: string) => T;
}

/** Throws `ConfigError` for a table that cannot be opened, and for the first wrong value of one that is in memory. */
export async function openSenderTables<T>(
  specs: readonly TableSpec[],
  { key, recipientDelimiter, openTable, parse }: SenderTablesOptions<T>,
): Promise<SenderTables<T>> {
  const read = (value: string): T | undefined => (isDunno(value) ? undefined : parse(value));
  const tables = await openCheckedTables(specs, key, openTable, read);

  function find(sender: string, isLocal: boolean): MaybePromise<T | undefined> {
    if (sender === "") return resultOf(findFirst(tables, [nullSenderKey]));
    const turns = addressForms(sender).map((form) => addressKeys(form, { recipientDelimiter, isLocal }));
    return resultOf(findInTurns(tables, turns));
  }

  function resultOf(match: MaybePromise<Match | undefined>): MaybePromise<T | undefined> {
    return after(match, (found) => (found === undefined ? undefined : parseMatch(found, read)));
  }

  return Object.freeze({ find });
}

/**
 * The value that says: as without these tables; no later key and no later table is asked. An empty one is no other (Postfix warns
 * and takes it for this).
 */
function isDunno(value: string): boolean {
  const bare = value.trim();
  return bare === "" || bare.toLowerCase() === "dunno";
}
