/**
 * One INSTREAM conversation with clamd (clamd(8)): `zINSTREAM`, pieces of four octets of length and that many octets, a
 * piece of length 0, one answer. A connection for each scan, as clamd's own programs do.
 */
import { ScannerFailure, type Blob, type Clock, type Timer } from "@postern/core";
import type { ClamdAddress } from "./address.ts";
import { readAnswer } from "./answer.ts";
import { ReplySocket } from "./reply-socket.ts";

/** Smaller pieces of the message are joined up to this. */
const pieceBytes = 64 * 1024;
const longestAnswer = 4096;
/** After a failed write: how long clamd's last words may be on their way. */
const lastWordsMs = 1_000;

/**
 * The name of what clamd found in `content`, `undefined` when it is clean. Throws `ScannerFailure`: `down` when clamd cannot be
 * reached or is gone, `tooLarge`, `timeout`, `error` for all it may say else.
 */
export function scanStream(
  address: ClamdAddress,
  content: Blob,
  signal: AbortSignal,
  clock: Clock,
): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    let answer = "";
    let over = false;
    let complete = false;
    let lastWords: Timer | undefined;
    let wakeSender: (() => void) | undefined;

    const end = (): void => {
      over = true;
      lastWords?.cancel();
      signal.removeEventListener("abort", onAbort);
      socket.destroy();
      wakeSender?.();
    };
    const fail = (error: unknown): void => {
      if (over) return;
      end();
      reject(error instanceof ScannerFailure ? error : new ScannerFailure("error", String(error), { cause: error }));
    };
    const down = (text: string, cause?: unknown): void => fail(new ScannerFailure("down", `clamd ${text}`, { cause }));
    const onAbort = (): void => fail(new ScannerFailure("timeout", "called off"));

    const onRead = (piece: string): void => {
      if (over) return;
      answer += piece;
      const length = answer.search(/[\0\n]/);
      if (length < 0) {
        if (answer.length > longestAnswer) fail(new ScannerFailure("error", "clamd's answer is too long"));
        return;
      }
      try {
        const found = readAnswer(answer.slice(0, length));
        if (!complete && found === undefined) throw new ScannerFailure("error", "clamd answered before it had it all");
        end();
        resolve(found);
      } catch (error) {
        fail(error);
      }
    };
    const onBroken = (): void => {
      lastWords = clock.setTimer(() => down("closed the connection without an answer"), lastWordsMs);
      wakeSender?.();
    };

    const socket = new ReplySocket(onRead, onBroken);
    socket.on("error", (error) => down(`cannot be asked: ${error.message}`, error));
    socket.on("end", () => down("closed the connection without an answer"));
    socket.on("close", () => down("closed the connection without an answer"));
    socket.on("drain", () => wakeSender?.());
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) return onAbort();

    /** False when the conversation is over or cannot be written to any more. */
    const write = async (parts: readonly Uint8Array[]): Promise<boolean> => {
      socket.cork();
      let flowing = true;
      for (const part of parts) flowing = socket.write(part);
      socket.uncork();
      // Not writable and not over: a write failed, and the socket is about to say so.
      if ((!flowing || !socket.writable) && !over && lastWords === undefined) {
        await new Promise<void>((wake) => (wakeSender = wake));
      }
      return !over && lastWords === undefined;
    };
    const send = async (): Promise<void> => {
      if (!(await write([Buffer.from("zINSTREAM\0", "latin1")]))) return;
      for await (const parts of pieces(content)) if (!(await write(parts))) return;
      complete = true;
      await write([lengthOf(0)]);
    };
    socket.connect(address, () => void send().catch(fail));
  });
}

/** The content as pieces with their lengths in front, none of it copied. */
async function* pieces(content: Blob): AsyncGenerator<readonly Uint8Array[]> {
  let parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of content.chunks ?? content.read()) {
    if (chunk.length === 0) continue; // a length of 0 would end the stream
    parts.push(chunk);
    bytes += chunk.length;
    if (bytes < pieceBytes) continue;
    yield [lengthOf(bytes), ...parts];
    parts = [];
    bytes = 0;
  }
  if (bytes > 0) yield [lengthOf(bytes), ...parts];
}

function lengthOf(bytes: number): Buffer {
  const length = Buffer.allocUnsafe(4);
  length.writeUInt32BE(bytes);
  return length;
}
