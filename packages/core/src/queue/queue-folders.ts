/** The queue's folders: made when they are missing, and held by one process. */
import { dirname, resolve } from "node:path";
import { ConfigError, PosternError } from "../errors.ts";
import type { FileLock, FilePort } from "./file-port.ts";
import { isCode } from "./store-error.ts";

export interface QueueFolders {
  /** What names it in sentences: the key of the config. */
  readonly key: string;
  readonly root: string;
  readonly lock: string;
  readonly log: string;
  readonly spool: string;
  readonly damaged: string;
  /** A file; the second name is that of the next one while it is written. */
  readonly checkpoint: string;
  readonly newCheckpoint: string;
  /** A file: room for bad days. */
  readonly reserve: string;
}

export function queueFolders(directory: string, key = "queue.directory"): QueueFolders {
  const root = resolve(directory);
  return {
    key,
    root,
    lock: `${root}/lock`,
    log: `${root}/log`,
    spool: `${root}/spool`,
    damaged: `${root}/damaged`,
    checkpoint: `${root}/checkpoint`,
    newCheckpoint: `${root}/checkpoint.new`,
    reserve: `${root}/reserve`,
  };
}

/** Makes what is missing, durably. Throws ConfigError with one sentence when the folder can neither be used nor made. */
export async function makeQueueFolders({ key, root, log, spool }: QueueFolders, port: FilePort): Promise<void> {
  try {
    if (await makeFolder(root, port)) await port.syncFolder(dirname(root));
    const made = [await makeFolder(log, port), await makeFolder(spool, port)];
    if (made.includes(true)) await port.syncFolder(root);
    await port.list(root);
  } catch (cause) {
    throw new ConfigError(`${key} ${root} cannot be used: ${reasonOf(cause, root)}`, { cause });
  }
}

/** True when it was not there. */
async function makeFolder(path: string, port: FilePort): Promise<boolean> {
  try {
    await port.makeFolder(path);
    return true;
  } catch (error) {
    if (isCode(error, "EEXIST")) return false;
    throw error;
  }
}

function reasonOf(cause: unknown, root: string): string {
  if (isCode(cause, "ENOENT")) return `its parent ${dirname(root)} does not exist`;
  if (isCode(cause, "EACCES") || isCode(cause, "EPERM") || isCode(cause, "EROFS"))
    return "it is not writable for this user";
  if (isCode(cause, "ENOTDIR")) return "it is not a folder";
  return (cause as Error).message;
}

/** Throws STORE_LOCKED when a living process has the folder, ConfigError when no lock can be taken there. */
export function takeFolderLock({ key, root, lock }: QueueFolders, port: FilePort): FileLock {
  let taken: FileLock | undefined;
  try {
    taken = port.lock(lock);
  } catch (cause) {
    throw new ConfigError(`${key} ${root} cannot be locked: ${(cause as Error).message}`, { cause });
  }
  if (taken === undefined) throw new PosternError("STORE_LOCKED", `${key} ${root} is in use by another process`);
  return taken;
}
