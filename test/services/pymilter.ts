// A milter of our own in Python, on the real libmilter, that does what plans say and notes what it is told.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execFileSync } from "node:child_process";
import { startMilter, type Milter } from "./libmilter.ts";
import { freePort } from "./ports.ts";
import { programPath } from "./programs.ts";

const script = fileURLToPath(new URL("pymilter/planned_milter.py", import.meta.url));

/** What it does about one call of an event. */
export type PlanEntry =
  | "accept"
  | "reject"
  | "discard"
  | "tempfail"
  | "skip"
  | "continue"
  | "die"
  | { readonly reply: readonly [code: string, enhanced: string | null, ...lines: string[]] }
  | { readonly sleep?: number; readonly changes?: readonly PlannedChange[]; readonly ruling?: PlanEntry };

/** Names and arguments are pymilter's. */
export type PlannedChange =
  | readonly ["addheader", name: string, value: string]
  | readonly ["insheader", index: number, name: string, value: string]
  | readonly ["chgheader", name: string, index: number, value: string]
  | readonly ["addrcpt" | "chgfrom", address: string, args?: string]
  | readonly ["delrcpt", address: string]
  | readonly ["replacebody", octets: string]
  | readonly ["quarantine", reason: string]
  | readonly ["progress"];

/** In the order of a session. */
export const stages = Object.freeze([
  "connect",
  "helo",
  "envfrom",
  "envrcpt",
  "data",
  "header",
  "eoh",
  "body",
  "eom",
] as const);
export type PlannedEvent = (typeof stages)[number] | "unknown";

/** One entry a call; the last one stays. */
export type Plan = Readonly<Partial<Record<PlannedEvent, readonly PlanEntry[]>>>;

/** An event as it came. `body` is all of a body, noted before `eom`. */
export interface MilterNote {
  /** They are counted from 0; what is heard over one has an order. */
  readonly connection: number;
  readonly event: PlannedEvent | "abort" | "close";
  readonly args: readonly string[];
  /** Those that could be had, of many that were asked for. */
  readonly macros: Readonly<Record<string, string>>;
}

export interface PyMilterOptions {
  /** Its data go into `name` below this folder; others with the same `plans` may share them. */
  readonly folder: string;
  readonly name?: string;
  readonly port?: number;
  /** Steps and actions that it asks for (SMFIP_…, SMFIF_…), and macros by stage. All actions and no steps unless given. */
  readonly variant?: {
    readonly steps?: number;
    readonly actions?: number;
    readonly macros?: Readonly<Record<string, string>>;
  };
}

export interface PyMilter extends Milter {
  /** For sessions of a client with this address, from its next session on. */
  plan(address: string, plan: Plan): void;
  /** Notes from now on are kept under this name. */
  tag(name: string): void;
  notes(tag: string, address: string): readonly MilterNote[];
}

/** Why it cannot run here; `undefined`: it can. */
export function requirePymilter(): string | undefined {
  try {
    execFileSync(python(), ["-c", "import Milter"], { stdio: "ignore" });
    return undefined;
  } catch {
    return "needs python3-milter, which is not installed";
  }
}

export async function startPyMilter(options: PyMilterOptions): Promise<PyMilter> {
  const home = join(options.folder, options.name ?? "pymilter");
  const [plans, notes] = [join(home, "plans"), join(home, "notes")];
  for (const folder of [plans, notes]) mkdirSync(folder, { recursive: true });
  const port = options.port ?? (await freePort());
  const tag = (name: string): void => writeFileSync(join(home, "tag"), name);
  tag("notes");
  const args = [script, `inet:${port}@127.0.0.1`, home, JSON.stringify(options.variant ?? {})];
  const milter = await startMilter(python(), args, port, { logFile: join(home, "log") });
  return {
    ...milter,
    tag,
    plan: (address, plan) => writeFileSync(join(plans, `${address}.json`), JSON.stringify(plan)),
    notes(name, address) {
      const file = join(notes, `${name}-${address}`);
      if (!existsSync(file)) return [];
      const lines = readFileSync(file, "utf8").split("\n");
      return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as MilterNote);
    },
  };
}

/** The one that Debian's package belongs to, whatever else is first in the path. */
function python(): string {
  return existsSync("/usr/bin/python3") ? "/usr/bin/python3" : programPath("python3");
}
