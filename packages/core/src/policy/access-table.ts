/** An access table as a word uses it: its values are read once, wrong ones named with file and line before the gateway starts. */
import { didYouMean } from "../config/nearest.ts";
import { ConfigError } from "../errors.ts";
import { after, partsOf, type Answer, type MaybePromise } from "../model/index.ts";
import { defer, permit, reject } from "../model/verdict.ts";
import {
  checkEntries,
  describeEntry,
  findFirst,
  type Located,
  type LookupTable,
  type Match,
  type TableSpec,
} from "../tables/index.ts";
import { accessActions, fitEnhanced, parseAccessResult, type AccessReply, type AccessResult } from "./access-result.ts";
import { tellMatch } from "./list-run.ts";
import type { Ask, CompileScope, Judge } from "./restriction.ts";
import { rejectedText, type Subject } from "./subject.ts";

/** Values of a table that is not in memory, kept read. */
const mostRead = 1000;

export type SubjectOf = (ask: Ask) => Subject;

export interface AccessOptions {
  /**
   * false: an OK is a mistake. For names that a stranger chooses, as the name servers of his domain: DUNNO makes an exception there, and
   * no OK lets him pass all that follows. Named by `check` for a table in memory; else 451, and noted.
   */
  readonly mayPermit?: boolean;
}

export class AccessTable {
  readonly #table: LookupTable;
  readonly #mayPermit: boolean;
  readonly #scope: CompileScope;
  /** By value: tables have many keys and few values. */
  readonly #read = new Map<string, MaybePromise<AccessRule>>();

  private constructor(table: LookupTable, scope: CompileScope, { mayPermit = true }: AccessOptions) {
    this.#table = table;
    this.#scope = scope;
    this.#mayPermit = mayPermit;
  }

