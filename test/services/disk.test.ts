// The disks do what the stories need of them: lose exactly what was not synced, and be full.
import {
  closeSync,
  fdatasyncSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeUnless } from "./describe-with.ts";
import { mountPowerDisk, mountTmpfs, requireMount, requirePowerDisk } from "./disk.ts";
import { temporaryFolder } from "./folder.ts";

describeUnless(requirePowerDisk(), "a disk with a power switch", () => {
  test("a power cut loses what was not synced, and nothing else", () => {
    using folder = temporaryFolder();
    using disk = mountPowerDisk(folder.path, "32M");
    const synced = openSync(join(disk.path, "synced"), "w");
    writeSync(synced, "kept");
    fdatasyncSync(synced);
    const directory = openSync(disk.path, "r");
    fsyncSync(directory);
    writeSync(synced, " and lost");
    writeFileSync(join(disk.path, "lost"), "lost");
    mkdirSync(join(disk.path, "folder"));
    disk.cut();
    expect(() => {
      writeSync(synced, "too late");
      fdatasyncSync(synced);
    }).toThrow(/EIO/);
    closeSync(synced);
    closeSync(directory);
    disk.restore();
    expect(readFileSync(join(disk.path, "synced"), "latin1")).toBe("kept");
    expect(() => readFileSync(join(disk.path, "lost"))).toThrow(/ENOENT/);
    expect(() => openSync(join(disk.path, "folder"), "r")).toThrow(/ENOENT/);
  });
});

describeUnless(requireMount(), "a tmpfs", () => {
  test("is full at its size", () => {
    using folder = temporaryFolder();
    using disk = mountTmpfs(folder.path, "1m");
    expect(() => writeFileSync(join(disk.path, "large"), Buffer.alloc(2_000_000))).toThrow(/ENOSPC/);
  });
});
