/**
 * Lookup tables: a string key to a string value, with three results that stay apart all the way to the wire: found, not
 * found (`undefined`), could not ask (`TableUnavailable`).
 */
import type { Clock } from "../model/clock.ts";
import type { MaybePromise } from "../model/maybe-promise.ts";

/** Why a table is asked. */
export interface LookupAsk {
  readonly signal?: AbortSignal;
}

/** Where an entry stands: for explain and for messages about wrong entries. */
export interface Located {
  readonly file?: string;
  readonly line?: number;
  readonly key: string;
  readonly value: string;
}

export interface LookupTable {
  /** "texthash". */
  readonly type: string;
  /** The name after the colon as configured, for logs. */
  readonly name: string;
  /** indexed: gets partial keys; pattern: the whole key, once. */
  readonly kind: "indexed" | "pattern";
  /** false: refused where a stranger's word could name files, users or mailboxes. */
  readonly trusted: boolean;
  /** The value, `undefined` when not found. Throws `TableUnavailable` when it could not ask. Synchronous where it can be. */
  lookup(key: string, ask?: LookupAsk): MaybePromise<string | undefined>;
  /** All entries of a table that is in memory, so that a wrong value is an error at `check`, not at night. */
  entries?(): Iterable<Located>;
  locate?(key: string): Located | undefined;
  close(): Promise<void>;
}

export interface TableScope {
  /** Folder from which relative names resolve. */
  readonly directory: string;
  readonly clock: Clock;
  /** Opens a table inside another. */
  open(spec: TableSpec): Promise<LookupTable>;
}

/** `type:name`, or an inline object of key → value. */
export type TableSpec = string | Readonly<Record<string, string>>;

/** What a table plugin registers. `open` throws `ConfigError` for a mistake of the operator. */
export interface TableType {
  readonly type: string;
  readonly description: string;
  open(name: string, scope: TableScope): MaybePromise<LookupTable>;
}
