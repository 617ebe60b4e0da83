/** Who named the content filter by which a message would leave: a handover, a scanner or a word of the policy. */
import type { Effect } from "../model/index.ts";
import type { ScanOutcome } from "../scanning/index.ts";
import type { AskedWord } from "./tracing.ts";

export interface FilterOrigin {
  readonly destination: string;
  /** `FILTER of policy.rcpt[1]`, for a sentence. */
  readonly by: string;
}

export interface FilterScope {
  /** The plugin of the handover that named it; `undefined`: none did. */
  readonly handover: string | undefined;
  readonly findings: ScanOutcome["findings"];
  /** That were asked about the message, in order. */
  readonly words: readonly AskedWord[];
}

/** Scanners come behind the lists, and of several the last one stands (access(5)). */
export function originOf(destination: string, { handover, findings = [], words }: FilterScope): FilterOrigin {
  const names = (part: { readonly kind: string }): boolean =>
    part.kind === "filter" && (part as Extract<Effect, { readonly kind: "filter" }>).destination === destination;
  if (handover !== undefined) return { destination, by: `content filter of plugin ${handover}` };
  const scanner = findings.findLast(({ effects }) => effects.some(names))?.by;
  if (scanner !== undefined) {
    return { destination, by: `FILTER of scanner ${scanner.scanner}, plugin ${scanner.plugin}` };
  }
  const word = words.findLast(({ parts }) => parts.some(names))?.word;
  return { destination, by: word === undefined ? "FILTER" : `FILTER of ${word.path}` };
}
