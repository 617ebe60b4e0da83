/** How a table is named wherever one is meant: in a config, in a policy, by a plugin. */

/** Parameters of a table that is written as an object: `hosts`, `query`, `result_format`. */
export type TableParameters = Readonly<Record<string, unknown>>;

/** A table with its parameters in the config: `{ "type": "mysql", "hosts": "127.0.0.1", "query": "…" }`. */
export interface TableObject extends TableParameters {
  readonly type: string;
  /** What would stand after the colon: `{ "type": "mysql", "name": "./aliases.cf", "cache": … }`. */
  readonly name?: string;
  /** Answers are kept this long, found or not; none unless said. `entries` bounds their number. */
  readonly cache?: { readonly ttl: string; readonly entries?: number };
  /** The longest that one lookup may take, `"5s"`; the plugin's deadline unless said. */
  readonly deadline?: string;
}

/** `type:name`, an object with a `type`, or an object of key → value. */
export type TableSpec = string | TableObject | Readonly<Record<string, string>>;
