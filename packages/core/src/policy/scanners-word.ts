/** The scanners' answer as a list hears it: like that of one more word, at its end. */
import { InvalidAnswer } from "../guard/guard.ts";
import { coreOwner } from "../guard/owner.ts";
import type { RecipientAnswer } from "../model/verdict.ts";
import { checkAnswer, type Part } from "./answer.ts";
import type { ScanAuthor, Scanned, ScanNote } from "./at-message.ts";
import type { CompiledWord, Decision } from "./list-run.ts";

export const scannersWord: CompiledWord = Object.freeze({
  path: "scanners",
  word: "scanners",
  owner: coreOwner,
  judge: () => undefined,
  warn: false,
  authorizes: false,
});

/** Of several together, or of what was no answer of any. */
export const byScanners: Decision = Object.freeze({
  list: "scanners",
  path: "scanners",
  word: "scanners",
  plugin: "core",
});

export function scanDecision(author: ScanAuthor | undefined): Decision {
  if (author === undefined) return byScanners;
  const { scanner, plugin, failure } = author;
  return { list: "scanners", path: "scanners", word: scanner, plugin, ...(failure !== undefined && { failure }) };
}

export interface CheckedScan {
  readonly parts: readonly Part[] | undefined;
  readonly recipients: readonly RecipientAnswer[] | undefined;
  readonly by: Scanned["by"];
  readonly notes: readonly ScanNote[];
}

/** Anything else is no scan at all, and must not pass as one that found nothing. Throws `InvalidAnswer`. */
export function checkScanned(scanned: Scanned | undefined): CheckedScan {
  const isOutcome = typeof scanned === "object" && scanned !== null && "answer" in scanned;
  if (scanned !== undefined && !isOutcome) throw new InvalidAnswer("the scanners gave no outcome");
  return {
    parts: checkAnswer(scanned?.answer),
    recipients: scanned?.recipients,
    by: scanned?.by,
    notes: scanned?.notes ?? [],
  };
}
