/** How both databases use knex: for its pools and its drivers' care, with plain SQL. */
import type { Knex } from "knex";

const ignore = (): void => undefined;

/** knex would write to the console; what is wrong comes as an error, too. */
export const silentLog: Knex.Logger = Object.freeze({ warn: ignore, error: ignore, debug: ignore, deprecate: ignore });

/** What travels with a query beside its text; knex hands it to the driver as it is. */
export interface QueryOptions {
  readonly values: readonly string[];
  readonly rowMode: "array";
}

/** What the driver said, without the query that knex puts before it. For the log. */
export function wordsOf(error: unknown, sql: string): string {
  if (!(error instanceof Error)) return "unknown error";
  const prefix = `${sql} - `;
  const words = error.message.startsWith(prefix) ? error.message.slice(prefix.length) : error.message;
  // A host with several addresses gives an AggregateError, which has a code and no words.
  return words === "" ? ((error as NodeJS.ErrnoException).code ?? error.name) : words;
}
