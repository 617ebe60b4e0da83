// What proc(5) tells of processes; on systems without it nothing is known, and then nothing is waited for.
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

export interface ProcessStat {
  /** R, S, T, Z … */
  readonly state: string;
  readonly group: number;
}

/** Everything that runs. */
export function listProcesses(): (ProcessStat & { readonly pid: number })[] {
  return numbersIn("/proc").flatMap((pid) => {
    const found = readStat(`/proc/${pid}/stat`);
    return found === undefined ? [] : [{ ...found, pid }];
  });
}

/**
 * After SIGSTOP. The kernel stops a process when one of its threads takes the signal up; until then the others go on, and may answer
 * whoever asks.
 */
export async function standStill(pids: readonly number[]): Promise<void> {
  const stand = (pid: number): boolean =>
    numbersIn(`/proc/${pid}/task`).every((thread) =>
      "TZX".includes(readStat(`/proc/${pid}/task/${thread}/stat`)?.state ?? "X"),
    );
  while (!pids.every(stand)) await delay(1);
}

function readStat(path: string): ProcessStat | undefined {
  try {
    const [, state = "", group = ""] = /\) (\S) \d+ (\d+)/.exec(readFileSync(path, "latin1")) ?? [];
    return { state, group: Number(group) };
  } catch {
    return undefined; // it has ended
  }
}

/** Nothing when there is no such folder. */
function numbersIn(folder: string): number[] {
  try {
    return readdirSync(folder)
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}
