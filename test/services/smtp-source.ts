// Postfix's load generator: many messages over many sessions at once, ended when all are taken.
import { spawn } from "node:child_process";
import { programPath } from "./programs.ts";

export interface SmtpSourceOptions {
  readonly host?: string;
  readonly port: number;
  /** 1. */
  readonly messages?: number;
  /** Sessions at the same time; 1. */
  readonly sessions?: number;
  /** Size of the generated body, in bytes; smtp-source's own short one when not given. */
  readonly bodyBytes?: number;
  readonly sender?: string;
  readonly recipient?: string;
  /** More arguments of smtp-source(1), such as `-d` (one session for many messages). */
  readonly args?: readonly string[];
}

export interface SmtpSourceResult {
  readonly milliseconds: number;
  /** 0 when every message was taken. */
  readonly status: number;
  /** Its complaints; it stops at the first. */
  readonly errors: string;
}

export function runSmtpSource(options: SmtpSourceOptions): Promise<SmtpSourceResult> {
  const { messages = 1, sessions = 1, sender = "sender@source.test", recipient = "alice@example.test" } = options;
  const size = options.bodyBytes === undefined ? [] : ["-l", String(options.bodyBytes)];
  const counts = ["-m", String(messages), "-s", String(sessions), ...size];
  const target = `${options.host ?? "127.0.0.1"}:${options.port}`;
  const args = [...counts, "-f", sender, "-t", recipient, ...(options.args ?? []), target];
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const child = spawn(programPath("smtp-source"), args, { stdio: ["ignore", "ignore", "pipe"] });
    let errors = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      errors = (errors + text).slice(0, 10_000);
    });
    child.once("error", reject);
    child.once("close", (code) => {
      resolve({ milliseconds: performance.now() - started, status: code ?? 1, errors });
    });
  });
}
