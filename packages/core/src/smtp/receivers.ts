/** Who takes the octets of a message from the parser: up to the final dot of DATA, or as many as BDAT announced. */
import { DataScanner } from "./data-scanner.ts";
import type { Receiver } from "./command-stream.ts";
import type { Content } from "./content.ts";
import type { MaybePromise } from "../model/index.ts";

export interface ReceiverEnd {
  complete(): MaybePromise<void>;
  /** So much more than the limit came that nobody waits for the end. */
  giveUp(): void;
}

export class DataReceiver implements Receiver {
  /** Octets on the wire, for the rate. */
  octets = 0;
  readonly #content: Content;
  readonly #scanner: DataScanner;
  readonly #end: ReceiverEnd;

  constructor(content: Content, end: ReceiverEnd) {
    this.#content = content;
    this.#scanner = new DataScanner(content.check);
    this.#end = end;
  }

  get finished(): boolean {
    // The last parts may still be waiting for the disk.
    return this.#scanner.finished;
  }

  get pressure(): Promise<unknown> | undefined {
    return this.#content.pressure;
  }

  take(chunk: Buffer, start: number): number {
    const parts: Buffer[] = [];
    const at = this.#scanner.scan(chunk, start, parts);
    this.octets += at - start;
    this.#content.add(parts);
    if (this.#content.hopeless && !this.finished) this.#end.giveUp();
    return at;
  }

  complete(): MaybePromise<void> {
    const { pressure } = this.#content;
    return pressure === undefined ? this.#end.complete() : pressure.then(() => this.#end.complete());
  }
}

export class ChunkReceiver implements Receiver {
  octets = 0;
  #leftBytes: number;
  /** `undefined`: the octets are swallowed. */
  readonly #content: Content | undefined;
  readonly #end: ReceiverEnd;

  constructor(sizeBytes: number, content: Content | undefined, end: ReceiverEnd) {
    this.#leftBytes = sizeBytes;
    this.#content = content;
    this.#end = end;
  }

  get finished(): boolean {
    return this.#leftBytes === 0;
  }

  get pressure(): Promise<unknown> | undefined {
    return this.#content?.pressure;
  }

  take(chunk: Buffer, start: number): number {
    const at = Math.min(chunk.length, start + this.#leftBytes);
    this.#leftBytes -= at - start;
    this.octets += at - start;
    if (this.#content !== undefined && at > start) {
      const part = chunk.subarray(start, at);
      this.#content.check?.check(part);
      this.#content.add([part]);
    }
    return at;
  }

  complete(): MaybePromise<void> {
    const pressure = this.#content?.pressure;
    return pressure === undefined ? this.#end.complete() : pressure.then(() => this.#end.complete());
  }
}
