// One random policy, in words that mean the same to both servers: the lists as they stand in main.cf, and their classes and tables.
import { stages, type Stage } from "@postern/core";
import type { Chance } from "./chance.ts";
import { makeTable, type AccessTable } from "./tables.ts";
import { words, type Vocabulary, type Word } from "./words.ts";

export interface SessionPolicy {
  /** Stands before the names of its classes and files. */
  readonly name: string;
  readonly delayReject: boolean;
  /** A list that is not there is left out. */
  readonly lists: Readonly<Partial<Record<Stage, string>>>;
  readonly classes: Readonly<Record<string, string>>;
  readonly tables: readonly AccessTable[];
  /** How often each word stands in it. */
  readonly used: ReadonlyMap<string, number>;
}

const chances: Readonly<Record<Stage, number>> = {
  connect: 0.5,
  helo: 0.5,
  mail: 0.6,
  relay: 0.2,
  rcpt: 0.9,
  data: 0.35,
  message: 0.25,
};
/** Where a class may be meant to stand; words of an early stage may stand in all later ones. */
const homes = ["connect", "mail", "rcpt"] as const;

export function makePolicy(chance: Chance, name: string, vocabulary: Vocabulary, folder: string): SessionPolicy {
  const tables: AccessTable[] = [];
  const used = new Map<string, number>();
  const classes = new Map<string, { readonly text: string; readonly stages: readonly Stage[] }>();
  const delayReject = chance.is(0.7);
  // Rarely, since much that comes after it may differ.
  const mayDiscard = chance.is(0.2);
  // In the lists before MAIL, Postfix's reject_unlisted_sender depends on what it was asked before, even in the session before.
  // A delayed list knows the recipient.
  const isDelayed = (stage: Stage): boolean => delayReject && ["connect", "helo", "mail"].includes(stage);
  const fits = (word: Word, stage: Stage): boolean =>
    !(word.name === "reject_unlisted_sender" && (stage === "connect" || stage === "helo")) &&
    vocabulary.get(word.name)?.includes(isDelayed(stage) ? "rcpt" : stage) === true;
  const count = (word: string): void => void used.set(word, (used.get(word) ?? 0) + 1);

  const pick = (from: readonly Word[]): Word => chance.weighed(from.map((word) => [word.weight ?? 1, word] as const));
  const softened = (text: string): string => {
    if (!chance.is(0.08)) return text;
    count("warn_if_reject");
    return `warn_if_reject ${text}`;
  };
  const classFor = (stage: Stage): string | undefined => {
    const fitting = [...classes].filter(([, entry]) => entry.stages.includes(stage));
    if (fitting.length === 0) return undefined;
    count("a class");
    return chance.one(fitting)[0];
  };
  /** What a table may name: a class, or words without arguments. */
  const named = (stage: Stage) => (): string => {
    const simple = words.filter((word) => word.table === undefined && word.args === undefined && fits(word, stage));
    const own = chance.is(0.4) ? classFor(stage) : undefined;
    return own ?? chance.some(1, 2, () => softened(pick(simple).name)).join(", ");
  };
  const entry = (stage: Stage, among: (word: Word) => boolean): string => {
    const own = chance.is(0.12) ? classFor(stage) : undefined;
    if (own !== undefined) return softened(own);
    const word = pick(words.filter((one) => fits(one, stage) && among(one)));
    count(word.name);
    if (word.table !== undefined) {
      const table = makeTable(chance, word.table, folder, `${name}-t${tables.length}`, {
        named: named(stage),
        mayDiscard,
      });
      tables.push(table);
      return softened(`${word.name} ${table.spec}`);
    }
    return softened(word.args === undefined ? word.name : `${word.name} ${word.args(chance)}`);
  };

  for (let index = 0; index < chance.below(3); index += 1) {
    const home = chance.one(homes);
    const later = stages.slice(stages.indexOf(home));
    const everywhere = (word: Word): boolean => later.every((stage) => fits(word, stage) || stage === "relay");
    const among = home === "rcpt" ? () => true : everywhere;
    const text = chance.some(1, 3, () => entry(home, among)).join(", ");
    classes.set(`${name}_c${index}`, {
      text,
      stages: home === "rcpt" ? ["rcpt"] : later.filter((stage) => stage !== "relay"),
    });
  }
  const lists: Partial<Record<Stage, string>> = {};
  for (const stage of stages) {
    if (!chance.is(chances[stage])) continue;
    // Postfix does not start unless a word that keeps strangers from relaying can be reached.
    const isRelay = stage === "relay";
    const texts = chance.some(1, stage === "rcpt" ? 5 : 3, () =>
      entry(stage, ({ name }) => !isRelay || name !== "permit"),
    );
    if (isRelay) texts.push("reject_unauth_destination");
    lists[stage] = texts.join(chance.one([", ", " ", ",\n  "]));
  }
  // Asked before XCLIENT too, by the one who sends it.
  if (!delayReject && lists.connect !== undefined)
    lists.connect = `check_client_access inline:{ { 127.0.0.1 = OK } } ${lists.connect}`;
  return {
    name,
    delayReject,
    lists,
    classes: Object.fromEntries([...classes].map(([key, { text }]) => [key, text])),
    tables,
    used,
  };
}
