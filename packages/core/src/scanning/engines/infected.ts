/** What becomes of mail in which an engine has found something by name. */
import { defer, reject } from "../../model/index.ts";
import type { ScanPart } from "../scanner.ts";

export const infectedTreatments = Object.freeze(["reject", "defer", "quarantine", "discard", "tag"] as const);
export type InfectedTreatment = (typeof infectedTreatments)[number];

/** `tagHeader`: the field of `tag`; its value is the name. */
export function infected(name: string, treatment: InfectedTreatment, tagHeader: string): ScanPart {
  const text = `infected: ${name}`;
  switch (treatment) {
    case "reject":
      return reject(text);
    case "defer":
      return defer(text);
    case "tag":
      return { kind: "prepend", name: tagHeader, value: name };
    default:
      return { kind: treatment, text };
  }
}
