/** One run: `smtp-source` → system → `smtp-sink`, both counted, with the system's CPU and memory. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readUsage } from "../lib/process-usage.ts";
import type { CountingSink } from "./sink.ts";

/** A relay under test: listens on loopback and sends everything to the sink. */
export interface System {
  readonly name: string;
  readonly port: number;
  /** Root of the process tree that is measured. */
  readonly pid: number;
  stop(): Promise<void>;
}

export interface Load {
  readonly label: string;
  readonly messages: number;
  readonly sizeBytes: number;
  readonly sessions: number;
  /** Many messages over each session, or a session for each message. */
  readonly keepSession: boolean;
}

export interface Result {
  readonly acceptPerSecond: number;
  readonly endToEndPerSecond: number;
  /** CPU seconds per 1,000 messages. */
  readonly cpuPerThousand: number;
  readonly peakRssBytes: number;
}

const longestRunMs = 180_000;

export async function runLoad(system: System, sink: CountingSink, load: Load): Promise<Result> {
  const target = sink.messages() + load.messages;
  const before = readUsage(system.pid);
  let peakRssBytes = before.rssBytes;
  const sampler = setInterval(() => {
    peakRssBytes = Math.max(peakRssBytes, readUsage(system.pid).rssBytes);
  }, 200);
  try {
    const startedAt = performance.now();
    const received = sink.reached(target, longestRunMs);
    await send(system.port, load);
    const acceptedAt = performance.now();
    await received;
    const doneAt = performance.now();
    const cpuSeconds = readUsage(system.pid).cpuSeconds - before.cpuSeconds;
    return {
      acceptPerSecond: load.messages / ((acceptedAt - startedAt) / 1000),
      endToEndPerSecond: load.messages / ((doneAt - startedAt) / 1000),
      cpuPerThousand: (cpuSeconds / load.messages) * 1000,
      peakRssBytes,
    };
  } finally {
    clearInterval(sampler);
  }
}

async function send(port: number, { messages, sizeBytes, sessions, keepSession }: Load): Promise<void> {
  const args = ["-s", String(sessions), "-m", String(messages), "-l", String(sizeBytes)];
  if (keepSession) args.push("-d");
  args.push("-f", "sender@source.test", "-t", "user@example.test", `127.0.0.1:${port}`);
  const source = spawn("smtp-source", args, { stdio: ["ignore", "inherit", "inherit"], timeout: longestRunMs });
  const [status] = (await once(source, "exit")) as [number | null];
  if (status !== 0) throw new Error(`smtp-source ended with ${status}`);
}
