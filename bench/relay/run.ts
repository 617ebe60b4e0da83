/** One run: `smtp-source` → system → `smtp-sink`, both counted, with the system's CPU and memory. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { measureLatency } from "../lib/latency-client.ts";
import { readCpuSeconds, readMemoryBytes } from "../lib/process-usage.ts";
import { programPath } from "../../test/services/programs.ts";
import type { Load } from "./loads.ts";
import type { CountingSink } from "./sink.ts";

/** A relay under test: listens on loopback and sends everything to the sink. */
export interface System {
  readonly name: string;
  readonly port: number;
  /** Root of the process tree that is measured. */
  readonly pid: number;
  stop(): Promise<void>;
}

export interface Rates {
  readonly acceptPerSecond: number;
  readonly endToEndPerSecond: number;
  /** CPU seconds per 1,000 messages. */
  readonly cpuPerThousand: number;
  /** Proportional set size of all its processes, sampled. */
  readonly peakMemoryBytes: number;
}

const longestRunMs = 180_000;
const sampleEveryMs = 250;
/** After the last message has arrived a system still tidies its queue: that is its work too. */
const afterworkMs = 500;
const latencySessions = 2;

export async function runLoad(system: System, sink: CountingSink, load: Load): Promise<Rates> {
  const target = sink.messages() + load.messages;
  const cpuBefore = readCpuSeconds(system.pid);
  let peakMemoryBytes = readMemoryBytes(system.pid);
  const sampler = setInterval(() => {
    peakMemoryBytes = Math.max(peakMemoryBytes, readMemoryBytes(system.pid));
  }, sampleEveryMs);
  try {
    const startedAt = performance.now();
    const received = sink.reached(target, longestRunMs);
    const [acceptedAt, doneAt] = await Promise.all([
      send(system.port, load).then(() => performance.now()),
      received.then(() => performance.now()),
    ]);
    clearInterval(sampler);
    await delay(afterworkMs);
    const cpuSeconds = readCpuSeconds(system.pid) - cpuBefore;
    return {
      acceptPerSecond: load.messages / ((acceptedAt - startedAt) / 1000),
      endToEndPerSecond: load.messages / ((doneAt - startedAt) / 1000),
      cpuPerThousand: (cpuSeconds / load.messages) * 1000,
      peakMemoryBytes,
    };
  } finally {
    clearInterval(sampler);
  }
}

/** Waits for the 250, in milliseconds, under a light load of its own; ends when all of it has arrived. */
export async function runLatency(
  system: System,
  sink: CountingSink,
  { latency, sizeBytes }: Load,
): Promise<readonly number[]> {
  const before = sink.messages();
  const waits = await measureLatency({ port: system.port, sizeBytes, sessions: latencySessions, ...latency });
  await sink.reached(before + waits.length, longestRunMs);
  return waits;
}

async function send(port: number, { messages, sizeBytes, sessions, keepSession }: Load): Promise<void> {
  const args = ["-s", String(sessions), "-m", String(messages), "-l", String(sizeBytes)];
  if (keepSession) args.push("-d");
  args.push("-f", "sender@source.test", "-t", "user@example.test", `127.0.0.1:${port}`);
  const source = spawn(programPath("smtp-source"), args, {
    stdio: ["ignore", "inherit", "inherit"],
    timeout: longestRunMs,
  });
  const [status] = (await once(source, "exit")) as [number | null];
  if (status !== 0) throw new Error(`smtp-source ended with ${status}`);
}
