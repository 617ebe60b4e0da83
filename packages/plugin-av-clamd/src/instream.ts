/**
 * One INSTREAM (clamd(8)): pieces of four octets of length and that many octets, a piece of length 0, one answer. The message's chunks are
 * put together into pieces, never copied.
 */
import { isPromise, ScannerFailure, type Blob } from "@postern/core";
import { readAnswer } from "./answer.ts";
import type { Session } from "./session.ts";

/** Smaller chunks are joined up to this. */
const pieceBytes = 64 * 1024;
const nothing: readonly Uint8Array[] = [];

export class Instream {
  /** Octets taken. */
  sizeBytes = 0;
  readonly #session: Session;
  readonly #answer: Promise<string>;
  #over = false;
  #parts: Uint8Array[] = [];
  #bytes = 0;

  /** `onOver`: there is an answer, or there will be none. */
  constructor(session: Session, onOver: () => unknown = () => undefined) {
    this.#session = session;
    this.#answer = session.begin("INSTREAM");
    const over = (): void => {
      this.#over = true;
      onOver();
    };
    this.#answer.then(over, over);
  }

  /** `false`: it takes nothing more, `end` says why. A promise of that when clamd is behind. */
  write(chunk: Uint8Array): boolean | Promise<boolean> {
    if (this.#over) return false;
    if (chunk.length === 0) return true; // a length of 0 would end the stream
    this.sizeBytes += chunk.length;
    this.#parts.push(chunk);
    this.#bytes += chunk.length;
    return this.#bytes < pieceBytes ? true : this.#flush();
  }

  /** The name of what clamd found, `undefined`: clean. Rejects with `ScannerFailure`. */
  async end(): Promise<string | undefined> {
    this.#session.cork();
    // Neither is taken once there is an answer: one that came before all was sent is none.
    const complete = this.#flush() !== false && this.#session.write(nothing, 0) !== false;
    this.#session.uncork();
    const answer = await this.#answer;
    // clamd may still wait for the rest of it: the next scan must not become that.
    if (!complete) this.#session.destroy(new ScannerFailure("down", "the stream was not written to its end"));
    const found = readAnswer(answer);
    if (found === undefined && (!complete || this.#session.hasty)) {
      throw new ScannerFailure("error", "clamd answered before it had it all");
    }
    return found;
  }

  #flush(): boolean | Promise<boolean> {
    if (this.#bytes === 0) return true;
    const flowing = this.#session.write(this.#parts, this.#bytes);
    this.#parts = [];
    this.#bytes = 0;
    return flowing;
  }
}

/** A whole message over a session. The answer as `Instream.end` gives it. */
export function scanBlob(session: Session, content: Blob): Promise<string | undefined> {
  // In one packet where it is small: command, pieces and end.
  session.cork();
  const stream = new Instream(session);
  const { chunks } = content;
  if (chunks !== undefined) {
    for (let at = 0; at < chunks.length; at += 1) {
      const flowing = stream.write(chunks[at] as Buffer);
      if (flowing === true) continue;
      session.uncork();
      return flowing === false
        ? stream.end()
        : flowing.then((more) => (more ? finish(stream, chunks.slice(at + 1)) : stream.end()));
    }
    const ended = stream.end();
    session.uncork();
    return ended;
  }
  session.uncork();
  return finish(stream, content.read());
}

async function finish(
  stream: Instream,
  rest: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<string | undefined> {
  for await (const chunk of rest) {
    const flowing = stream.write(chunk);
    if (!(isPromise(flowing) ? await flowing : flowing)) break;
  }
  return stream.end();
}
