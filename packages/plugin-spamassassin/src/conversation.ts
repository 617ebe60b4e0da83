/**
 * One conversation with spamd (SpamAssassin's PROTOCOL): a command, headers and the message, then a status line of sysexits(3), headers and octets. A
 * connection for each, half-closed behind the message, as spamc does it.
 */
import { connect } from "node:net";
import {
  isPromise,
  errorText,
  ScannerFailure,
  type Blob,
  type Clock,
  type FailureReason,
  type SocketAddress,
  type Timer,
} from "@postern/core";

export interface Endpoint {
  /** As in the config, for the log. */
  readonly label: string;
  readonly target: SocketAddress;
}

export interface Question {
  readonly endpoint: Endpoint;
  readonly command: "SYMBOLS" | "HEADERS" | "PROCESS";
  readonly user: string | undefined;
  /** Stands above the message. */
  readonly trace: Buffer;
  readonly content: Blob;
  readonly connectTimeoutMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Gets the octets behind the answer's headers, in order; a promise holds spamd back. */
  readonly take: (piece: Buffer) => unknown;
}

/** The verdict in an answer's headers. */
export interface Verdict {
  readonly spam: boolean;
  readonly score: number;
  /** From this score mail is spam. */
  readonly required: number;
}

/** Octets of status line and headers. */
const longestHead = 16 * 1024;

/** sysexits(3) as spamd uses them; others are `error`. */
const reasons: Readonly<Record<string, FailureReason>> = {
  69: "down", // EX_UNAVAILABLE
  79: "timeout", // EX_TIMEOUT, spamd's own
};

/**
 * Resolves when spamd has closed the connection behind a complete answer. Throws `ScannerFailure`: `down` when it cannot be reached or breaks off, `timeout`,
 * `error` for all that is not exactly an answer.
 */
export function converse(question: Question): Promise<Verdict> {
  const { endpoint, signal, clock, content } = question;
  if (signal.aborted) return Promise.reject(calledOff(signal));
  return new Promise((resolve, reject) => {
    let over = false;
    let sent = false;
    let head = "";
    let answer: Head | undefined;
    let taken = 0;
    let pending: PromiseLike<unknown> | undefined;
    let wake: (() => void) | undefined;
    let timer: Timer | undefined;
    const socket = connect({ ...endpoint.target, allowHalfOpen: true });

    const end = (): void => {
      over = true;
      timer?.cancel();
      signal.removeEventListener("abort", onAbort);
      socket.destroy();
      wake?.();
    };
    const fail = (reason: FailureReason, text: string, cause?: unknown): void => {
      if (over) return;
      end();
      reject(new ScannerFailure(reason, `spamd at ${endpoint.label}: ${text}`, { cause }));
    };
    const failWith = (error: unknown): void => {
      if (!(error instanceof ScannerFailure)) return fail("error", String(error), error);
      if (over) return;
      end();
      reject(error);
    };
    const onAbort = (): void => failWith(calledOff(signal));

    const take = (piece: Buffer): void => {
      taken += piece.length;
      const expected = answer?.length ?? 0;
      if (taken > expected) return fail("error", `more than the ${expected} octets it announced`);
      if (piece.length === 0) return;
      const took = question.take(piece);
      if (!isPromise(took)) return;
      socket.pause();
      pending = took.then(() => {
        pending = undefined;
        if (!over) socket.resume();
      });
      pending.then(undefined, failWith);
    };
    const onData = (piece: Buffer): void => {
      if (over) return;
      try {
        if (answer !== undefined) return take(piece);
        head += piece.toString("latin1");
        const length = head.indexOf("\r\n\r\n");
        if (length >= 0) {
          answer = readHead(head.slice(0, length));
          return take(Buffer.from(head.slice(length + 4), "latin1"));
        }
        if (head.length > longestHead) fail("error", `no answer in ${longestHead} octets`);
      } catch (error) {
        failWith(error);
      }
    };
    const finish = (): void => {
      if (over) return;
      if (pending !== undefined) return void pending.then(finish, failWith);
      try {
        // Behind an error there are no headers.
        const said = answer ?? readHead(head.trimEnd());
        if (said.verdict === undefined) throw new ScannerFailure("error", "spamd gave no verdict");
        if (answer === undefined || taken < said.length) return fail("down", "broke off its answer");
        if (!sent) return fail("error", "answered before it had the whole message");
        end();
        resolve(said.verdict);
      } catch (error) {
        failWith(
          head === "" ? new ScannerFailure("down", `spamd at ${endpoint.label}: closed without an answer`) : error,
        );
      }
    };

    socket.on("data", onData);
    socket.on("end", finish);
    socket.on("close", finish);
    socket.on("drain", () => wake?.());
    socket.on("error", (error) => fail("down", `cannot be asked: ${errorText(error)}`, error));
    socket.on("connect", () => {
      timer?.cancel();
      send().catch((error: unknown) => fail("error", `the message cannot be read: ${String(error)}`, error));
    });
    timer = clock.setTimer(
      () => fail("down", `no connection within ${question.connectTimeoutMs} ms`),
      question.connectTimeoutMs,
    );
    signal.addEventListener("abort", onAbort, { once: true });

    const send = async (): Promise<void> => {
      socket.cork();
      socket.write(requestHead(question));
      socket.write(question.trace);
      process.nextTick(() => socket.uncork());
      let sentBytes = 0;
      for await (const piece of content.chunks ?? content.read()) {
        if (over) return;
        sentBytes += piece.length;
        if (!socket.write(piece) && !socket.destroyed) {
          await new Promise<void>((resume) => (wake = resume));
          wake = undefined;
        }
      }
      if (over) return;
      if (sentBytes !== content.sizeBytes) throw new Error(`${sentBytes} octets of ${content.sizeBytes}`);
      sent = true;
      socket.end();
    };
  });
}

