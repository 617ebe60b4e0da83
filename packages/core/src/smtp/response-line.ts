/** One line of an AUTH exchange (RFC 4954 §4): it goes past the parser of commands, is told to nobody else, and is wiped. */
import type { MaybePromise } from "../model/index.ts";
import type { Receiver } from "./command-stream.ts";
import { longestSaslLine } from "./sasl.ts";

/** `undefined`: longer than a line may be. Without its line end; `proper` when that was CRLF. */
export type ResponseTaker = (
  line: { readonly text: string; readonly proper: boolean } | undefined,
) => MaybePromise<void>;

const lineFeed = 0x0a;

export class ResponseLine implements Receiver {
  finished = false;
  readonly pressure = undefined;
  readonly #taker: ResponseTaker;
  #parts: Buffer[] = [];
  #bytes = 0;

  constructor(taker: ResponseTaker) {
    this.#taker = taker;
  }

  take(chunk: Buffer, start: number): number {
    const end = chunk.indexOf(lineFeed, start);
    this.finished = end >= 0;
    const stop = end < 0 ? chunk.length : end + 1;
    this.#bytes += stop - start;
    this.#parts.push(chunk.subarray(start, stop));
    // Its end will tell that it was too long; until then it costs nothing.
    if (this.#bytes > longestSaslLine) this.#wipe();
    return stop;
  }

  complete(): MaybePromise<void> {
    if (this.#bytes > longestSaslLine) return this.#taker(undefined);
    const whole = Buffer.concat(this.#parts).toString("latin1");
    this.#wipe();
    const proper = whole.endsWith("\r\n");
    return this.#taker({ text: whole.slice(0, proper ? -2 : -1), proper });
  }

  #wipe(): void {
    for (const part of this.#parts) part.fill(0);
    this.#parts = [];
  }
}
