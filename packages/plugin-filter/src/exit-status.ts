/** What a command's end means, as Postfix's pipe(8) reads it: sysexits.h, and words that begin with an enhanced status code. */
import type { Outcome } from "@postern/core";

/** How a command ended. */
export interface Ended {
  /** `undefined`: by a signal. */
  readonly code: number | undefined;
  /** Its number. */
  readonly signal: number | undefined;
  /** It was killed at its time limit. */
  readonly expired: boolean;
  /** The beginning of what it wrote, on one line. */
  readonly output: string;
}

/** From 64 on, in the order of sysexits.h. */
const table: readonly (readonly [enhanced: string, text: string])[] = [
  ["5.3.0", "command line usage error"],
  ["5.6.0", "data format error"],
  ["5.3.0", "cannot open input"],
  ["5.1.1", "user unknown"],
  ["5.1.2", "host name unknown"],
  ["5.3.0", "service unavailable"],
  ["5.3.0", "internal software error"],
  ["4.3.0", "system resource problem"],
  ["5.3.0", "critical OS file missing"],
  ["5.2.0", "can't create user output file"],
  ["5.3.0", "input/output error"],
  ["4.3.0", "temporary failure"],
  ["5.5.0", "remote error in protocol"],
  ["5.7.0", "permission denied"],
  ["5.3.5", "local configuration error"],
];

const firstSysexit = 64;

/** `command`: its file, for the text. */
export function readEnd({ code, signal, expired, output }: Ended, command: string): Outcome {
  const told = output === "" ? "" : `. Command output: ${output}`;
  if (expired) return outcome("5.3.0", `Command time limit exceeded: "${command}"${told}`);
  if (code === 0) return { status: "delivered", enhanced: "2.0.0", text: `delivered via ${command}` };
  if (code === undefined) return outcome("4.3.0", `Command died with signal ${signal ?? 0}: "${command}"${told}`);
  const own = leadingCode(output);
  if (own !== undefined) return outcome(own.enhanced, own.text);
  const [enhanced, text] = table[code - firstSysexit] ?? ["5.3.0", undefined];
  return text === undefined
    ? outcome(enhanced, `Command died with status ${code}: "${command}"${told}`)
    : outcome(enhanced, `${text}${told}`);
}

const enhancedFirst = /^([45]\.\d{1,3}\.\d{1,3})(?:\s+(.*))?$/s;

/** `4.2.2 the text`; `undefined` when it does not begin with such a code. */
export function leadingCode(output: string): { readonly enhanced: string; readonly text: string } | undefined {
  const [, enhanced, text = ""] = enhancedFirst.exec(output.trim()) ?? [];
  return enhanced === undefined ? undefined : { enhanced, text };
}

function outcome(enhanced: string, text: string): Outcome {
  return { status: enhanced.startsWith("4") ? "deferred" : "bounced", enhanced, text };
}
