/** The thread of one SQLite file: a query comes, its rows go back as text, or what is wrong. Whoever waits for it decides how long. */
import { DatabaseSync, type SQLOutputValue, type StatementSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";
import { textOf } from "./sqlite-text.ts";

export interface SqliteOrder {
  readonly filename: string;
  /** Characters of all values together. */
  readonly longest: number;
}

export interface SqliteQuestion {
  readonly sql: string;
  readonly values: readonly string[];
}

export type SqliteAnswer =
  | { readonly rows: (string | null)[][] }
  | { readonly message: string; readonly errcode: number | undefined }
  | { readonly tooLong: true };

const { filename, longest } = workerData as SqliteOrder;
/** One SQL a table; tables of one file share the thread. */
const statements = new Map<string, StatementSync>();
let database: DatabaseSync | undefined;

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- the port of a thread, no window
parentPort?.on("message", (question: SqliteQuestion) => parentPort?.postMessage(answer(question)));

function answer({ sql, values }: SqliteQuestion): SqliteAnswer {
  try {
    let statement = statements.get(sql);
    if (statement === undefined) {
      // Whoever asks waits for a lock.
      database ??= new DatabaseSync(filename, { readOnly: true, timeout: 0, allowExtension: false });
      statement = database.prepare(sql);
      statement.setReadBigInts(true);
      statement.setReturnArrays(true);
      statements.set(sql, statement);
    }
    return read(statement, values);
  } catch (error) {
    // Node gives the error of one key to the next one that the statement is asked for.
    statements.delete(sql);
    const { message = "unknown error", errcode } = error as Error & { readonly errcode?: number };
    return { message, errcode };
  }
}

function read(statement: StatementSync, values: readonly string[]): SqliteAnswer {
  const rows: (string | null)[][] = [];
  let length = 0;
  // With setReturnArrays() rows are arrays, which the types of node:sqlite do not say.
  for (const raw of statement.iterate(...values) as unknown as Iterable<readonly SQLOutputValue[]>) {
    const row = raw.map(textOf);
    for (const value of row) length += 1 + (value?.length ?? 0);
    if (length > longest) return { tooLong: true };
    rows.push(row);
  }
  return { rows };
}
