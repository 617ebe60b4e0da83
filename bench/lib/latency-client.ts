/**
 * How long a client waits for its 250: a few sessions that send at a fixed pace over real sockets, from the final dot handed
 * to the kernel to the whole reply read. The pace is light, so that the wait is the system's work and not its queue of work.
 */
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

export interface LatencyLoad {
  readonly port: number;
  readonly messages: number;
  readonly sizeBytes: number;
  readonly sessions: number;
  /** All sessions together. */
  readonly messagesPerSecond: number;
}

const replyWithinMs = 60_000;
/** The last line of a reply, RFC 5321 §4.2.1. */
const finalLine = /^(\d{3})(?: [^\n]*)?\r\n$/m;

/** Milliseconds, one a message. Rejects when a message is refused. */
export async function measureLatency(load: LatencyLoad): Promise<number[]> {
  const content = composeMessage(load.sizeBytes);
  const pauseMs = (1000 / load.messagesPerSecond) * load.sessions;
  const each = Math.ceil(load.messages / load.sessions);
  const sessions = Array.from({ length: load.sessions }, async (_, index) => {
    // Spread over the pace, so that they do not share one group commit by construction.
    await delay((pauseMs / load.sessions) * index);
    return sendPaced(load.port, content, each, pauseMs);
  });
  return (await Promise.all(sessions)).flat();
}

async function sendPaced(port: number, content: Buffer, messages: number, pauseMs: number): Promise<number[]> {
  using session = new SmtpSession(connect({ port, host: "127.0.0.1", noDelay: true }));
  await session.expect("220");
  await session.say("EHLO latency.source.test", "250");
  const waits: number[] = [];
  const startedAt = performance.now();
  for (let sent = 0; sent < messages; sent += 1) {
    await delay(Math.max(startedAt + sent * pauseMs - performance.now(), 0));
    await session.say("MAIL FROM:<sender@source.test>", "250");
    await session.say("RCPT TO:<user@example.test>", "250");
    await session.say("DATA", "354");
    await session.write(content);
    const dotAt = performance.now();
    await session.say(".", "250");
    waits.push(performance.now() - dotAt);
  }
  await session.say("QUIT", "221");
  return waits;
}

/** Header, then lines of 78 octets; ends with a line's end, without the dot. */
export function composeMessage(sizeBytes: number): Buffer {
  const header = "From: <sender@source.test>\r\nTo: <user@example.test>\r\nSubject: latency\r\n\r\n";
  const line = `${"x".repeat(76)}\r\n`;
  return Buffer.from(header + line.repeat(Math.max(Math.ceil((sizeBytes - header.length) / line.length), 1)), "latin1");
}

export class SmtpSession implements Disposable {
  readonly #socket: Socket;
  #input = "";
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setTimeout(replyWithinMs, () => socket.destroy(new Error("no reply within a minute")));
    socket.setEncoding("latin1").on("data", (text: string) => {
      this.#input += text;
      this.#wake?.();
    });
    socket.on("error", (error) => (this.#failure = error));
    socket.on("close", () => {
      this.#failure ??= new Error("the system under test hung up");
      this.#wake?.();
    });
  }

  /** Resolves when the kernel has it. */
  write(octets: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(octets, (error) => (error ? reject(error) : resolve()));
    });
  }

  async say(line: string, code: string): Promise<void> {
    this.#socket.write(`${line}\r\n`);
    await this.expect(code);
  }

  async expect(code: string): Promise<void> {
    for (;;) {
      const found = finalLine.exec(this.#input);
      if (found !== null) {
        const reply = this.#input;
        this.#input = "";
        if (found[1] !== code) throw new Error(`expected ${code}, got ${JSON.stringify(reply)}`);
        return;
      }
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}
