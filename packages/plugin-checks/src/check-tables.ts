/** The tables of one kind of line, asked in order; values that are wrong are told before any mail where that can be known. */
import {
  after,
  checkEntries,
  ConfigError,
  describeEntry,
  findFirst,
  ScannerFailure,
  TableUnavailable,
  type MaybePromise,
  type UsedTable,
} from "@postern/core";
import { parseAction, type Action, type Place } from "./action.ts";

/** Actions kept read: a table has many keys and few values. */
const mostRead = 500;

export class CheckTables {
  readonly name: string;
  readonly place: Place;
  readonly #tables: readonly UsedTable[];
  readonly #read = new Map<string, Action>();

  constructor(name: string, place: Place, tables: readonly UsedTable[]) {
    this.name = name;
    this.place = place;
    this.#tables = tables;
  }

  get empty(): boolean {
    return this.#tables.length === 0;
  }

  /** `undefined`: no table knows the line. Throws `ScannerFailure` when one cannot be asked, or says what is no action. */
  ask(line: string): MaybePromise<Action | undefined> {
    let found;
    try {
      found = findFirst(this.#tables, [line]);
    } catch (error) {
      throw this.#failure(error);
    }
    return after(
      found instanceof Promise ? found.catch((error: unknown) => Promise.reject(this.#failure(error))) : found,
      (match) => (match === undefined ? undefined : this.#action(match.value)),
    );
  }

  /** Rejects with `ConfigError` for the first wrong value of a table in memory. */
  async check(): Promise<void> {
    for (const table of this.#tables) {
      await checkEntries(table, (entry) => {
        // What a pattern puts into its value is known when it is asked.
        if (entry.value.includes("$")) return;
        try {
          parseAction(entry.value, this.place);
        } catch (error) {
          throw new ConfigError(`${this.name}: ${describeEntry(table, entry)}: ${(error as Error).message}`);
        }
      });
    }
  }

  #action(value: string): Action {
    const known = this.#read.get(value);
    if (known !== undefined) return known;
    const action = this.#parse(value);
    if (this.#read.size >= mostRead) this.#read.delete(this.#read.keys().next().value ?? "");
    this.#read.set(value, action);
    return action;
  }

  #parse(value: string): Action {
    try {
      return parseAction(value, this.place);
    } catch (error) {
      throw new ScannerFailure("error", `${this.name}: ${(error as Error).message}`, { cause: error });
    }
  }

  /** A pattern that one line takes too long for says nothing about the table, nor about other mail. */
  #failure(error: unknown): ScannerFailure {
    const reason = !(error instanceof TableUnavailable) ? "error" : error.onlyThisKey ? "unscannable" : "down";
    return new ScannerFailure(reason, `${this.name}: ${(error as Error).message}`, { cause: error });
  }
}
