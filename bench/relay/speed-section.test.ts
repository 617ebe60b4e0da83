import { expect, it } from "vitest";
import { replaceFigures, speedSection } from "./speed-section.ts";
import { loads } from "./loads.ts";
import type { RelayEvidence } from "./report.ts";
import { summarise } from "./row.ts";

const [small, other] = loads as [(typeof loads)[0], (typeof loads)[0]];
const run = (rate: number, cpu: number) => [
  { acceptPerSecond: rate, endToEndPerSecond: rate, cpuPerThousand: cpu, peakMemoryBytes: 1 },
];
const evidence: RelayEvidence = {
  date: "2026-02-03T04:05:06.000Z",
  command: "npm run bench -- relay --write",
  machine: {
    cores: 2,
    processor: "p",
    memoryGiB: 1,
    kernel: "k",
    fileSystem: "ext4",
    node: "v24.1.0",
    postfix: "3.7.11",
  },
  runs: 3,
  quick: false,
  loadAverage: [0, 0],
  versions: {},
  loads: [small, other],
  rows: [
    summarise(small.label, "postfix", run(500, 2), [1]),
    summarise(small.label, "postern", run(3000, 0.25), [1]),
    summarise(other.label, "postfix", run(500, 2), [1]),
    summarise(other.label, "postern", run(1000, 1), [1]),
  ],
  unavailable: [],
};

it("names the first load's ratios and the worst row's, and the page they come from", () => {
  const section = speedSection(evidence, "docs/evidence/relay-2026-02-03.md");
  expect(section).toContain("6.0 times as fast as Postfix 3.7.11");
  expect(section).toContain("1/8.0 of its CPU, 2.0 times in its worst row");
  expect(section).toContain("(docs/evidence/relay-2026-02-03.md)");
});

it("has nothing to say without Postfix to compare with", () => {
  const rows = evidence.rows.filter(({ system }) => system === "postern");
  expect(() => speedSection({ ...evidence, rows }, "page.md")).toThrow(/needs postern and postfix/);
});

it("replaces what stands between the marks and nothing else, any number of times", () => {
  const begin = "<!-- figures: npm run bench -- relay --write -->";
  const readme = `# Title\n\n${begin}\nold\n<!-- end of figures -->\n\nrest\n`;
  const once = replaceFigures(readme, "new");
  expect(once).toBe(`# Title\n\n${begin}\n\nnew\n\n<!-- end of figures -->\n\nrest\n`);
  expect(replaceFigures(once, "new")).toBe(once);
  expect(() => replaceFigures("# Title\n", "new")).toThrow(/no place for figures/);
});