  /** Throws `ConfigError` for a table that cannot be opened, and for the first wrong value of one that is in memory. */
  static async open(spec: TableSpec, scope: CompileScope, options: AccessOptions = {}): Promise<AccessTable> {
    const opened = new AccessTable(await scope.table(spec), scope, options);
    await checkEntries(opened.#table, (entry) => (opened.#read.has(entry.value) ? undefined : opened.#keep(entry)));
    return opened;
  }

  /** Throws `ConfigError` that says where the entry stands. */
  async #keep(entry: Located): Promise<void> {
    try {
      if (!this.#mayPermit && parseAccessResult(entry.value).kind === "permit") throw new ConfigError(noPermit);
      this.#read.set(entry.value, await this.#readValue(entry.value));
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      throw new ConfigError(`${describeEntry(this.#table, entry)}: ${error.message}`, { cause: error });
    }
  }

  /**
   * What the first key that is found says about the subject, who is named only then; DUNNO ends the search like any other value. Throws
   * `TableUnavailable`, and `ConfigError` for a wrong value of a table that is not in memory.
   */
  ask(keys: readonly string[], subject: SubjectOf, ask: Ask): MaybePromise<Answer> {
    return this.askInTurn([keys], subject, ask);
  }

  /** Several search orders, each with its own whole key: a client's name, then its address. */
  askInTurn(orders: readonly (readonly string[])[], subject: SubjectOf, ask: Ask, turn = 0): MaybePromise<Answer> {
    const keys = orders[turn];
    if (keys === undefined) return undefined;
    return after(findFirst([this.#table], keys), (match: Match | undefined): MaybePromise<Answer> =>
      match === undefined ? this.askInTurn(orders, subject, ask, turn + 1) : this.#answer(match, subject, ask),
    );
  }

  /** As `ask`; `undefined` when no key is found, so that another search may follow. */
  tryKeys(
    keys: readonly string[],
    subject: SubjectOf,
    ask: Ask,
  ): MaybePromise<{ readonly answer: Answer } | undefined> {
    return after(findFirst([this.#table], keys), (match: Match | undefined) =>
      match === undefined ? undefined : after(this.#answer(match, subject, ask), (answer) => ({ answer })),
    );
  }

  #answer(match: Match, subject: SubjectOf, ask: Ask): MaybePromise<Answer> {
    return after(this.#rule(match.value), (rule) =>
      after(rule(subject(ask), ask), (answer) =>
        answer === undefined || answer === permit ? answer : told(answer, match, ask),
      ),
    );
  }

  #rule(value: string): MaybePromise<AccessRule> {
    const known = this.#read.get(value);
    if (known !== undefined) return known;
    const read = this.#readValue(value);
    if (this.#read.size >= mostRead) this.#read.delete(this.#read.keys().next().value ?? "");
    this.#read.set(value, read);
    // A mistake is not remembered: the operator may mend the table while we run.
    read.then(
      (rule) => this.#read.set(value, rule),
      () => this.#read.delete(value),
    );
    return read;
  }

  async #readValue(value: string): Promise<AccessRule> {
    const rule = await readAccessRule(value, this.#scope);
    if (this.#mayPermit) return rule;
    return (subject, ask) => after(rule(subject, ask), (answer) => (isPermit(answer) ? misplaced(subject) : answer));
  }
}

const noPermit = "OK is not taken here, since strangers choose the names that are looked up; DUNNO makes an exception";

/** A discarded message may be permitted: it goes nowhere. */
function isPermit(answer: Answer): boolean {
  const kinds = partsOf(answer).map(({ kind }) => kind);
  return kinds.includes("permit") && !kinds.includes("discard");
}

function misplaced({ name }: Subject): Answer {
  return [{ kind: "log", text: `<${name}>: ${noPermit}` }, defer("Server configuration error", "4.3.5", 451)];
}

/** A refusal's log line names the entry; what permits or says nothing costs nothing here. */
function told(answer: Answer, { table, key }: Match, ask: Ask): Answer {
  if (partsOf(answer).some(({ kind }) => refusals.has(kind))) {
    tellMatch(ask, { table: table.name === "" ? table.type : `${table.type}:${table.name}`, key });
  }
  return answer;
}

const refusals: ReadonlySet<string> = new Set(["reject", "defer", "deferIfPermit", "deferIfReject"]);

/** What one access(5) result says about whoever is asked about. */
export type AccessRule = (subject: Subject, ask: Ask) => MaybePromise<Answer>;

/** An access(5) result, read once to be asked often; it may name words and classes. Rejects with `ConfigError`. */
export async function readAccessRule(
  value: string,
  scope: Pick<CompileScope, "compile" | "checkFilter">,
): Promise<AccessRule> {
  const result = parseAccessResult(value);
  if (result.kind === "filter") scope.checkFilter?.(result.destination);
  if (result.kind !== "words") return ruleFor(result);
  try {
    return asRule(await scope.compile(result.text));
  } catch (error) {
    const [first = ""] = result.text.split(/\s/, 1);
    // No word is near: perhaps an action is.
    if (!(error instanceof ConfigError) || error.message !== `unknown word "${first}"`) throw error;
    throw new ConfigError(`${error.message}${didYouMean(first.toUpperCase(), accessActions)}`, { cause: error });
  }
}

const asRule =
  (judge: Judge): AccessRule =>
  (subject, ask) =>
    judge({ ...ask, subject });

function ruleFor(result: Exclude<AccessResult, { kind: "words" }>): AccessRule {
  switch (result.kind) {
    case "permit":
      return () => permit;
    case "none":
      return () => undefined;
    case "reject":
      return (subject) => reject(textFor(result, subject, "Access denied"), codeFor(result, subject), result.code);
    case "defer":
      return (subject) => defer(textFor(result, subject, "Access denied"), codeFor(result, subject), result.code);
    case "deferIfPermit":
    case "deferIfReject":
      return (subject) => {
        const text = textFor(result, subject, "Service unavailable");
        return { kind: result.kind, reply: defer(text, codeFor(result, subject), result.code).reply };
      };
    case "discard":
      // Nothing more is asked about a message that goes nowhere.
      return () => [result.text === "" ? { kind: "discard" } : { kind: "discard", text: result.text }, permit];
    case "hold":
      return () => (result.text === "" ? { kind: "hold" } : { kind: "hold", text: result.text });
    case "log":
    case "prepend":
    case "redirect":
    case "bcc":
    case "filter":
      return () => result;
  }
}

function textFor({ text }: AccessReply, subject: Subject, fallback: string): string {
  return rejectedText(subject, text === "" ? fallback : text);
}

function codeFor({ enhanced }: AccessReply, { label }: Subject): string {
  return fitEnhanced(enhanced, label);
}
