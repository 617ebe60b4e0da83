/** Cases as data: all are run, and what failed is told together, each by its name. */
import { formatReply, type Answer, type Effect, type Verdict } from "@postern/core";

/** A text as it must be, or what it must match. */
export type Expected = string | RegExp;

/** Runs every case; throws one error that lists what went wrong. */
export async function runCases<Case extends { readonly name: string }>(
  subject: string,
  cases: readonly Case[],
  run: (given: Case) => Promise<void>,
): Promise<void> {
  const wrong: string[] = [];
  for (const given of cases) {
    try {
      await run(given);
    } catch (error) {
      wrong.push(`${given.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (wrong.length > 0)
    throw new Error(`${subject}: ${wrong.length} of ${cases.length} cases\n  ${wrong.join("\n  ")}`);
}

export function assertSaid(said: string, expected: Expected): void {
  if (typeof expected === "string" ? said === expected : expected.test(said)) return;
  throw new Error(
    `expected ${typeof expected === "string" ? JSON.stringify(expected) : String(expected)}, got ${JSON.stringify(said)}`,
  );
}

/**
 * An answer as one line: `none`, `permit`, `reject 550 5.7.1 text`, `deferIfPermit 450 4.7.1 text`, `prepend Name: value`,
 * `discard text`; several parts are joined by `; `.
 */
export function formatAnswer(answer: Answer): string {
  if (answer === undefined) return "none";
  const parts: readonly (Effect | Verdict)[] = Array.isArray(answer) ? answer : [answer as Effect | Verdict];
  return parts.length === 0 ? "none" : parts.map(formatPart).join("; ");
}

function formatPart(part: Effect | Verdict): string {
  switch (part.kind) {
    case "permit":
      return "permit";
    case "reject":
    case "defer":
    case "deferIfPermit":
    case "deferIfReject":
      return `${part.kind} ${formatReply(part.reply)}`;
    case "prepend":
      return `prepend ${part.name}: ${part.value}`;
    default: {
      const { kind, ...rest } = part;
      return [kind, ...Object.values(rest)].join(" ");
    }
  }
}
