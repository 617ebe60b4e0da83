/** What `pgsql` and `sqlite` have in common: a key becomes bound values, rows become an answer. */
import { isPromise, TableUnavailable, type AnswerRules, type LookupTable, type MaybePromise } from "@postern/core";

export interface SqlTableParts {
  readonly type: string;
  readonly name: string;
  readonly label: string;
  readonly rules: AnswerRules;
  /** The values of the query's placeholders, `undefined` when the key lacks a part. */
  readonly values: (key: string) => string[] | undefined;
  /** The values of all rows, NULL as "". Rejects with `TableUnavailable`. */
  readonly ask: (values: string[]) => Promise<readonly string[]>;
  readonly close: () => Promise<void>;
}

export function createSqlTable({ type, name, label, rules, values, ask, close }: SqlTableParts): LookupTable {
  let closed = false;

  function askDatabase(key: string): MaybePromise<string | undefined> {
    const bound = values(key);
    if (bound === undefined) return undefined;
    return ask(bound).then((found) => rules.format(found, key));
  }

  return Object.freeze({
    type,
    name,
    kind: "indexed" as const,
    trusted: true,
    lookup(key: string): MaybePromise<string | undefined> {
      if (closed) throw new TableUnavailable(label, "it is closed");
      const asks = rules.asks(key);
      if (isPromise(asks)) return asks.then((yes) => (yes ? askDatabase(key) : undefined));
      return asks ? askDatabase(key) : undefined;
    },
    close(): Promise<void> {
      if (closed) return Promise.resolve();
      closed = true;
      return close();
    },
  });
}
