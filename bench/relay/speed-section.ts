/** The README's paragraph about speed, between two marks, so that its figures are always those of the last evidence. */
import { BenchError } from "../lib/bench-error.ts";
import { baseSystem, wasBusy, type RelayEvidence } from "./report.ts";
import { ratiosOf } from "./row.ts";

const begin = "<!-- figures: npm run bench -- relay --write -->";
const end = "<!-- end of figures -->";

/** Two sentences and the picture. `page` is the evidence, relative to the README. */
export function speedSection(evidence: RelayEvidence, page: string): string {
  const { loads, rows, machine, date, runs } = evidence;
  const known = loads.flatMap(({ label }) => {
    const ratios = ratiosOf(rows, label, "postern", baseSystem);
    return ratios === undefined ? [] : [{ label, ...ratios }];
  });
  const [first, ...others] = known;
  const lowest = known.toSorted((a, b) => a.rate - b.rate)[0];
  if (first === undefined || lowest === undefined) {
    throw new BenchError("--write needs postern and postfix, which the ratios compare");
  }
  const range =
    others.length === 0 ? "" : `, ${lowest.rate.toFixed(1)} times in its worst row, ${sayLoad(lowest.label)}`;
  return [
    `On ${machine.cores} cores, with equal durability, twelve restriction words and every hook tapped, Postern relays ` +
      `${sayLoad(first.label)} ${first.rate.toFixed(1)} times as fast as Postfix ${machine.postfix ?? ""} as packaged, ` +
      `with 1/${first.cpuPart.toFixed(1)} of its CPU${range} ([figures and method](${page}), ${date.slice(0, 10)}, median of ${runs}${wasBusy(evidence) ? ", provisional: the machine was busy with other work" : ""}).`,
    "Source, system and sink shared that machine over loopback, where neither network nor DNS slows anybody down: read the " +
      "ratios, not the rates, and measure on yours with `npm run bench -- relay`.",
    "",
    "![Messages a second and CPU for each system](docs/evidence/relay.svg)",
  ].join("\n");
}

export function replaceFigures(readme: string, section: string): string {
  const from = readme.indexOf(begin);
  const to = readme.indexOf(end);
  if (from === -1 || to < from) throw new BenchError(`README.md has no place for figures: ${begin} … ${end}`);
  return `${readme.slice(0, from)}${begin}\n\n${section}\n\n${readme.slice(to)}`;
}

/** `4 KiB, one a session` → `4 KiB messages, one a session,`. */
function sayLoad(label: string): string {
  const [size = label, sessions = ""] = label.split(", ");
  return `${size} messages (${sessions})`;
}
