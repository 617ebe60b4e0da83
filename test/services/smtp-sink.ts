// Postfix's test server: takes every mail and throws it away, or keeps each in a file, or fails as told. Fast enough not
// to be what a benchmark measures.
import { chownSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { ask, freePort } from "./ports.ts";
import { programPath } from "./programs.ts";
import { startService } from "./service.ts";
import type { Service } from "./service.ts";

export interface SmtpSinkOptions {
  /** Its data go into `smtp-sink` below this folder. */
  readonly folder: string;
  readonly port?: number;
  /** An address of loopback: 127.0.0.1. */
  readonly address?: string;
  /** Keeps every message in a file of its own. */
  readonly keep?: boolean;
  /** More arguments of smtp-sink(1), such as `-r DATA` (soft errors) or `-q .` (hang up after the dot). */
  readonly args?: readonly string[];
}

export interface SmtpSink extends Service {
  readonly host: string;
  readonly port: number;
  /** How many messages it has taken. */
  count(): number;
  /**
   * With `keep`, what it has taken: lines `X-Client-Addr:` to `X-Rcpt-Args:` of its own first, then the message, all with LF.
   */
  messages(): string[];
}

export async function startSmtpSink(options: SmtpSinkOptions): Promise<SmtpSink> {
  const port = options.port ?? (await freePort());
  const host = options.address ?? "127.0.0.1";
  const home = join(options.folder, "smtp-sink");
  const kept = join(home, "mail");
  mkdirSync(kept, { recursive: true });
  const args = ["-c", "-h", "sink.example.test", ...(options.keep === true ? ["-d", join(kept, "%M.")] : [])];
  if (process.getuid?.() === 0) {
    // It refuses to stay root.
    chownSync(kept, idOf("-u"), idOf("-g"));
    args.push("-u", "nobody");
  }
  const service = await startService(
    programPath("smtp-sink"),
    [...args, ...(options.args ?? []), `${host}:${port}`, "1024"],
    { logFile: join(home, "sink.log"), cwd: home, ready: () => ask(port, "QUIT\r\n", undefined, host) },
  );
  return {
    ...service,
    host,
    port,
    count: () => countMessages(service.log()),
    messages: () =>
      readdirSync(kept)
        .toSorted()
        .map((name) => readFileSync(join(kept, name), "utf8")),
  };
}

/** `-c` shows running counters, each state after a carriage return: `sess=1 quit=1 mesg=0`. */
function countMessages(log: string): number {
  return Number(/.*mesg=(\d+)/s.exec(log)?.[1] ?? 0);
}

function idOf(kind: "-u" | "-g"): number {
  return Number(execFileSync("id", [kind, "nobody"], { encoding: "utf8" }));
}
