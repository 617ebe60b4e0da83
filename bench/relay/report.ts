/** The figures as text: for the terminal, and for the page in docs/evidence. */
import { formatMachine, type Machine } from "../lib/machine.ts";
import { formatMarkdownTable, formatTable } from "../lib/text-table.ts";
import type { Load } from "./loads.ts";
import { ratiosOf, type Row } from "./row.ts";

/** Everything that was found; what is written as JSON. */
export interface RelayEvidence {
  /** ISO 8601. */
  readonly date: string;
  readonly command: string;
  readonly machine: Machine;
  readonly runs: number;
  /** Fewer messages than the figures need to mean much. */
  readonly quick: boolean;
  /** 1-minute load average at the start and at the end. */
  readonly loadAverage: readonly [before: number, after: number];
  readonly versions: Readonly<Record<string, string>>;
  readonly loads: readonly Load[];
  readonly rows: readonly Row[];
  /** Systems that could not be measured, and why. */
  readonly unavailable: readonly { readonly system: string; readonly reason: string }[];
}

/** Others worked on the machine while it was measured. */
export function wasBusy({ machine, loadAverage }: RelayEvidence): boolean {
  return loadAverage[0] > machine.cores;
}

/** What ratios refer to, when it was measured. */
export const baseSystem = "postfix";

const head = [
  "system",
  "accepts/s",
  "end to end/s",
  "CPU s/1,000",
  "peak MiB",
  "250 p50 ms",
  "250 p99 ms",
  `rate to ${baseSystem}`,
  "CPU",
] as const;

export function formatLoad({ label, messages, sessions }: Load, rows: readonly Row[]): string {
  const own = rows.filter((row) => row.load === label);
  return `\n${label} (${messages} messages, ${sessions} sessions)\n${formatTable(
    head,
    own.map((row) => cells(row, rows)),
  )}`;
}

export function formatEvidence(evidence: RelayEvidence): string {
  const { loads, rows, unavailable } = evidence;
  const sections = loads.map(({ label, messages, goal }) => {
    const own = rows.filter((row) => row.load === label);
    const missing = unavailable.map(({ system, reason }) => [system, `not measured: ${reason}`]);
    const table = formatMarkdownTable(head, [...own.map((row) => cells(row, rows)), ...missing]);
    return `## ${label}\n\n${messages} messages a run.\n\n${table}\n${formatGoal(label, goal, rows)}`;
  });
  return [preface(evidence), ...sections].join("\n");
}

function preface(evidence: RelayEvidence): string {
  const { date, command, machine, runs, quick, loadAverage, versions } = evidence;
  const disturbed = wasBusy(evidence)
    ? "\n**The machine was busy with other work: these figures are provisional.**\n"
    : "";
  const others = Object.entries(versions).map(([name, version]) => `, ${name} ${version}`);
  const hasty = quick ? "\n**A quick run with a quarter of the messages: not to be quoted.**\n" : "";
  return `# Relaying, side by side: ${date.slice(0, 10)}

Made by \`${command}\`, which anybody can run; the same figures are beside this in JSON.
${hasty}${disturbed}
* **Machine:** ${formatMachine(machine)}${others.join("")}. Load average ${loadAverage[0].toFixed(2)} before, ${loadAverage[1].toFixed(2)} after.
* **Path:** \`smtp-source\` (20 sessions) → system → \`smtp-sink\`, all on this machine over loopback. Source and sink take their
  share of the same cores, so the rates of fast systems are held down more than those of slow ones.
* **Durability:** every system says 250 only after an fsync. Postfix and Haraka write a file a message, Postern appends to a
  log and one fdatasync answers for all that wait. Haraka does not sync the queue's folder.
* **Work:** Postern runs as one process from source, with twelve words in \`policy.rcpt\` on local tables and every hook
  tapped once. \`postfix\` is Debian's configuration, \`postfix-tuned\` has wider limits, cached connections and no client name
  look-up (\`bench/relay/postfix.ts\`); \`haraka\` has a process for each core, its outbound queue and its packaged configuration.
* **Method:** systems take turns within each round, after a warm-up; median of ${runs} ${runs === 1 ? "run" : "runs"}. All systems stay up throughout; those that
  are not measured are idle. Accepted: until the last 250. End to end: until the sink has the last message.
* **CPU** is user and system time of all the system's processes, half a second of tidying after the last message included, the
  kernel's own threads not. **Memory** is the highest sum of proportional set sizes (shared pages count once), sampled four
  times a second.
* **Latency** is from the final dot to the 250, measured after each rate run, apart from it, under a light load: two sessions over
  real sockets at a fixed pace of 50 messages a second in all (10 at 1 MiB).
* **Columns:** "rate" is end to end against Postfix as packaged; CPU 1/8 is an eighth of its CPU a message.
`;
}

function cells(row: Row, rows: readonly Row[]): string[] {
  const ratios = row.system === baseSystem ? undefined : ratiosOf(rows, row.load, row.system, baseSystem);
  return [
    row.system,
    row.acceptPerSecond.toFixed(0),
    row.endToEndPerSecond.toFixed(0),
    row.cpuPerThousand.toFixed(2),
    (row.peakMemoryBytes / 2 ** 20).toFixed(0),
    row.latencyP50.toFixed(1),
    row.latencyP99.toFixed(1),
    ratios === undefined ? "" : `${ratios.rate.toFixed(1)}×`,
    ratios === undefined ? "" : `1/${ratios.cpuPart.toFixed(1)}`,
  ];
}

function formatGoal(label: string, goal: Load["goal"], rows: readonly Row[]): string {
  const ratios = ratiosOf(rows, label, "postern", baseSystem);
  if (goal === undefined || ratios === undefined) return "";
  const said = (met: boolean): string => (met ? "met" : "**missed**");
  return (
    `\nGoal: ${goal.rate} times Postfix (${said(ratios.rate >= goal.rate)}: ${ratios.rate.toFixed(1)}), ` +
    `1/${goal.cpuPart} of its CPU (${said(ratios.cpuPart >= goal.cpuPart)}: 1/${ratios.cpuPart.toFixed(1)}).\n`
  );
}
