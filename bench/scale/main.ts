/**
 * `npm run bench -- scale [--messages N] [--bytes 1024,4096] [--directory DIR] [--json]`: a queue with that many waiting messages. How fast
 * mail is accepted into it against an empty one, rounds in alternation, and what a start costs in time and memory, store and
 * scheduler together, in a process of its own: from a checkpoint, after a kill, and from the log alone.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { createIdSource, systemClock } from "../../packages/core/src/model/index.ts";
import { createSegmentStore, type QueueStore } from "../../packages/core/src/queue/index.ts";
import { median } from "../lib/statistics.ts";
import { accept, type Accepted, type Accepting } from "./accept.ts";

interface Start {
  readonly waiting: number;
  readonly openMs: number;
  readonly readyMs: number;
  readonly rssBytes: number;
}

const roundMessages = 50_000;
const rounds = 5;

export async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      messages: { type: "string", default: "1000000" },
      bytes: { type: "string", default: "1024,4096" },
      directory: { type: "string", default: tmpdir() },
      json: { type: "boolean", default: false },
    },
  });
  const nextId = createIdSource(Date.now, Math.random);
  for (const bytes of values.bytes.split(",").map(Number)) {
    const parent = mkdtempSync(join(values.directory, "postern-scale-"));
    try {
      const result = await measure(parent, { bytes, nextId }, Number(values.messages));
      process.stdout.write(values.json ? `${JSON.stringify(result)}\n` : format(result));
    } finally {
      rmSync(parent, { recursive: true });
    }
  }
}

async function measure(parent: string, accepting: Accepting, messages: number) {
  const directory = join(parent, "queue");
  const store = await openIn(directory);
  process.stderr.write(`filling with ${messages} messages of ${accepting.bytes} octets\n`);
  await accept(store, accepting, messages);
  const { empty, full } = await compareRates(parent, store, accepting);
  await store.close();
  const fromCheckpoint = await start(directory);
  // Some mail after the last checkpoint, and no farewell.
  await start(directory, roundMessages);
  const afterKill = await start(directory);
  const checkpointBytes = statSync(join(directory, "checkpoint")).size;
  rmSync(join(directory, "checkpoint"));
  const fromLog = await start(directory);
  return {
    messages,
    bytes: accepting.bytes,
    logBytes: sizeOfFolder(join(directory, "log")),
    checkpointBytes,
    accepted: { empty, full, share: full.perSecond / empty.perSecond },
    start: { fromCheckpoint, afterKill, fromLog },
  };
}

async function compareRates(parent: string, full: QueueStore, accepting: Accepting) {
  const rates: { empty: Accepted[]; full: Accepted[] } = { empty: [], full: [] };
  for (let round = 0; round < rounds; round += 1) {
    const directory = join(parent, `empty-${round}`);
    const empty = await openIn(directory);
    rates.empty.push(await accept(empty, accepting, roundMessages));
    await empty.close();
    rmSync(directory, { recursive: true });
    rates.full.push(await accept(full, accepting, roundMessages));
  }
  return { empty: medians(rates.empty), full: medians(rates.full) };
}

function medians(rounds: readonly Accepted[]): Accepted {
  return {
    perSecond: median(rounds.map(({ perSecond }) => perSecond)),
    cpuMicros: median(rounds.map(({ cpuMicros }) => cpuMicros)),
  };
}

async function openIn(directory: string): Promise<QueueStore> {
  const store = createSegmentStore({ directory, clock: systemClock });
  await store.open();
  return store;
}

/** Starts on that folder in a process of its own; with `more` it takes in so many messages and is killed. */
async function start(directory: string, more = 0): Promise<Start> {
  const args = ["--conditions=@postern/source", join(import.meta.dirname, "start.ts"), directory, String(more)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const [said] = await Promise.all([text(child.stdout), once(child, "exit")]);
  return JSON.parse(said) as Start;
}

function sizeOfFolder(folder: string): number {
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

function format(result: Awaited<ReturnType<typeof measure>>): string {
  const { messages, bytes, logBytes, checkpointBytes, accepted } = result;
  const lines = [
    `${messages} waiting messages of ${bytes} octets: log ${megabytes(logBytes)}, checkpoint ${megabytes(checkpointBytes)}`,
    `  accepted: ${Math.round(accepted.full.perSecond)}/s, ${Math.round(accepted.share * 100)} % of the empty queue's ${Math.round(accepted.empty.perSecond)}/s; CPU a message ${accepted.full.cpuMicros.toFixed(1)} µs, empty ${accepted.empty.cpuMicros.toFixed(1)} µs`,
  ];
  const names = {
    fromCheckpoint: "start from a checkpoint",
    afterKill: "start after a kill",
    fromLog: "start from the log alone",
  };
  for (const [key, name] of Object.entries(names) as [keyof typeof names, string][]) {
    const { waiting, openMs, readyMs, rssBytes } = result.start[key];
    const seconds = (ms: number) => (ms / 1000).toFixed(2);
    lines.push(
      `  ${name}: ${waiting} messages, ${seconds(readyMs)} s (${seconds(openMs)} s the store), ${megabytes(rssBytes)} resident at most`,
    );
  }
  return `${lines.join("\n")}\n`;
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}