function requestHead({ command, user, trace, content }: Question): string {
  // Control characters would begin another header, or the message.
  const name = user?.replace(/[\u0000-\u0020\u007f-\u{10ffff}]+/gu, "_");
  return `${command} SPAMC/1.5\r\nContent-length: ${trace.length + content.sizeBytes}\r\n${name === undefined ? "" : `User: ${name}\r\n`}\r\n`;
}

interface Head {
  /** Octets behind it. */
  readonly length: number;
  readonly verdict: Verdict | undefined;
}

/** Throws `ScannerFailure` for a status that is no success, and for what is no answer of spamd. */
function readHead(text: string): Head {
  const [status = "", ...lines] = text.split("\r\n");
  const match = /^SPAMD\/\d+\.\d+ (\d{1,3}) (.*)$/.exec(status);
  if (match === null) throw new ScannerFailure("error", `no answer of spamd: ${JSON.stringify(status.slice(0, 200))}`);
  const [, code = "", said = ""] = match;
  if (code !== "0") throw new ScannerFailure(reasons[code] ?? "error", `spamd: ${code} ${said.slice(0, 200)}`);
  const fields = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon < 1) throw new ScannerFailure("error", `no header of spamd: ${JSON.stringify(line.slice(0, 200))}`);
    const name = line.slice(0, colon).trim().toLowerCase();
    // Of two answers none is to be believed.
    if (fields.has(name)) throw new ScannerFailure("error", `spamd said ${name} twice`);
    fields.set(name, line.slice(colon + 1).trim());
  }
  const length = fields.get("content-length") ?? "0";
  if (!/^\d{1,10}$/.test(length))
    throw new ScannerFailure("error", `spamd's Content-length is ${JSON.stringify(length)}`);
  return { length: Number(length), verdict: readVerdict(fields.get("spam")) };
}

function readVerdict(text: string | undefined): Verdict | undefined {
  if (text === undefined) return undefined;
  const match = /^(True|False|Yes|No) ; (-?\d+(?:\.\d+)?) \/ (-?\d+(?:\.\d+)?)$/i.exec(text);
  if (match === null) throw new ScannerFailure("error", `no verdict: ${JSON.stringify(text.slice(0, 200))}`);
  const [, word = "", score, required] = match;
  return { spam: /^(?:true|yes)$/i.test(word), score: Number(score), required: Number(required) };
}

function calledOff({ reason }: AbortSignal): ScannerFailure {
  return new ScannerFailure("timeout", "called off", { cause: reason });
}
