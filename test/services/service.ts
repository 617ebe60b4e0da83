// One real service as a child process: started, waited for until it truly answers, and stopped. Only processes started
// here are ever signalled, and none outlives the test process.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { listProcesses, standStill } from "./processes.ts";

const READY_MS = 90_000;
const STOP_MS = 30_000;
const POLL_MS = 20;

export interface ServiceOptions {
  /** Its standard output and error. */
  readonly logFile: string;
  /** Resolves when it answers; called again as long as it rejects. */
  readonly ready: () => Promise<unknown>;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** A process group of its own, for a service with workers: they are paused and killed with it. */
  readonly ownGroup?: boolean;
}

export interface Service extends AsyncDisposable {
  readonly pid: number;
  /** What it has written so far. */
  log(): string;
  /** SIGSTOP: sockets stay open, nobody answers. Resolves when it stands still. */
  pause(): Promise<void>;
  /** SIGCONT. */
  resume(): void;
  /** SIGTERM, after half a minute SIGKILL; resolves when it has ended. Calling it again is harmless. */
  stop(): Promise<void>;
  /** SIGKILL; resolves when it has ended. */
  kill(): Promise<void>;
}

/** Those that run, to be ended should the test process exit without stopping them. */
const running = new Map<ChildProcess, boolean>();
process.on("exit", () => {
  for (const [child, ownGroup] of running) signal(child, ownGroup, "SIGKILL");
});

/** Starts a program and waits until it is ready. Rejects with the end of its log when it ends or stays mute. */
export async function startService(
  program: string,
  args: readonly string[],
  options: ServiceOptions,
): Promise<Service> {
  const ownGroup = options.ownGroup ?? false;
  const output = openSync(options.logFile, "a");
  const child = spawn(program, args, {
    stdio: ["ignore", output, output],
    detached: ownGroup,
    env: options.env ?? process.env,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  closeSync(output);
  running.set(child, ownGroup);
  let ended: string | undefined;
  const over = new Promise<void>((resolve) => {
    const end = (how: string) => {
      ended = how;
      running.delete(child);
      resolve();
    };
    child.once("error", (error) => end(error.message));
    child.once("exit", (code, killer) => end(killer === null ? `status ${code}` : killer));
  });
  const log = () => readFileSync(options.logFile, "utf8");

  const finish = async (first: NodeJS.Signals): Promise<void> => {
    if (ended === undefined) {
      if (first === "SIGKILL") signal(child, ownGroup, first);
      else {
        // A stopped process keeps SIGTERM waiting.
        signal(child, ownGroup, "SIGCONT");
        signal(child, false, first);
      }
      const timer = setTimeout(() => signal(child, ownGroup, "SIGKILL"), STOP_MS);
      await over;
      clearTimeout(timer);
    }
    if (ownGroup) await endGroup(child);
  };
  const stop = () => finish("SIGTERM");

  const deadline = performance.now() + READY_MS;
  for (;;) {
    try {
      await options.ready();
      break;
    } catch (error) {
      if (ended === undefined && performance.now() < deadline) await delay(POLL_MS);
      else {
        const why = ended === undefined ? `not ready within ${READY_MS} ms` : `ended with ${ended}`;
        await stop();
        throw new Error(`${program}: ${why}\n${log().slice(-4000)}`, { cause: error });
      }
    }
  }
  // Whoever answered was not ours if ours is gone: another process has its port.
  if (ended !== undefined) throw new Error(`${program}: ended with ${ended}\n${log().slice(-4000)}`);
  const { pid } = child;
  if (pid === undefined) throw new Error(`${program}: has no process id`);

  return {
    pid,
    log,
    pause: async () => {
      signal(child, ownGroup, "SIGSTOP");
      await standStill(ownGroup ? membersOf(pid).map((member) => member.pid) : [pid]);
    },
    resume: () => void signal(child, ownGroup, "SIGCONT"),
    stop,
    kill: () => finish("SIGKILL"),
    [Symbol.asyncDispose]: stop,
  };
}

function signal(child: ChildProcess, group: boolean, name: NodeJS.Signals): boolean {
  if (!group || child.pid === undefined) return child.kill(name);
  try {
    return process.kill(-child.pid, name);
  } catch {
    return false;
  }
}

/** Workers may outlive their master for a moment. */
async function endGroup(child: ChildProcess): Promise<void> {
  const deadline = performance.now() + STOP_MS;
  while (groupLives(child) && performance.now() < deadline) {
    signal(child, true, "SIGTERM");
    await delay(POLL_MS);
  }
  signal(child, true, "SIGKILL");
}

/** Zombies keep their group until somebody reaps them, but hold neither ports nor files. */
function groupLives(child: ChildProcess): boolean {
  if (child.pid === undefined || !signal(child, true, "SIGCONT")) return false;
  const members = membersOf(child.pid);
  return members.length === 0 || members.some(({ state }) => state !== "Z");
}

function membersOf(group: number) {
  return listProcesses().filter((process) => process.group === group);
}
