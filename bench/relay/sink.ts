/** `smtp-sink` from the Postfix package, counting what it takes. */
import { spawn } from "node:child_process";
import { programPath } from "../../test/services/programs.ts";

export interface CountingSink {
  readonly port: number;
  messages(): number;
  /** Resolves when that many messages have arrived in all. */
  reached(count: number, withinMs: number): Promise<void>;
  stop(): void;
}

/** `-c` writes its counters over one line: `sess=N quit=N mesg=N`. */
const counter = /mesg=(\d+)/g;

export function startSink(port: number): CountingSink {
  const args = ["-c", `127.0.0.1:${port}`, "1000"];
  if (process.getuid?.() === 0) args.unshift("-u", "nobody");
  const child = spawn(programPath("smtp-sink"), args, { stdio: ["ignore", "pipe", "inherit"] });
  process.once("exit", () => child.kill());
  let messages = 0;
  let waiting: { count: number; resolve: () => void } | undefined;
  let line = "";
  child.stdout.setEncoding("latin1").on("data", (text: string) => {
    line = (line + text).slice(-200); // a number may come in two pieces
    const last = [...line.matchAll(counter)].at(-1);
    if (last !== undefined) messages = Number(last[1]);
    if (waiting !== undefined && messages >= waiting.count) {
      waiting.resolve();
      waiting = undefined;
    }
  });
  return {
    port,
    messages: () => messages,
    reached(count, withinMs) {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`sink got ${messages} of ${count} messages`)), withinMs);
        waiting = {
          count,
          resolve() {
            clearTimeout(timer);
            resolve();
          },
        };
        if (messages >= count) waiting.resolve();
      });
    },
    stop: () => void child.kill(),
  };
}
