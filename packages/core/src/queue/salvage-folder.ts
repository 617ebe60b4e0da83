/** Where octets go that cannot be read: a file each, named after where they were. Nothing here is ever taken away by us. */
import { type FilePort, type PortFile, writeAll } from "./file-port.ts";
import { isCode } from "./store-error.ts";

const pieceBytes = 1024 * 1024;

export class SalvageFolder {
  readonly #folder: string;
  readonly #port: FilePort;

  constructor(folder: string, port: FilePort) {
    this.#folder = folder;
    this.#port = port;
  }

  /** Copies a stretch of a file; the copy's path, durable, or `undefined` when it cannot be made. What was kept once is not kept twice. */
  async keep(name: string, from: PortFile, offset: number, sizeBytes: number): Promise<string | undefined> {
    const path = `${this.#folder}/${name}`;
    try {
      await this.#makeFolder();
      const copy = await this.#port.open(path, "create");
      try {
        for (let at = 0; at < sizeBytes;) {
          const piece = await from.read(offset + at, Math.min(pieceBytes, sizeBytes - at));
          if (piece.length === 0) break;
          await writeAll(copy, [piece], at);
          at += piece.length;
        }
        await copy.sync();
      } catch (error) {
        await this.#port.unlink(path).catch(() => undefined);
        throw error;
      } finally {
        await copy.close();
      }
      await this.#port.syncFolder(this.#folder);
      return path;
    } catch (error) {
      return isCode(error, "EEXIST") ? path : undefined;
    }
  }

  /** Moves a whole file here. */
  async take(name: string, path: string): Promise<string | undefined> {
    const kept = `${this.#folder}/${name}`;
    try {
      await this.#makeFolder();
      await this.#port.rename(path, kept);
      await this.#port.syncFolder(this.#folder);
      return kept;
    } catch {
      return undefined;
    }
  }

  async #makeFolder(): Promise<void> {
    try {
      await this.#port.makeFolder(this.#folder);
    } catch (error) {
      if (!isCode(error, "EEXIST")) throw error;
    }
  }
}
