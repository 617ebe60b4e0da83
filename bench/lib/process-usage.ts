/** CPU and memory of a process and all its descendants, read from /proc. */
import { readFileSync, readdirSync } from "node:fs";

const ticksPerSecond = 100; // USER_HZ, fixed in the kernel's interface to user space

interface Stat {
  readonly pid: number;
  readonly parent: number;
  readonly cpuTicks: number;
}

/** User and system time of `pid` and everything below it, children that have ended included. */
export function readCpuSeconds(pid: number): number {
  return readFamily(pid).reduce((total, { cpuTicks }) => total + cpuTicks, 0) / ticksPerSecond;
}

/** Proportional set sizes added up, so that a page shared by many counts once. Needs the right to trace the processes. */
export function readMemoryBytes(pid: number): number {
  return readFamily(pid).reduce((total, member) => total + readPss(member.pid), 0);
}

/** One process; `VmRSS`, or `VmHWM` for its peak. Throws when it is gone. */
export function readStatusBytes(pid: number, field: "VmRSS" | "VmHWM"): number {
  const line = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(readFileSync(`/proc/${pid}/status`, "latin1"));
  return Number(line?.[1]) * 1024;
}

/** A process that ends meanwhile is left out. */
function readFamily(pid: number): readonly Stat[] {
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
  return stats.filter((stat) => family.has(stat.pid));
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
    return { pid, parent: fields[1] ?? 0, cpuTicks: utime + stime + cutime + cstime };
  } catch {
    return undefined;
  }
}

function readPss(pid: number): number {
  try {
    return Number(/^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "latin1"))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
