/** Reads a whole queue that nobody runs on, every octet of it, and says what is wrong with it. Changes nothing. */
import { ConfigError } from "../errors.ts";
import type { FilePort, PortFile } from "./file-port.ts";
import { nodeFilePort } from "./node-file-port.ts";
import type { Place, QueueIndex, Segment } from "./queue-index.ts";
import { queueFolders, takeFolderLock } from "./queue-folders.ts";
import { readMessage } from "./record-reader.ts";
import { SalvageFolder } from "./salvage-folder.ts";
import { recordKinds, segmentHeaderBytes } from "./segment-format.ts";
import { replay } from "./segment-replay.ts";
import { scanSegment } from "./segment-scan.ts";
import { SpoolFolder } from "./spool-folder.ts";
import { isCode, storeError } from "./store-error.ts";
import type { Damage } from "./store.ts";

export interface VerifyReport {
  readonly directory: string;
  readonly messages: number;
  readonly segments: number;
  readonly logBytes: number;
  /** Sound records, by kind. */
  readonly records: Readonly<Record<string, number>>;
  /** Files with contents, and those among them that belong to no message: leftovers that the next start takes away. */
  readonly contents: number;
  readonly leftovers: number;
  /** `unusable` costs time at the next start and nothing else. */
  readonly checkpoint: "none" | "sound" | "unusable";
  readonly damage: readonly Damage[];
}

/** Throws STORE_LOCKED when a gateway runs on it, ConfigError when there is no queue. `key` names the folder in sentences. */
export async function verifyQueue(directory: string, on: FilePort = nodeFilePort, key?: string): Promise<VerifyReport> {
  const folders = queueFolders(directory, key);
  await on.list(folders.log).catch((cause: unknown) => {
    const reason = isCode(cause, "ENOENT") ? "there is none" : (cause as Error).message;
    throw new ConfigError(`${folders.key} ${folders.root} cannot be read: ${reason}`, { cause });
  });
  const lock = takeFolderLock(folders, on);
  const opened: PortFile[] = [];
  try {
    const port = readOnly(on, opened);
    const salvage = new SalvageFolder(folders.damaged, port);
    const { index, segments, damage } = await replay({ ...folders, checkpoint: "" }, port, salvage);
    const files = new Set(await port.list(folders.spool));
    const contents = files.size;
    const contentDamage = await verifyContents(folders.spool, port, index, files);
    const checkpoint = await verifyCheckpoint(folders, port, salvage, index);
    return {
      directory: folders.root,
      messages: index.size,
      segments: segments.length,
      logBytes: segments.reduce((sum, { size }) => sum + size, 0),
      records: await countRecords(segments),
      contents,
      leftovers: files.size,
      checkpoint: checkpoint.state,
      damage: [...damage, ...contentDamage, ...checkpoint.damage],
    };
  } catch (cause) {
    throw storeError("be verified", cause);
  } finally {
    await Promise.all(opened.map((file) => file.close()));
    lock.release();
  }
}

async function countRecords(segments: readonly Segment[]): Promise<Record<string, number>> {
  const names = new Map(Object.entries(recordKinds).map(([name, kind]) => [kind as number, name]));
  const counts: Record<string, number> = {};
  for (const { file, salt } of segments) {
    await scanSegment(file, salt, segmentHeaderBytes, ({ header }) => {
      const name = names.get(header.kind) ?? "unknown";
      counts[name] = (counts[name] ?? 0) + 1;
    });
  }
  return counts;
}

/** Takes out of `files` what belongs to a message. */
async function verifyContents(
  folder: string,
  port: FilePort,
  index: QueueIndex,
  files: Set<string>,
): Promise<readonly Damage[]> {
  const spool = new SpoolFolder(folder, port);
  const damage: Damage[] = [];
  for (const id of index.spooled()) {
    const name = `${id}.body`;
    const text = files.delete(name)
      ? await contentFault(spool, id, index.get(id) as Place)
      : `the content of message ${id} is not there`;
    if (text !== undefined) damage.push({ where: `${folder}/${name}`, sizeBytes: 0, text, keptIn: undefined });
  }
  return damage;
}

/** What is wrong with a content in a file; nothing when it is whole. */
async function contentFault(spool: SpoolFolder, id: string, place: Place): Promise<string | undefined> {
  try {
    const { spool: reference } = await readMessage(place);
    if (reference === undefined) return undefined;
    for await (const _piece of spool.read(reference).read());
    return undefined;
  } catch (error) {
    return isCode(error, "STORE_DAMAGED")
      ? `the content of message ${id} is not what was written`
      : `the content of message ${id} cannot be read: ${(error as Error).message}`;
  }
}

async function verifyCheckpoint(
  folders: ReturnType<typeof queueFolders>,
  port: FilePort,
  salvage: SalvageFolder,
  index: QueueIndex,
): Promise<{ readonly state: VerifyReport["checkpoint"]; readonly damage: readonly Damage[] }> {
  try {
    await (await port.open(folders.checkpoint, "read")).close();
  } catch (error) {
    if (isCode(error, "ENOENT")) return { state: "none", damage: [] };
    throw error;
  }
  const restored = await replay(folders, port, salvage);
  if (restored.checkpoint === undefined) return { state: "unusable", damage: [] };
  const missing = [...index.waiting()].find(({ id }) => !restored.index.has(id))?.id;
  const wrong = missing ?? [...restored.index.waiting()].find(({ id }) => !index.has(id))?.id;
  if (wrong === undefined) return { state: "sound", damage: [] };
  const text = `the checkpoint and the log disagree about message ${wrong}`;
  return { state: "unusable", damage: [{ where: folders.checkpoint, sizeBytes: 0, text, keptIn: undefined }] };
}

/** Whatever would change something fails; files that were opened are added to `opened`. */
function readOnly(port: FilePort, opened: PortFile[]): FilePort {
  const refuse = () => Promise.reject(Object.assign(new Error("opened for reading"), { code: "EROFS" }));
  return {
    open: async (path, mode) => {
      if (mode === "create") return refuse();
      const file = await port.open(path, "read");
      opened.push(file);
      return {
        read: (position, length, into) => file.read(position, length, into),
        size: () => file.size(),
        close: () => file.close(),
        write: refuse,
        sync: refuse,
        truncate: refuse,
      };
    },
    list: (folder) => port.list(folder),
    free: (path) => port.free(path),
    lock: (path) => port.lock(path),
    makeFolder: refuse,
    rename: refuse,
    unlink: refuse,
    syncFolder: refuse,
  };
}
