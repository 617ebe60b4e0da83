/** What the figures were measured on. */
import { execFileSync } from "node:child_process";
import { cpus, release, totalmem } from "node:os";
import { findProgram } from "../../test/services/programs.ts";

export interface Machine {
  readonly cores: number;
  readonly processor: string;
  readonly memoryGiB: number;
  readonly kernel: string;
  /** Of the folder where the queues lie: `ext4`; `tmpfs` makes every fsync free and the comparison void. */
  readonly fileSystem: string;
  readonly node: string;
  /** `undefined` when it is not installed. */
  readonly postfix: string | undefined;
}

export function describeMachine(folder: string): Machine {
  const processors = cpus();
  return {
    cores: processors.length,
    processor: processors[0]?.model.trim() ?? "unknown",
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    fileSystem: ask("df", "--output=fstype", folder)?.split("\n").at(-1) ?? "unknown",
    node: process.version,
    postfix: ask("postconf", "-d", "-h", "mail_version"),
  };
}

export function formatMachine({ cores, processor, memoryGiB, kernel, fileSystem, node, postfix }: Machine): string {
  const versions = [`Node ${node.replace(/^v/, "")}`, ...(postfix === undefined ? [] : [`Postfix ${postfix}`])];
  return `${cores} cores (${processor}), ${memoryGiB} GiB, Linux ${kernel}, queues on ${fileSystem}; ${versions.join(", ")}`;
}

function ask(program: string, ...args: readonly string[]): string | undefined {
  const path = findProgram(program);
  if (path === undefined) return undefined;
  return execFileSync(path, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
}
