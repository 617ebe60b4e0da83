/**
 * The content of one message on its way in, by DATA or by any number of BDAT: bounded, checked, kept in a spool, and offered to the
 * engines that begin early. What will be refused anyway is no longer kept, only counted.
 */
import { LineEndingNormalizer, type Blob, type Spool, type Spooler } from "../message/index.ts";
import { isPromise, type MaybePromise } from "../model/index.ts";
import type { Intakes } from "../scanning/index.ts";
import { LineEndingCheck, type ContentFault, type LineEndingPolicy } from "./line-endings.ts";

export class Content {
  /** Octets taken so far, after dot-unstuffing. */
  sizeBytes = 0;
  /** For the scanner of DATA; `undefined` when line ends are made right. */
  readonly check: LineEndingCheck | undefined;
  readonly limitBytes: number;
  /** Of the engines that begin before all is in; absent when there are none. They get what is kept, as it is kept. */
  readonly intakes: Intakes | undefined;
  readonly #spool: Spool;
  readonly #normalizer: LineEndingNormalizer | undefined;
  #hasNul = false;
  #pressure: Promise<void> | undefined;

  /** `kept`: line ends and NUL are the matter of whoever took them from the client. */
  constructor(spooler: Spooler, limitBytes: number, lineEndings: LineEndingPolicy | "kept", intakes?: Intakes) {
    this.intakes = intakes;
    this.#spool = spooler.open();
    this.limitBytes = limitBytes;
    if (lineEndings === "reject") this.check = new LineEndingCheck();
    else if (lineEndings === "normalize") this.#normalizer = new LineEndingNormalizer();
  }

  get tooLarge(): boolean {
    return this.sizeBytes > this.limitBytes || this.#spool.overflowed;
  }

  /** Much more came than could ever be taken: no use in waiting for the end. */
  get hopeless(): boolean {
    return this.sizeBytes > this.limitBytes * 2 + 1024 * 1024;
  }

  get fault(): ContentFault | undefined {
    return this.#hasNul ? "nul" : this.check?.fault;
  }

  /** The disk is behind: nothing may be added before this settles. */
  get pressure(): Promise<void> | undefined {
    return this.#pressure;
  }

  /** `parts` have been checked where that is for the caller to do; they are kept, not copied. */
  add(parts: readonly Buffer[]): void {
    for (let at = 0; at < parts.length; at += 1) {
      const waiting = this.#keep(parts[at] as Buffer);
      if (!isPromise(waiting)) continue;
      const rest = parts.slice(at + 1);
      this.#pressure = waiting.then(() => {
        this.#pressure = undefined;
        this.add(rest);
        return this.#pressure;
      });
      return;
    }
  }

  /** `undefined` when it is too large. Rejects when it could not be kept. */
  end(): MaybePromise<Blob | undefined> {
    const held = this.#normalizer?.end();
    const waiting = held === undefined ? undefined : this.#keep(held);
    return isPromise(waiting) ? waiting.then(() => this.#spool.end()) : this.#spool.end();
  }

  dispose(): void {
    this.intakes?.abort();
    void this.#spool.dispose();
  }

  #keep(part: Buffer): MaybePromise<unknown> {
    if (this.#normalizer !== undefined && part.includes(0)) this.#hasNul = true;
    const kept = this.#normalizer === undefined ? part : this.#normalizer.normalize(part);
    this.sizeBytes += kept.length;
    if (this.fault === undefined && !this.tooLarge) {
      if (this.intakes === undefined) return this.#spool.write(kept);
      return both(this.#spool.write(kept), this.intakes.write(kept));
    }
    this.dispose();
    return undefined;
  }
}

function both(one: MaybePromise<unknown>, other: MaybePromise<unknown>): MaybePromise<unknown> {
  if (!isPromise(one)) return other;
  return isPromise(other) ? Promise.all([one, other]) : one;
}
