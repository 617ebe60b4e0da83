/** A table type under test: opened and asked as the gateway does, and held to the contract of `LookupTable`. */
import {
  createGuard,
  createTableRegistry,
  systemClock,
  TableUnavailable,
  type Failed,
  type LookupTable,
  type TableParameters,
  type TableType,
} from "@postern/core";
import { runCases } from "./cases.ts";
import { hostileKeys, likeness } from "./hostile-keys.ts";

export interface TableCase {
  readonly name: string;
  readonly key: string;
  /** Runs before the lookup. */
  readonly before?: () => unknown;
  /** The value; `undefined`: not found; `"unavailable"` as an object: it could not be asked. */
  readonly expect: string | undefined | { readonly unavailable: true };
}

export interface TableTest {
  /** What stands after `type:`, or the parameters of an object, `name` among them. */
  readonly open: string | TableParameters;
  readonly directory?: string;
  /** For one lookup, and for closing. */
  readonly deadlineMs?: number;
  readonly cases: readonly TableCase[];
}

/** Entries that are looked up one by one; the rest is only read. */
const mostEntries = 1000;
/** Lookups of each key at a time. */
const atATime = 20;

/**
 * Tries the contract, then the cases, then closing. Cases up to the first with a `before` are taken for what the table says of itself:
 * their keys are asked all at once, and changed into keys that are like them and are not there. Throws one error that lists what went wrong.
 */
export async function testTable(type: TableType, test: TableTest): Promise<void> {
  const { open, directory = process.cwd(), deadlineMs = 10_000, cases } = test;
  const failures: Failed[] = [];
  const guard = createGuard(systemClock, (failed) => void failures.push(failed));
  const tables = createTableRegistry({ directory, clock: systemClock, guard, warn: () => undefined });
  tables.register(type, { name: "test", onError: "defer", deadlineMs });
  try {
    const table = await tables.open(typeof open === "string" ? `${type.type}:${open}` : { ...open, type: type.type });
    const bench = new Bench(table, failures);
    const firstWithBefore = cases.findIndex(({ before }) => before !== undefined);
    const plain = firstWithBefore < 0 ? cases : cases.slice(0, firstWithBefore);
    const found = plain.filter((one): one is FoundCase => typeof one.expect === "string");
    const checks: readonly { readonly name: string; run(): unknown }[] = [
      { name: "shape", run: () => checkShape(table) },
      { name: "entries", run: () => checkEntries(table, bench) },
      { name: "locate", run: () => checkLocate(table, plain) },
      { name: "hostile keys", run: () => checkHostileKeys(table, bench, found) },
      { name: "several at once", run: () => checkTogether(bench, plain) },
      ...cases.map((one) => ({ name: one.name, run: () => checkCase(bench, one) })),
      { name: "closing", run: () => checkClosed(bench, found[0], () => tables.close()) },
    ];
    await runCases(`table ${type.type}:${table.name}`, checks, async (check) => void (await check.run()));
  } finally {
    await tables.close();
  }
}

interface FoundCase extends TableCase {
  readonly expect: string;
}

/** `"value"`, `not found`, `unavailable`. */
type Said = string;
const saidOf = (value: string | undefined): Said => JSON.stringify(value) ?? "not found";

interface Answer {
  readonly said: Said;
  /** Of "unavailable". */
  readonly error?: TableUnavailable;
}

/** Asks, and throws for what the gateway would have to put right: an exception of another kind, an answer of another kind. */
class Bench {
  readonly #table: LookupTable;
  readonly #failures: Failed[];

  constructor(table: LookupTable, failures: Failed[]) {
    this.#table = table;
    this.#failures = failures;
  }

  async ask(key: string): Promise<Answer> {
    this.#failures.length = 0;
    const answer = await this.#answer(key);
    this.refuseFaults(`lookup(${shown(key)})`);
    return answer;
  }

