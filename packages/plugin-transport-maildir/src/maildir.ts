/**
 * One message into one Maildir (maildir(5)): written in `tmp`, on stable storage, then moved into `new`, and the folder on
 * stable storage too. A reader never sees half a message, and a crash leaves either all of it or a file in `tmp`.
 */
import { join } from "node:path";
import type { Blob } from "@postern/core";
import { syncFolder, writeBuffers, type FilePort, type OpenFile } from "./file-port.ts";
import { LineEndConversion } from "./line-ends.ts";
import { createFolders } from "./maildir-folders.ts";

export interface MaildirMessage {
  /** Unique in the Maildir. */
  readonly name: string;
  /** Fields that go on top, with CRLF. */
  readonly head: string;
  readonly content: Blob;
}

/** What is gathered before it is written. */
const writeBytes = 256 * 1024;
/** Buffers of one write; IOV_MAX is 1,024. */
const mostBuffers = 512;

/**
 * Stores the message as `<box>/new/<name>,S=<octets>` with LF line ends; `root` is the folder of all boxes. Rejects with what
 * the file system says; then nothing is in `new`, unless the last fsync failed.
 */
export async function writeToMaildir(
  files: FilePort,
  root: string,
  box: string,
  { name, head, content }: MaildirMessage,
): Promise<void> {
  const path = join(box, "tmp", name);
  const file = await createIn(files, root, box, path);
  try {
    let sizeBytes: number;
    try {
      sizeBytes = await writeAll(file, head, content);
      await file.datasync();
    } finally {
      await file.close();
    }
    await files.rename(path, join(box, "new", `${name},S=${sizeBytes}`));
  } catch (error) {
    await files.unlink(path).catch(() => {});
    throw error;
  }
  await syncFolder(files, join(box, "new"));
}

/** The folders are there but for the first message. */
async function createIn(files: FilePort, root: string, box: string, path: string): Promise<OpenFile> {
  try {
    return await files.open(path, "wx", 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  await createFolders(files, root, box);
  return files.open(path, "wx", 0o600);
}

/** The number of octets written. */
async function writeAll(file: OpenFile, head: string, content: Blob): Promise<number> {
  const conversion = new LineEndConversion();
  let gathered: Buffer[] = [conversion.push(Buffer.from(head))];
  let gatheredBytes = gathered[0]?.length ?? 0;
  let sizeBytes = gatheredBytes;
  for await (const chunk of content.chunks ?? content.read()) {
    const converted = conversion.push(chunk);
    gathered.push(converted);
    gatheredBytes += converted.length;
    sizeBytes += converted.length;
    if (gatheredBytes < writeBytes && gathered.length < mostBuffers) continue;
    await writeBuffers(file, gathered);
    gathered = [];
    gatheredBytes = 0;
  }
  const end = conversion.end();
  await writeBuffers(file, [...gathered, end]);
  return sizeBytes + end.length;
}
