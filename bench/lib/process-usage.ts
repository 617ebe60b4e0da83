/** CPU and memory of a process and all its descendants, read from /proc. */
import { readFileSync, readdirSync } from "node:fs";

export interface Usage {
  /** User and system time, children that have ended included. */
  readonly cpuSeconds: number;
  /** Resident sets added up; shared pages count in each. */
  readonly rssBytes: number;
}

const ticksPerSecond = 100; // USER_HZ, fixed in the kernel's interface to user space
const pageBytes = 4096;

interface Stat {
  readonly pid: number;
  readonly parent: number;
  readonly cpuTicks: number;
  readonly rssPages: number;
}

/** Sum over `pid` and everything below it. A process that ends meanwhile is left out. */
export function readUsage(pid: number): Usage {
  const stats = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readStat(Number(name)))
    .filter((stat) => stat !== undefined);
  const family = new Set([pid]);
  // Parents come before their children only by pid order, which wraps: go on until nobody joins.
  for (let before = 0; before !== family.size;) {
    before = family.size;
    for (const stat of stats) if (family.has(stat.parent)) family.add(stat.pid);
  }
  const members = stats.filter((stat) => family.has(stat.pid));
  return {
    cpuSeconds: sum(members, (stat) => stat.cpuTicks) / ticksPerSecond,
    rssBytes: sum(members, (stat) => stat.rssPages) * pageBytes,
  };
}

function readStat(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The command's name may hold spaces and parentheses: fields count from the last one.
    const fields = text
      .slice(text.lastIndexOf(")") + 2)
      .split(" ")
      .map(Number);
    const [utime = 0, stime = 0, cutime = 0, cstime = 0] = fields.slice(11, 15);
    return { pid, parent: fields[1] ?? 0, cpuTicks: utime + stime + cutime + cstime, rssPages: fields[21] ?? 0 };
  } catch {
    return undefined;
  }
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
