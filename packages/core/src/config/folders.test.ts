// Folders that somebody else could write.
import { chmodSync, chownSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { checkFolderOwners } from "./folders.ts";
import { resolveConfig } from "./resolve.ts";

const root = mkdtempSync(join(tmpdir(), "postern-folders-"));
afterAll(() => rmSync(root, { recursive: true }));

const amRoot = process.getuid?.() === 0;

function configWith(change: (folder: string) => void) {
  const directory = mkdtempSync(join(root, "queue-"));
  change(directory);
  const state = { directory: join(root, "none") };
  const listeners = [{ host: "127.0.0.1", port: 2525 }];
  const config = { hostname: "mx.example.test", listeners, queue: { directory }, state, control: state };
  return resolveConfig(config, { file: join(root, "postern.config.json") });
}

test("a folder of another user is refused, whoever we are", () => {
  const config = configWith((folder) => amRoot && chownSync(folder, 4242, 4242));
  for (const uid of [0, 7]) {
    expect(() => checkFolderOwners(config, { uid })).toThrow(
      /queue\.directory: \S+ cannot be used: it belongs to user \d+/,
    );
  }
});

test("root uses no folder that others may write", () => {
  const config = configWith((folder) => chmodSync(folder, 0o777));
  expect(() => checkFolderOwners(config, { uid: 0 })).toThrow(/may be written by others|belongs to user/);
});

test("our own folder, and one that is not there yet, are fine", () => {
  const config = configWith(() => {});
  expect(() => checkFolderOwners(config)).not.toThrow();
  rmSync(config.queue.directory, { recursive: true });
  expect(() => checkFolderOwners(config, { uid: 0 })).not.toThrow();
});
