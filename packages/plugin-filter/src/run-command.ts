/**
 * A command as a child process: never by a shell, in a process group of its own, with hardly any environment; content on its standard
 * input at its own pace, the beginning of its output kept. At its time limit, or when it is called off, the whole group is killed.
 */
import { spawn, type ChildProcess, type ChildProcessWithoutNullStreams } from "node:child_process";
import { constants } from "node:os";
import type { Writable } from "node:stream";
import type { Clock } from "@postern/core";
import type { Ended } from "./exit-status.ts";

export interface Invocation {
  /** The file, then its arguments. */
  readonly argv: readonly [string, ...string[]];
  readonly directory: string;
  /** `undefined`: ours. */
  readonly as: { readonly uid: number; readonly gid: number } | undefined;
  readonly timeLimitMs: number;
  readonly content: AsyncIterable<Uint8Array | string>;
  /** What it writes to standard output, when that is wanted apart; its answer is waited for. Else both are the output. */
  readonly onOutput?: (octets: Buffer) => unknown;
  readonly signal: AbortSignal;
}

/** It did not run, or what it was to read could not be read: nothing is known. */
export class CommandFailed extends Error {
  readonly reason: "start" | "content" | "aborted";

  constructor(reason: CommandFailed["reason"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CommandFailed";
    this.reason = reason;
  }
}

/** Octets of output that are kept. */
const keptOutput = 4096;
/** For children that it left behind to let go of its output. */
const lingeringMs = 500;

/** Rejects with `CommandFailed`. Nothing of its group is left when it settles, but for children that let go of its output. */
export function runCommand(invocation: Invocation, clock: Clock): Promise<Ended> {
  const { argv, timeLimitMs, content, onOutput, signal } = invocation;
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(new CommandFailed("aborted", "called off"));
    const [file] = argv;
    const child = start(invocation);
    const output: Buffer[] = [];
    let bytes = 0;
    let expired = false;
    let calledOff = false;
    let failed: CommandFailed | undefined;
    let ended: Pick<Ended, "code" | "signal"> | undefined;
    let lingering: { cancel(): void } | undefined;

    const keep = (octets: Buffer): void => {
      if (bytes >= keptOutput) return;
      output.push(octets.subarray(0, keptOutput - bytes));
      bytes += octets.length;
    };
    const fail = (error: CommandFailed): void => {
      failed ??= error;
      killGroup(child);
    };
    const onAbort = (): void => {
      calledOff = true;
      killGroup(child);
      // Of what has ended already only those who hold its output are left.
      if (ended !== undefined) letGo();
    };
    const timer = clock.setTimer(() => {
      expired = true;
      killGroup(child);
      letGo();
    }, timeLimitMs);
    signal.addEventListener("abort", onAbort, { once: true });

    const finish = async (): Promise<void> => {
      timer.cancel();
      lingering?.cancel();
      signal.removeEventListener("abort", onAbort);
      await drained;
      const { code, signal: killer } = ended ?? {};
      // What was killed has no status: one that it has is its own word, and the mail may be delivered by it.
      const killed = code === undefined;
      if (killed && calledOff && !expired) return reject(new CommandFailed("aborted", "called off"));
      if (failed !== undefined && !(killed && expired)) return reject(failed);
      const said = oneLine(Buffer.concat(output).toString("latin1"));
      resolve({ code, signal: killer, expired: killed && expired, output: said });
    };
    /** Whoever still holds its output is not waited for any more. */
    const letGo = (): void => {
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy();
    };

    child.once("error", (error) => {
      // Not started; or a signal could not be sent, and then the end comes by itself.
      if (child.pid !== undefined) return;
      failed = notStarted(file, error);
      void finish();
    });
    child.once("exit", (code, killer) => {
      ended = { code: code ?? undefined, signal: killer === null ? undefined : constants.signals[killer] };
      lingering = clock.setTimer(() => {
        killGroup(child);
        letGo();
      }, lingeringMs);
    });
    child.once("close", () => void finish());
    const drained = drain(child.stdout, onOutput, keep).catch((error: unknown) =>
      fail(new CommandFailed("content", "its output could not be kept", { cause: error })),
    );
    // Without descriptors for it, it has no streams at all.
    if (child.stdin === undefined) return;
    child.stderr?.on("data", keep);
    void feed(child.stdin, content).catch((error: unknown) =>
      fail(new CommandFailed("content", "the message could not be read", { cause: error })),
    );
  });
}

/** Its streams are not there when no descriptor was free. */
type Child = Partial<ChildProcessWithoutNullStreams> & Pick<ChildProcess, "pid" | "once">;

/** What cannot be started says so by "error", now or in a moment. Throws `CommandFailed`. */
function start({ argv: [file, ...args], directory, as }: Invocation): Child {
  try {
    return spawn(file, args, {
      cwd: directory,
      env: environment(),
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
      ...(as === undefined ? {} : { uid: as.uid, gid: as.gid }),
    });
  } catch (error) {
    throw notStarted(file, error as NodeJS.ErrnoException);
  }
}

/** Of too many words the message is to blame, not the command. */
function notStarted(file: string, error: NodeJS.ErrnoException): CommandFailed {
  return new CommandFailed(error.code === "E2BIG" ? "content" : "start", `${file}: ${error.message}`, { cause: error });
}

/** Output that is wanted must be there to its end; what is only kept may be cut off by us. */
async function drain(
  stream: AsyncIterable<Buffer> | undefined,
  wanted: Invocation["onOutput"],
  keep: (octets: Buffer) => void,
): Promise<void> {
  try {
    for await (const octets of stream ?? []) await (wanted ?? keep)(octets);
  } catch (error) {
    if (wanted !== undefined || (error as NodeJS.ErrnoException).code !== "ERR_STREAM_PREMATURE_CLOSE") throw error;
  }
}

/** A command may stop reading when it likes; only content that cannot be read is an error. */
async function feed(stdin: Writable, content: AsyncIterable<Uint8Array | string>): Promise<void> {
  let wake: (() => void) | undefined;
  stdin.on("error", () => wake?.());
  stdin.on("drain", () => wake?.());
  stdin.on("close", () => wake?.());
  for await (const piece of content) {
    if (!stdin.writable) return;
    if (typeof piece === "string" ? stdin.write(piece, "latin1") : stdin.write(piece)) continue;
    if (stdin.writable) await new Promise<void>((resolve) => (wake = resolve));
  }
  stdin.end();
}

function killGroup({ pid }: Child): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // All of it has ended.
  }
}

/** The search path of a login without rights, and what says how to write times and texts. */
function environment(): NodeJS.ProcessEnv {
  const { TZ, LANG } = process.env;
  return {
    PATH: "/usr/bin:/bin",
    ...(TZ === undefined ? {} : { TZ }),
    ...(LANG === undefined ? {} : { LANG }),
  };
}

function oneLine(output: string): string {
  return output
    .replace(/[\t\r\n]+/g, " ")
    .replace(/[^\x20-\x7e]/g, "_")
    .trim();
}
