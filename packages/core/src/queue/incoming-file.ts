/**
 * A large content on its way in, in the spool folder already: written once, and by its commit made durable and given its message's
 * name. What nobody adopts is unlinked, by `dispose` or at the next start.
 */
import { dirname } from "node:path";
import { crc32 } from "node:zlib";
import type { SpoolFile } from "../message/spool-file.ts";
import { type FilePort, type PortFile, writeAll } from "./file-port.ts";

/** Ends the names of files that no message speaks of yet. */
export const incomingSuffix = ".incoming";

export class IncomingFile implements SpoolFile {
  readonly #port: FilePort;
  readonly #file: PortFile;
  readonly #path: string;
  #bytes = 0;
  #crc = 0;
  #adopted = false;

  constructor(port: FilePort, file: PortFile, path: string) {
    this.#port = port;
    this.#file = file;
    this.#path = path;
  }

  isIn(folder: string): boolean {
    return dirname(this.#path) === folder;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** CRC-32 of all its octets, from 0. */
  get crc(): number {
    return this.#crc;
  }

  /** It is a message's: another one with the same content needs its own. */
  get adopted(): boolean {
    return this.#adopted;
  }

  async append(chunks: readonly Buffer[]): Promise<void> {
    await writeAll(this.#file, chunks, this.#bytes);
    for (const chunk of chunks) {
      this.#bytes += chunk.length;
      this.#crc = crc32(chunk, this.#crc);
    }
  }

  read(position: number, length: number): Promise<Buffer> {
    return this.#file.read(position, length);
  }

  /** Makes its octets durable and gives it a name in the same folder; that name is durable only after a sync of the folder. */
  async adopt(path: string): Promise<void> {
    this.#adopted = true;
    try {
      await this.#file.sync();
      await this.#port.rename(this.#path, path);
    } catch (error) {
      // What an fsync has lost once cannot be made durable: it stays adopted by nobody.
      await this.#unlink();
      throw error;
    }
  }

  async dispose(): Promise<void> {
    if (!this.#adopted) await this.#unlink();
    await this.#file.close();
  }

  /** Best effort: what stays is found at the next start. */
  #unlink(): Promise<void> {
    return this.#port.unlink(this.#path).catch(() => undefined);
  }
}
