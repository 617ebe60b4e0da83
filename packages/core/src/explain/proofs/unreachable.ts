/** Words that nobody ever comes to, or that can say nothing new: only what is certain from the words themselves. */
import type { ResolvedConfig } from "../../config/index.ts";
import type { GenerationListing } from "../../generation-contract.ts";
import { stages, type CompiledWord, type Stage } from "../../policy/index.ts";
import type { Finding } from "./finding.ts";

/** Ask the same and get the same, however often: a second one of these is for nothing. */
const steady = /^(?:permit|reject|defer|check_\w+_access)/;
const stranger = "reject_unauth_destination";
/** What is left behind reject_unauth_destination is for our own destinations. */
const afterStrangers: Readonly<Record<string, "permit" | "silent">> = {
  permit_auth_destination: "permit",
  defer_unauth_destination: "silent",
};

export function findUnreachable(config: ResolvedConfig, listing: GenerationListing): readonly Finding[] {
  const findings = new Map<string, Finding>();
  const add = (finding: Finding): void => void findings.set(`${finding.place ?? ""} ${finding.message}`, finding);
  for (const [index, { name, policy }] of config.listeners.entries()) {
    const lists = listing.lists(name);
    for (const stage of stages) for (const finding of findInList(lists[stage].words)) add(finding);
    for (const stage of shadowed(config, policy)) {
      add({
        level: "note",
        rule: "shadowed-list",
        place: `listeners[${index}].policy.${stage}`,
        message: `stands in place of policy.${stage} at this listener, not beside it`,
      });
    }
  }
  return [...findings.values()];
}

function shadowed({ policy }: ResolvedConfig, own: ResolvedConfig["listeners"][number]["policy"]): readonly Stage[] {
  return stages.filter((stage) => own[stage] !== undefined && policy.lists[stage] !== undefined);
}

function findInList(words: readonly CompiledWord[]): readonly Finding[] {
  const findings: Finding[] = [];
  const known = new Map<string, CompiledWord>();
  let strangersAreGone: CompiledWord | undefined;
  for (const [at, word] of words.entries()) {
    const key = JSON.stringify([word.word, word.about?.args ?? []]);
    const before = known.get(key);
    if (before !== undefined && steady.test(word.word)) {
      findings.push(useless(word, `${word.word} stands at ${before.path} already: here it can say nothing new`));
    } else if (!word.warn) known.set(key, word);
    const after = strangersAreGone === undefined ? undefined : afterStrangers[word.word];
    if (after === "silent" && strangersAreGone !== undefined) {
      findings.push(
        useless(word, `behind ${stranger} (${strangersAreGone.path}) ${word.word} can refuse nobody any more`),
      );
    }
    if (word.warn) continue;
    if (word.word === stranger) strangersAreGone ??= word;
    const ends = word.about?.always ?? (after === "permit" ? "permit" : undefined);
    const rest = words.slice(at + 1);
    const [first] = rest;
    if (ends === undefined || first === undefined) continue;
    const names = rest.map((one) => one.word);
    findings.push({
      level: "warning",
      rule: "unreachable",
      place: first.path,
      message: `nobody comes to ${names.slice(0, 4).join(", ")}${names.length > 4 ? ", …" : ""}: ${word.word} (${word.path}) ends the list before`,
      remedy: ends === "permit" ? `put ${names[0] ?? ""} before ${word.word}` : "take one of the two out",
    });
    break;
  }
  return findings;
}

function useless({ path }: CompiledWord, message: string): Finding {
  return { level: "warning", rule: "unreachable", place: path, message, remedy: "take it out" };
}
