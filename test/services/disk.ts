// Disks that fill up and lose power, for root: a small tmpfs, and an ext4 in a file whose power can be cut. Both are unmounted at
// the end, whoever still has files open there.
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { programPath } from "./programs.ts";
import { temporaryFolder } from "./folder.ts";

export interface Disk extends Disposable {
  /** Where it is mounted. */
  readonly path: string;
}

export interface PowerDisk extends Disk {
  /**
   * The power is gone: what was not synced before this moment is lost, and every call from now on fails with EIO. Whoever has files
   * open there must end before `restore`.
   */
  cut(): void;
  /** The power is back: the same disk, as it was left, at the same path. */
  restore(): void;
}

/** Why a test that mounts disks must be skipped: `undefined` when it need not. */
export function requireMount(): string | undefined {
  if (process.getuid?.() !== 0) return "needs root";
  using folder = temporaryFolder();
  try {
    mountTmpfs(folder.path, "1m")[Symbol.dispose]();
    return undefined;
  } catch {
    return "needs the right to mount";
  }
}

/** The same for a disk with a power switch. */
export function requirePowerDisk(): string | undefined {
  const reason = requireMount();
  if (reason !== undefined) return reason;
  using folder = temporaryFolder();
  try {
    using disk = mountPowerDisk(folder.path, "16M");
    disk.cut();
    disk.restore();
    return undefined;
  } catch {
    return "needs ext4, a loop device and python3";
  }
}

/** `size` as mount(8) takes it, `8m`. What is in it is lost at the end. */
export function mountTmpfs(folder: string, size: string): Disk {
  const path = join(folder, "tmpfs");
  mkdirSync(path);
  run("mount", "-t", "tmpfs", "-o", `size=${size},mode=0700`, "none", path);
  return { path, [Symbol.dispose]: () => unmount(path) };
}

/** `size` as truncate(1) takes it, `64M`. */
export function mountPowerDisk(folder: string, size: string): PowerDisk {
  const path = join(folder, "disk");
  const imageOf = (life: number) => join(folder, `disk-${life}.img`);
  let life = 0;
  mkdirSync(path);
  run("truncate", "-s", size, imageOf(life));
  run("mkfs.ext4", "-q", "-F", imageOf(life));
  // It must not sync by itself meanwhile: only what was asked for is to be safe.
  const mount = () => run("mount", "-o", "loop,noatime,commit=3600", imageOf(life), path);
  mount();
  return {
    path,
    cut: () => shutDown(path),
    restore: () => {
      unmount(path);
      // A copy of what had reached the disk: the dead file system may live on in a mount namespace that somebody else made meanwhile.
      run("cp", "--sparse=always", imageOf(life), imageOf(life + 1));
      rmSync(imageOf(life));
      life += 1;
      mount();
    },
    [Symbol.dispose]: () => unmount(path),
  };
}

/** EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH (linux/fs/ext4/ext4.h): the file system stops dead, its journal unwritten. */
function shutDown(path: string): void {
  const program = [
    "import fcntl, os, struct, sys",
    "fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))",
  ];
  run("python3", "-c", program.join("\n"), path);
}

function unmount(path: string): void {
  try {
    run("umount", path);
  } catch {
    // Somebody has a file open there: it goes when that is closed.
    run("umount", "--lazy", path);
  }
}

function run(program: string, ...args: readonly string[]): void {
  execFileSync(programPath(program), args, { stdio: ["ignore", "ignore", "pipe"] });
}
