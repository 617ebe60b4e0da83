/**
 * Makes a damaged queue a sound one, while nobody runs on it: what can be read is written anew, what cannot is kept aside with all that
 * can be told of it, and nothing damaged is ever delivered.
 */
import { crc32 } from "node:zlib";
import { systemClock, type Clock } from "../model/index.ts";
import { type FilePort, writeAll } from "./file-port.ts";
import { nodeFilePort } from "./node-file-port.ts";
import { type QueueFolders, queueFolders, takeFolderLock } from "./queue-folders.ts";
import { SalvageFolder } from "./salvage-folder.ts";
import {
  decodeRecordHeader,
  marker,
  type MessageHead,
  parseSegmentName,
  recordHeaderBytes,
  recordKinds,
} from "./segment-format.ts";
import { SegmentStore } from "./segment-store.ts";
import { isCode, storeError } from "./store-error.ts";
import type { Damage } from "./store.ts";
import { verifyQueue } from "./verify-queue.ts";

/** A message that could not be saved whole, and where what is left of it lies. */
export interface KeptAside {
  readonly id: string;
  readonly sender: string;
  readonly recipients: readonly string[];
  /** One sentence. */
  readonly reason: string;
  /** Files in the folder of damaged things. */
  readonly files: readonly string[];
}

export interface SalvageReport {
  readonly directory: string;
  /** In the queue now, whole. */
  readonly messages: number;
  /** What was found. */
  readonly damage: readonly Damage[];
  readonly keptAside: readonly KeptAside[];
}

/** Throws STORE_LOCKED when a gateway runs on it, ConfigError when there is no queue. A sound queue is left as it is. */
export async function salvageQueue(
  directory: string,
  port: FilePort = nodeFilePort,
  clock: Clock = systemClock,
  key?: string,
): Promise<SalvageReport> {
  const found = await verifyQueue(directory, port, key);
  const { damage } = found;
  if (damage.length === 0) return { directory: found.directory, messages: found.messages, damage, keptAside: [] };
  const folders = queueFolders(directory, key);
  // The whole log is to be read: a checkpoint would hide what is wrong before it.
  const lock = takeFolderLock(folders, port);
  try {
    await port.unlink(folders.checkpoint).catch((error: unknown) => {
      if (!isCode(error, "ENOENT")) throw error;
    });
  } finally {
    lock.release();
  }
  const store = new SegmentStore({ directory, port, clock, minFreeBytes: 0, reserveBytes: 0 });
  const opened = await store.open();
  try {
    const keptAside: KeptAside[] = [];
    for (const one of opened.damage)
      for (const kept of await tellEnvelopes(port, folders, one))
        if ((await store.entry(kept.id)) === undefined) keptAside.push(kept);
    for (const id of await withoutContent(store)) keptAside.push(await keepAside(store, id, folders, port));
    await store.rewrite();
    return {
      directory: folders.root,
      messages: store.size,
      // Found by both; the start knows where it was kept.
      damage: opened.damage.concat(damage.filter(({ where }) => !opened.damage.some((other) => other.where === where))),
      keptAside,
    };
  } catch (cause) {
    throw storeError("be salvaged", cause);
  } finally {
    await store.close();
  }
}

/** Ids of messages whose content is gone or wrong. A disk that fails to read proves neither: rejects. */
async function withoutContent(store: SegmentStore): Promise<string[]> {
  const ids: string[] = [];
  for (const { id } of store.waiting()) {
    try {
      const content = await store.content(id);
      for await (const _piece of content?.read() ?? []);
    } catch (error) {
      const gone = isCode((error as Error).cause, "ENOENT");
      if (!gone && !isCode(error, "STORE_DAMAGED")) throw error;
      ids.push(id);
    }
  }
  return ids;
}

/** Takes a message whose content is gone out of the queue: envelope and what there is of the content into files. */
async function keepAside(
  store: SegmentStore,
  id: string,
  { damaged, spool }: QueueFolders,
  port: FilePort,
): Promise<KeptAside> {
  const entry = await store.entry(id);
  const kept = [await writeAside(port, damaged, `${id}.json`, Buffer.from(JSON.stringify(entry)))];
  const content = await new SalvageFolder(damaged, port).take(`${id}.body`, `${spool}/${id}.body`);
  if (content !== undefined) kept.push(content);
  await store.remove(id);
  const reason = content === undefined ? "its content is not there" : "its content is not what was written";
  const { sender = "", recipients = [] } = entry?.message.envelope ?? {};
  return { id, sender, recipients: recipients.map(({ address }) => address), reason, files: kept };
}

/** Messages in a stretch of a log that was kept: those whose envelope is whole, with what is there of the content in a file. */
async function tellEnvelopes(
  port: FilePort,
  { damaged }: QueueFolders,
  { keptIn, where }: Damage,
): Promise<readonly KeptAside[]> {
  const [, name = "", start = ""] = /([^/]+):(\d+)$/.exec(where) ?? [];
  const segment = parseSegmentName(name);
  if (keptIn === undefined || segment === undefined) return [];
  const { salt } = segment;
  const file = await port.open(keptIn, "read");
  const octets = await file.read(0, await file.size());
  await file.close();
  const kept: KeptAside[] = [];
  for (let at = octets.indexOf(marker); at >= 0; at = octets.indexOf(marker, at + 1)) {
    const header = decodeRecordHeader(octets, at, { salt, offset: Number(start) + at });
    if (header?.kind !== recordKinds.message) continue;
    const head = octets.subarray(at + recordHeaderBytes, at + recordHeaderBytes + header.headBytes);
    if (head.length !== header.headBytes || crc32(head, salt) !== header.headCrc) continue;
    const { message } = JSON.parse(head.toString()) as MessageHead;
    const body = octets.subarray(at + recordHeaderBytes + header.headBytes).subarray(0, header.bodyBytes);
    const { id, envelope } = message;
    kept.push({
      id,
      sender: envelope.sender,
      recipients: envelope.recipients.map(({ address }) => address),
      reason: "its content in the log is not what was written",
      files: [await writeAside(port, damaged, `${id}.json`, head), await writeAside(port, damaged, `${id}.body`, body)],
    });
  }
  return kept;
}

/** The file's path; what was kept once stays as it is. */
async function writeAside(port: FilePort, folder: string, name: string, octets: Buffer): Promise<string> {
  const path = `${folder}/${name}`;
  try {
    await port.makeFolder(folder);
  } catch (error) {
    if (!isCode(error, "EEXIST")) throw error;
  }
  try {
    const file = await port.open(path, "create");
    try {
      await writeAll(file, [octets], 0);
      await file.sync();
    } finally {
      await file.close();
    }
    await port.syncFolder(folder);
  } catch (error) {
    if (!isCode(error, "EEXIST")) throw error;
  }
  return path;
}
