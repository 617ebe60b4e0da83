/** The lists of one command as they were asked, with the words that nobody came to and core's own questions. */
import type { CompiledList, Stage } from "../policy/index.ts";
import type { ScanOutcome } from "../scanning/index.ts";
import { verdictOf, type Asked } from "./asked.ts";
import type { ExplainedList, ExplainedWord } from "./explained.ts";
import { describeEffect, describeWord, type AskedWord } from "./tracing.ts";

export interface ListsScope {
  readonly lists: Readonly<Record<Stage, CompiledList>>;
  readonly scanners: readonly { readonly name: string; readonly plugin: string; readonly asksService: boolean }[];
  readonly live: boolean;
  /** What the scanners said; `undefined`: they were not asked. */
  readonly findings: ScanOutcome["findings"];
}

/** Lists that belong to a command whether a word of them was asked or not. */
const ownLists: Readonly<Record<string, readonly Stage[]>> = {
  RCPT: ["relay", "rcpt"],
  DATA: ["data"],
  MESSAGE: ["message"],
};

export function listsOf(asked: Asked, scope: ListsScope): readonly ExplainedList[] {
  const { command, frame, by } = asked;
  const found = new Map<string, AskedWord[]>();
  for (const word of frame.words) {
    const words = found.get(word.list);
    if (words === undefined) found.set(word.list, [word]);
    else words.push(word);
  }
  // A hook stands before the lists.
  if (by?.list !== "hook") for (const stage of ownLists[command] ?? []) if (!found.has(stage)) found.set(stage, []);
  const lists = [...found].map(([stage, words]) => ({
    list: stage,
    words: [...words.map((word) => word.explain()), ...notReached(scope.lists[stage as Stage], words.length)],
  }));
  const own = command === "RCPT" ? coreQuestions(asked) : command === "MESSAGE" ? scanners(asked, scope) : [];
  return [...lists.filter(({ words }) => words.length > 0), ...own];
}

function notReached(list: CompiledList | undefined, asked: number): readonly ExplainedWord[] {
  return (list?.words ?? []).slice(asked).map((word) => ({ ...describeWord(word), ...silence, answer: "not reached" }));
}

const silence = { reason: undefined, effects: [], ms: 0, tables: [], dns: [], words: [] } as const;

/** What core asks behind the lists, in their form. */
function coreQuestions({ by, refused, frame }: Asked): readonly ExplainedList[] {
  const row = (list: string, answer: ExplainedWord["answer"], reason?: string): ExplainedList => ({
    list,
    words: [{ path: list, via: [], word: list, args: [], plugin: "core", warn: false, ...silence, answer, reason }],
  });
  const authorizer = frame.words.find(({ answer, word }) => answer === "permit" && word.authorizes);
  // A deferral that was remembered is said behind the guard.
  const ended = frame.words.some(
    ({ answer, word }) => answer === "failed" || (!word.warn && (answer === "reject" || answer === "defer")),
  );
  if (by?.list === "relay guard") {
    return [
      row("relay guard", "reject", "none of our domains, and nobody who may relay"),
      row("recipients", "not reached"),
    ];
  }
  const passed = row(
    "relay guard",
    "permit",
    authorizer === undefined ? "one of our domains" : `${authorizer.word.word} permits (${authorizer.word.path})`,
  );
  if (by?.list === "recipients") return [passed, row("recipients", "reject", "does not exist")];
  if (!refused) return [passed, row("recipients", "permit")];
  return [ended ? row("relay guard", "not reached") : passed, row("recipients", "not reached")];
}

function scanners(
  { by, refused, replies }: Asked,
  { scanners: all, live, findings = [] }: ListsScope,
): readonly ExplainedList[] {
  if (all.length === 0) return [];
  const words = all.map(({ name, plugin, asksService }): ExplainedWord => {
    const common = { path: "scanners", via: [], word: name, args: [], plugin, warn: false, ...silence };
    if (asksService && !live) return { ...common, answer: "not asked", reason: "talks to a service; --live asks it" };
    const finding = findings.find((one) => one.by?.scanner === name);
    const failure = finding?.by?.failure;
    const said = {
      ...common,
      reason: failure && `gave no verdict (${failure.reason}): ${failure.text}`,
      effects: (finding?.effects ?? []).map(describeEffect),
    };
    const silent = failure === undefined ? (said.effects.length === 0 ? "none" : "effects") : "failed";
    if (by?.list !== "scanners") return { ...said, answer: refused ? "not reached" : silent };
    // Of several that refused together nobody is named.
    if (by.word !== name && by.word !== "scanners") return { ...said, answer: silent };
    return { ...said, answer: verdictOf({ replies }) === "deferred" ? "defer" : "reject" };
  });
  return [{ list: "scanners", words }];
}
