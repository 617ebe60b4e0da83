/** What becomes of a message by the name of what clamd found in it. */
import { infectedTreatments, type FailureReason, type InfectedTreatment } from "@postern/core";

/** As the gateway disposes of infected mail; or: not looked at at all; or: clamd could not look into it, which is a failure. */
export const treatments = [...infectedTreatments, "ignore", "tooLarge", "unscannable", "encrypted"] as const;

export type Treatment = (typeof treatments)[number];

/** What clamd's own alerts mean that are no finding: it did not see everything. After the operator's patterns. */
const ofClamd: Readonly<Record<string, Treatment>> = {
  "Heuristics.Limits.Exceeded.MaxFileSize": "tooLarge",
  "Heuristics.Limits.Exceeded.MaxScanSize": "tooLarge",
  "Heuristics.Limits.Exceeded*": "unscannable",
  "Heuristics.Encrypted.*": "encrypted",
};

/** By the first pattern that fits the whole name, else `otherwise`. `*` is any text, `?` one character; without case. */
export function createTreatments(
  patterns: Readonly<Record<string, Treatment>>,
  otherwise: InfectedTreatment,
): (name: string) => Treatment {
  const all = [...Object.entries(patterns), ...Object.entries(ofClamd)].map(
    ([pattern, treatment]) => [compile(pattern), treatment] as const,
  );
  return (name) => all.find(([pattern]) => pattern.test(name))?.[1] ?? otherwise;
}

export function isFailure(treatment: Treatment): treatment is Treatment & FailureReason {
  return treatment === "tooLarge" || treatment === "unscannable" || treatment === "encrypted";
}

function compile(pattern: string): RegExp {
  // Runs of stars are one: names are short, and a pattern must not make them slow.
  const source = pattern
    .replace(/\*+/g, "*")
    .replace(/[\\^$.+()|[\]{}]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${source}$`, "i");
}