  /** All at the same time. */
  async askTogether(keys: readonly string[]): Promise<readonly Answer[]> {
    this.#failures.length = 0;
    const answers = await Promise.all(keys.map((key) => this.#answer(key)));
    this.refuseFaults("one of several lookups at once");
    return answers;
  }

  /** A deadline may stand for a table that is down; only who asks knows. */
  refuseFaults(call: string): void {
    for (const { reason, error } of this.#failures.splice(0)) {
      if (error instanceof TableUnavailable || reason === "timeout") continue;
      const why = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      throw new Error(
        reason === "invalid" ? `${call}: ${why}` : `${call} threw ${why}; what a table throws is TableUnavailable`,
      );
    }
  }

  async #answer(key: string): Promise<Answer> {
    try {
      return { said: saidOf(await this.#table.lookup(key)) };
    } catch (error) {
      if (!(error instanceof TableUnavailable)) throw error;
      return { said: "unavailable", error };
    }
  }
}

function checkShape({ type, name, trusted }: LookupTable): void {
  if (typeof type !== "string" || type === "" || typeof name !== "string") throw new Error("type and name are texts");
  if (typeof trusted !== "boolean") throw new Error("trusted is true or false");
}

/** What it shows is what it answers. Of a pattern table the keys are patterns, which are no keys to ask for. */
async function checkEntries(table: LookupTable, bench: Bench): Promise<void> {
  let count = 0;
  for (const { key, value } of table.entries?.() ?? []) {
    if (typeof key !== "string" || typeof value !== "string" || value === "") {
      throw new Error("entries() gives keys and values as texts, no value empty");
    }
    count += 1;
    if (table.kind === "pattern" || count > mostEntries) continue;
    const { said } = await bench.ask(key);
    if (said !== saidOf(value))
      throw new Error(`entries() has ${saidOf(value)} for ${shown(key)}, lookup() says ${said}`);
    const located = table.locate?.(key);
    if (table.locate === undefined) continue;
    if (located?.value !== value) {
      throw new Error(`entries() has ${saidOf(value)} for ${shown(key)}, locate() ${saidOf(located?.value)}`);
    }
  }
}

/** What it says about where a value stands belongs to the answer. Of a pattern table the value stands before substitution. */
function checkLocate(table: LookupTable, cases: readonly TableCase[]): void {
  if (table.locate === undefined) return;
  for (const { key, expect } of cases) {
    const located = table.locate(key);
    if (located === undefined || typeof expect === "object") continue;
    if (expect === undefined) throw new Error(`locate() knows ${shown(key)}, which is not found`);
    if (table.kind === "pattern" || located.value === expect) continue;
    throw new Error(`locate() has ${saidOf(located.value)} for ${shown(key)}, expected ${saidOf(expect)}`);
  }
}

/** A stranger writes the keys: none may crash the table, make it look down, or be taken for another key. */
async function checkHostileKeys(table: LookupTable, bench: Bench, found: readonly FoundCase[]): Promise<void> {
  const [first] = found;
  if (first === undefined) return;
  for (const key of hostileKeys()) {
    const { said, error } = await bench.ask(key);
    if (said !== "unavailable" || error?.onlyThisKey === true) continue;
    throw new Error(
      `lookup(${shown(key)}) says that the table is down; after some of them in a row it would not be asked any more. ` +
        "A key that has no answer is `undefined`, or TableUnavailable with onlyThisKey",
    );
  }
  // One that knows every key, or matches parts of it, cannot take one for another.
  if (table.kind === "pattern" || (await bench.ask("no table has this key.invalid")).said !== "not found") return;
  const known = new Set(found.map(({ key }) => key));
  for (const { key, expect } of found.slice(0, 5)) {
    for (const other of likeness(key).filter((one) => !known.has(one))) {
      const { said } = await bench.ask(other);
      if (said === saidOf(expect)) throw new Error(`lookup(${shown(other)}) gives the value of ${shown(key)}`);
    }
  }
}

/** Nobody gets another's answer. */
async function checkTogether(bench: Bench, cases: readonly TableCase[]): Promise<void> {
  const keys = [...new Set(cases.filter(({ expect }) => typeof expect !== "object").map(({ key }) => key))];
  const alone = new Map<string, Said>();
  for (const key of keys) alone.set(key, (await bench.ask(key)).said);
  const many = Array.from({ length: keys.length * atATime }, (_, index) => keys[(index * 7) % keys.length] ?? "");
  const asked = [...keys, ...many];
  const together = await bench.askTogether(asked);
  for (const [index, { said }] of together.entries()) {
    const key = asked[index] ?? "";
    if (said !== alone.get(key)) {
      throw new Error(`lookup(${shown(key)}) among others says ${said}, alone ${alone.get(key)}`);
    }
  }
}

async function checkCase(bench: Bench, { key, before, expect }: TableCase): Promise<void> {
  await before?.();
  const { said } = await bench.ask(key);
  const wanted = typeof expect === "object" ? "unavailable" : saidOf(expect);
  if (said !== wanted) throw new Error(`expected ${wanted}, got ${said}`);
}

/** What is in memory may go on to say it; nothing else than "could not ask" comes in its place. */
async function checkClosed(bench: Bench, found: FoundCase | undefined, close: () => Promise<void>): Promise<void> {
  await close();
  bench.refuseFaults("close()");
  if (found === undefined) return;
  const { said } = await bench.ask(found.key);
  if (said !== "unavailable" && said !== saidOf(found.expect)) {
    throw new Error(`lookup(${shown(found.key)}) after close() says ${said}; it throws TableUnavailable`);
  }
}

function shown(key: string): string {
  const text = JSON.stringify(key);
  return text.length > 60 ? `${text.slice(0, 50)}…", ${key.length} characters` : text;
}
