/** The file of the state: made, kept private, opened, and set aside when it is damaged. */
import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { ConfigError } from "../errors.ts";

/** What stands in `user_version`. Another number is another layout. */
const layoutVersion = 2;

/** Loaded when the first file is opened: memory needs no SQLite, and a Node without it can run that. */
function sqlite(): typeof import("node:sqlite") {
  const module = process.getBuiltinModule("node:sqlite");
  if (module === undefined)
    throw new ConfigError("the state store in a file needs a Node.js with node:sqlite; this one has none");
  return module;
}

/** The path of the database in `directory`, which is made (0700) if only it is missing. Throws ConfigError. */
export function prepareFile(directory: string): string {
  const folder = resolve(directory);
  const path = join(folder, "state.sqlite");
  try {
    makeFolder(folder);
    makePrivateFile(path);
    accessSync(folder, constants.W_OK);
    accessSync(path, constants.W_OK);
  } catch (cause) {
    throw new ConfigError(`state.directory ${folder} cannot be used: ${reasonOf(cause, folder)}`, { cause });
  }
  return path;
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  }
}

/** SQLite gives its other files the mode of this one. */
function makePrivateFile(path: string): void {
  try {
    closeSync(openSync(path, "wx", 0o600));
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
    // Never opened here: closing a file drops all locks that this process has on it, another connection's too.
    if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, 0o600);
  }
}

function reasonOf(cause: unknown, folder: string): string {
  const code = codeOf(cause);
  if (code === "ENOENT") return `its parent ${dirname(folder)} does not exist`;
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") return "it is not writable for this user";
  if (code === "ENOTDIR") return "it is not a folder";
  if (code === "ENOSPC" || code === "EDQUOT") return "its disk is full";
  return `the system says ${code ?? "no more"}`;
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

export interface FileLimits {
  readonly busyTimeoutMs: number;
  readonly maxSizeBytes: number;
}

/** Opens the database and lays it out when it is new. Throws SQLite's errors; ConfigError for the layout of another version. */
export function openFile(path: string, { busyTimeoutMs, maxSizeBytes }: FileLimits): DatabaseSync {
  const { DatabaseSync: Database } = sqlite();
  const database = new Database(path, { timeout: busyTimeoutMs });
  try {
    // The last writes may be lost with the power, no more: what is here may be lost.
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 16777216");
    // The checkpointer does it sooner, elsewhere.
    database.exec("PRAGMA wal_autocheckpoint = 10000");
    const version = layoutOf(database);
    if (version > layoutVersion)
      throw new ConfigError(
        `${path} was written by a newer version (layout ${version}, this one knows ${layoutVersion}): move it away to begin anew`,
      );
    if (version < layoutVersion) layOut(database);
    const { page_size: pageSize } = database.prepare("PRAGMA page_size").get() as { page_size: number };
    database.exec(`PRAGMA max_page_count = ${Math.max(1, Math.floor(maxSizeBytes / pageSize))}`);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function layoutOf(database: DatabaseSync): number {
  return (database.prepare("PRAGMA user_version").get() as { user_version: number }).user_version;
}

/**
 * A new file, or one of layout 1, which kept no count of a space's entries. Two processes may do this at once: the second finds it done.
 * The count stands in the file because several processes may share it, and is kept by triggers because counting millions takes too long.
 */
function layOut(database: DatabaseSync): void {
  database.exec(`
    BEGIN IMMEDIATE;
    CREATE TABLE IF NOT EXISTS entries (
      space TEXT NOT NULL, key TEXT NOT NULL, expires_at INTEGER NOT NULL, value TEXT NOT NULL,
      PRIMARY KEY (space, key)
    ) WITHOUT ROWID;
    DROP INDEX IF EXISTS entries_by_expiry;
    CREATE INDEX IF NOT EXISTS entries_by_space_and_expiry ON entries (space, expires_at);
    CREATE TABLE IF NOT EXISTS spaces (name TEXT PRIMARY KEY, entries INTEGER NOT NULL) WITHOUT ROWID;
    DELETE FROM spaces;
    INSERT INTO spaces SELECT space, COUNT(*) FROM entries GROUP BY space;
    CREATE TRIGGER IF NOT EXISTS entries_in AFTER INSERT ON entries BEGIN
      INSERT INTO spaces VALUES (new.space, 1) ON CONFLICT (name) DO UPDATE SET entries = entries + 1;
    END;
    CREATE TRIGGER IF NOT EXISTS entries_out AFTER DELETE ON entries BEGIN
      UPDATE spaces SET entries = entries - 1 WHERE name = old.space;
    END;
    PRAGMA user_version = ${layoutVersion};
    COMMIT;
  `);
}

/** Does the whole file make sense? Reads all of it: only for one that is under suspicion. */
export function isSound(database: DatabaseSync): boolean {
  const row = database.prepare("PRAGMA quick_check(1)").get() as { quick_check: string } | undefined;
  return row?.quick_check === "ok";
}

/** Renames a damaged database with its journal, which must never be played into a new one; returns the new path. */
export function setAside(path: string, now: number): string {
  const stamp = new Date(now).toISOString().replaceAll(/[-:]|\.\d+/g, "");
  const aside = `${path}.damaged-${stamp}`;
  // The journal first: if the process dies in between, the database is still damaged and goes the same way.
  try {
    renameSync(`${path}-wal`, `${aside}-wal`);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
  rmSync(`${path}-shm`, { force: true });
  renameSync(path, aside);
  return aside;
}
