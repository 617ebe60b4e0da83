/**
 * Octets kept on the disk for the day when it is full: given back then, so that outcomes, removals and compaction can still be
 * written, and with them room be made. New mail has been refused long before (queue.minFree), and is until the reserve is back.
 */
import { randomFillSync } from "node:crypto";
import type { Clock, Timer } from "../model/index.ts";
import { type FilePort, writeAll } from "./file-port.ts";
import { isCode } from "./store-error.ts";

export interface ReserveOptions {
  readonly path: string;
  /** Of `path`. */
  readonly folder: string;
  readonly port: FilePort;
  readonly clock: Clock;
  /** 0: there is none. */
  readonly bytes: number;
  /** Is there room for so many octets, beside what is to be left free? Asked anew. */
  readonly hasRoom: (bytes: number) => Promise<boolean>;
}

const againMs = 60_000;
const pieceBytes = 64 * 1024;

export class Reserve {
  readonly #options: ReserveOptions;
  #held = false;
  #closed = false;
  #timer: Timer | undefined;
  #holding: Promise<void> | undefined;

  constructor(options: ReserveOptions) {
    this.#options = options;
  }

  /** To be set aside before any mail. */
  get missingBytes(): number {
    return this.#held ? 0 : this.#options.bytes;
  }

  /** Makes it if it is not there and the disk has room; tries again by itself later. Never rejects. */
  hold(): Promise<void> {
    if (this.#options.bytes === 0) return Promise.resolve();
    this.#holding ??= this.#hold()
      .catch(() => undefined)
      .finally(() => {
        this.#holding = undefined;
        if (!this.#held) this.#later();
      });
    return this.#holding;
  }

  /** Gives the octets back; false when there are none to give. */
  async release(): Promise<boolean> {
    await this.#holding;
    if (!this.#held) return false;
    const { path, port } = this.#options;
    try {
      await port.unlink(path);
    } catch (error) {
      if (!isCode(error, "ENOENT")) return false;
    }
    this.#held = false;
    this.#later();
    return true;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#holding;
  }

  async #hold(): Promise<void> {
    const { bytes, folder, hasRoom, path, port } = this.#options;
    if (await this.#isThere()) {
      this.#held = true;
      return;
    }
    if (!(await hasRoom(bytes))) return;
    const file = await port.open(path, "create");
    try {
      // Noise: a file system that compresses must not give us less.
      const piece = randomFillSync(Buffer.allocUnsafe(Math.min(pieceBytes, bytes)));
      for (let at = 0; at < bytes; at += piece.length)
        await writeAll(file, [piece.subarray(0, Math.min(piece.length, bytes - at))], at);
      await file.sync();
    } catch (error) {
      await port.unlink(path).catch(() => undefined);
      throw error;
    } finally {
      await file.close();
    }
    await port.syncFolder(folder);
    this.#held = true;
  }

  /** One of another size, or half written, is taken away. */
  async #isThere(): Promise<boolean> {
    const { bytes, path, port } = this.#options;
    try {
      const file = await port.open(path, "read");
      const size = await file.size();
      await file.close();
      if (size === bytes) return true;
    } catch (error) {
      if (isCode(error, "ENOENT")) return false;
      throw error;
    }
    await port.unlink(path);
    return false;
  }

  #later(): void {
    if (this.#closed) return;
    this.#timer?.cancel();
    this.#timer = this.#options.clock.setTimer(() => void this.hold(), againMs);
  }
}
