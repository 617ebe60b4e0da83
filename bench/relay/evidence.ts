/** Writes what was found where readers look: docs/evidence, and the paragraph and picture in the README. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { drawEvidence } from "./picture.ts";
import { formatEvidence, type RelayEvidence } from "./report.ts";
import { replaceFigures, speedSection } from "./speed-section.ts";

/** Answers the files written, relative to the repository. */
export function writeEvidence(repository: string, evidence: RelayEvidence): readonly string[] {
  const name = `relay-${evidence.date.slice(0, 10)}`;
  const folder = "docs/evidence";
  mkdirSync(join(repository, folder), { recursive: true });
  const files = {
    [`${folder}/${name}.md`]: formatEvidence(evidence),
    [`${folder}/${name}.json`]: `${JSON.stringify(evidence, undefined, 2)}\n`,
    [`${folder}/relay.svg`]: drawEvidence(evidence),
    "README.md": replaceFigures(
      readFileSync(join(repository, "README.md"), "utf8"),
      speedSection(evidence, `${folder}/${name}.md`),
    ),
  };
  for (const [file, text] of Object.entries(files)) writeFileSync(join(repository, file), text);
  return Object.keys(files);
}
