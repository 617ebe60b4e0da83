/** One question to a table, and how it was answered: which keys were tried, where, and what each cost. */
import { findFirst, isPromise, type LookupObserver, type LookupTable, type MaybePromise } from "@postern/core";

export type Result = "found" | "notFound" | "unavailable";

/** A lookup inside a table of tables. */
export interface InnerStep {
  readonly table: string;
  readonly key: string;
  readonly result: Result;
}

export interface Step extends InnerStep {
  readonly value?: string;
  /** Where the entry stands, when the table knows. */
  readonly file?: string;
  readonly line?: number;
  readonly costMs: number;
  readonly inside?: readonly InnerStep[];
}

export interface Answer {
  readonly key: string;
  readonly result: Result;
  readonly value?: string;
  /** Why it could not be asked. */
  readonly error?: string;
  readonly steps?: readonly Step[];
}

/** Searches of their own, one after another; each begins with a whole key. */
export type Turns = readonly (readonly string[])[];

/** Never throws: what goes wrong is an answer. */
export function answerFrom(
  table: LookupTable,
  key: string,
  turnsOf: (key: string) => MaybePromise<Turns>,
): MaybePromise<Answer> {
  try {
    const turns = turnsOf(key);
    const value = isPromise(turns) ? turns.then((late) => search(table, late, 0)) : search(table, turns, 0);
    if (!isPromise(value)) return foundOrNot(key, value);
    return value.then(
      (late) => foundOrNot(key, late),
      (error: unknown) => unavailable(key, error),
    );
  } catch (error) {
    return unavailable(key, error);
  }
}

function search(table: Asked, turns: Turns, at: number): MaybePromise<string | undefined> {
  for (let turn = at; turn < turns.length; turn += 1) {
    const match = findFirst([table], turns[turn] ?? []);
    if (isPromise(match)) {
      return match.then((late) => (late === undefined ? search(table, turns, turn + 1) : late.value));
    }
    if (match !== undefined) return match.value;
  }
  return undefined;
}

type Asked = Pick<LookupTable, "type" | "name" | "kind" | "trusted" | "lookup">;

function foundOrNot(key: string, value: string | undefined): Answer {
  return value === undefined ? { key, result: "notFound" } : { key, result: "found", value };
}

function unavailable(key: string, error: unknown): Answer {
  return { key, result: "unavailable", error: whyUnavailable(error) };
}

/** Where the gateway only knows that no answer came, what came instead. */
export function whyUnavailable(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { message, cause } = error;
  return message.endsWith(": no answer") && cause instanceof Error ? `${message} (${cause.message})` : message;
}

/** Writes down every lookup; one question at a time, so that what happens inside belongs to it. */
export class Recorder implements LookupObserver {
  readonly tapped = true;
  #inside: InnerStep[] = [];

  /** Told when a lookup is done, those inside before the one that asked them. */
  call(table: string, key: string, result: Result): void {
    this.#inside.push({ table, key, result });
  }

  async explain(table: LookupTable, key: string, turnsOf: (key: string) => MaybePromise<Turns>): Promise<Answer> {
    const steps: Step[] = [];
    const { type, name, kind, trusted } = table;
    const recording: Asked = { type, name, kind, trusted, lookup: (one) => this.#step(table, one, steps) };
    const answer = await answerFrom({ ...recording, close: () => Promise.resolve() }, key, turnsOf);
    return { ...answer, steps };
  }

  async #step(table: LookupTable, key: string, steps: Step[]): Promise<string | undefined> {
    this.#inside = [];
    const label = `${table.type}:${table.name}`;
    const begun = performance.now();
    const done = (result: Result, found: Partial<Step>): void => {
      const costMs = Math.round((performance.now() - begun) * 1000) / 1000;
      // The last one is the table itself.
      const inside = this.#inside.slice(0, -1);
      steps.push({ table: label, key, result, ...found, costMs, ...(inside.length > 0 && { inside }) });
    };
    let value: string | undefined;
    try {
      value = await table.lookup(key);
    } catch (error) {
      done("unavailable", {});
      throw error;
    }
    if (value === undefined) done("notFound", {});
    else done("found", { value, ...placeOf(table, key) });
    return value;
  }
}

function placeOf(table: LookupTable, key: string): { file?: string; line?: number } {
  const { file, line } = table.locate?.(key) ?? {};
  return { ...(file !== undefined && { file }), ...(line !== undefined && { line }) };
}
