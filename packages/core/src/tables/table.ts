/**
 * Lookup tables: a string key to a string value, with three results that stay apart all the way to the wire: found, not
 * found (`undefined`), could not ask (`TableUnavailable`).
 */
import type { Clock } from "../model/clock.ts";
import type { MaybePromise } from "../model/maybe-promise.ts";
import type { TableParameters, TableSpec } from "../model/table-spec.ts";

export type { TableObject, TableParameters, TableSpec } from "../model/table-spec.ts";

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

/** What the asker forbids, as Postfix does for some of its tables. Nothing unless said. */
export interface TablePurpose {
  /** The answer names files, users, transports or mailboxes: a table that a stranger could fill is refused (DICT_FLAG_NO_UNAUTH). */
  readonly trustedOnly?: boolean;
  /** `$1` in a value is a mistake: the key is a stranger's and must not reach the answer (DICT_FLAG_NO_REGSUB). */
  readonly withoutSubstitution?: boolean;
}

export interface TableScope {
  /** Folder from which relative names resolve. */
  readonly directory: string;
  readonly clock: Clock;
  readonly purpose: TablePurpose;
  /** A mistake that Postfix lets pass with a warning, a file that changed for the worse: one line for the log. */
  warn(message: string): void;
  /** Opens a table inside another, for the same purpose. */
  open(spec: TableSpec): Promise<LookupTable>;
}

/**
 * What a plugin registers. `name` is what stands after the colon, "" when an object gives none; `parameters` are the object's,
 * without `type`, `name`, `cache` and `deadline`, and empty for `type:name`. Throws `ConfigError` for a mistake of the operator.
 */
export type OpenTable = (name: string, scope: TableScope, parameters: TableParameters) => MaybePromise<LookupTable>;

export interface BuildScope {
  /** Folder from which relative names resolve. */
  readonly directory: string;
  /** A line of the source that is left out, a key that stands twice: one line for the operator. */
  warn(message: string): void;
  /** Told now and then how many entries are done. */
  progress(entries: number): void;
}

export interface BuiltTable {
  /** The file that was made, absolute; absent when the type is read from its source as it is. */
  readonly file?: string;
  readonly entries?: number;
}

/**
 * Makes the file of a table from its text source `name`, in one step: readers see the old file or the whole new one. Throws
 * `ConfigError` for a mistake of the operator, and when the type's files are made elsewhere; errors of the system as they are.
 */
export type BuildTable = (name: string, scope: BuildScope) => MaybePromise<BuiltTable>;

export interface TableType {
  readonly type: string;
  /** One sentence for `postern table list`. */
  readonly description: string;
  readonly open: OpenTable;
  /** For `postern table build`; absent for a type that has no files to make. */
  readonly build?: BuildTable;
  /** Its lookups only ask other tables, which have a breaker of their own each. */
  readonly composed?: boolean;
}
