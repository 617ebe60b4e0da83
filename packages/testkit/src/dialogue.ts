/**
 * An SMTP dialogue without a port: `await smtp(gateway).say("RCPT TO:<a@b>").expect(/^550 /)`. Steps are queued and run in
 * order when the dialogue is awaited; what fails says the whole conversation.
 */
import type { Duplex } from "node:stream";

/** Whatever a client can connect to: a test gateway, or a stream in hand. */
export interface SmtpPeer {
  connect(client?: SmtpClient): Duplex;
}

export interface SmtpClient {
  /** The address it comes from; 192.0.2.1, a stranger, unless given. */
  readonly remoteAddress?: string;
  readonly remotePort?: number;
}

export interface Dialogue extends PromiseLike<string> {
  /** Sends a line and reads its reply. */
  say(line: string): Dialogue;
  /** Sends several commands in one write and reads a reply for each. */
  pipeline(...lines: readonly string[]): Dialogue;
  /** Sends DATA, a message and the final dot, and reads both replies; dots are stuffed, lines end in CRLF. */
  data(message: string): Dialogue;
  /** Sends octets as they are and reads nothing. */
  raw(octets: string | Uint8Array): Dialogue;
  /** Reads one more reply. */
  read(): Dialogue;
  /** The last reply, its lines joined by "\n". Throws with the whole conversation when it is another. */
  expect(pattern: RegExp | string): Dialogue;
  /** Hangs up without a word. */
  hangUp(): Dialogue;
  /** Waits until the server has hung up. */
  closed(): Dialogue;
}

/** Connects, reads the greeting and says EHLO first, unless `bare`. */
export function smtp(peer: SmtpPeer, client: SmtpClient & { readonly bare?: boolean } = {}): Dialogue {
  const { bare = false, ...from } = client;
  const conversation = new Conversation(peer.connect({ remoteAddress: "192.0.2.1", ...from }));
  let last = "";
  let steps: Promise<void> = conversation.reply().then((greeting) => void (last = greeting));

  const then = (step: () => Promise<string | undefined>): Dialogue => {
    steps = steps.then(async () => void (last = (await step()) ?? last));
    // Who awaits the dialogue hears of a failure; until then it is no unhandled one.
    steps.catch(() => undefined);
    return dialogue;
  };
  const dialogue: Dialogue = {
    say: (line) => then(() => conversation.exchange(`${line}\r\n`, 1)),
    pipeline: (...lines) =>
      then(() => conversation.exchange(lines.map((line) => `${line}\r\n`).join(""), lines.length)),
    data: (message) =>
      then(async () => {
        const go = await conversation.exchange("DATA\r\n", 1);
        return go.startsWith("354") ? conversation.exchange(`${stuff(message)}.\r\n`, 1) : go;
      }),
    raw: (octets) => then(async () => conversation.send(octets)),
    read: () => then(() => conversation.reply()),
    expect: (pattern) =>
      then(async () => {
        const matches = typeof pattern === "string" ? last === pattern : pattern.test(last);
        if (!matches)
          throw new Error(`expected ${String(pattern)}, got ${JSON.stringify(last)}\n${conversation.transcript}`);
        return undefined;
      }),
    hangUp: () => then(async () => conversation.hangUp()),
    closed: () => then(() => conversation.ended()),
    // oxlint-disable-next-line unicorn/no-thenable -- awaiting it is how it is run
    then: (done, failed) => steps.then(() => last).then(done, failed),
  };
  return bare ? dialogue : dialogue.expect(/^220 /).say("EHLO client.example.net").expect(/^250/);
}

function stuff(message: string): string {
  const lines = message.replace(/\r?\n$/, "").split(/\r?\n/);
  return lines.map((line) => `${line.startsWith(".") ? "." : ""}${line}\r\n`).join("");
}

class Conversation {
  /** Both sides, for messages. */
  transcript = "";
  readonly #stream: Duplex;
  #unread = "";
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(stream: Duplex) {
    this.#stream = stream;
    stream.on("data", (data: Buffer) => {
      this.#unread += data.toString("latin1");
      this.#wake?.();
    });
    for (const event of ["end", "close", "error"] as const) {
      stream.on(event, () => {
        this.#ended = true;
        this.#wake?.();
      });
    }
  }

  send(octets: string | Uint8Array): undefined {
    const data = typeof octets === "string" ? Buffer.from(octets, "utf8") : octets;
    const lines = Buffer.from(data).toString("latin1").replace(/\r\n$/, "").split("\r\n");
    this.transcript += lines.map((line) => `C: ${line}\n`).join("");
    this.#stream.write(data);
  }

  /** The last of `count` replies. */
  async exchange(text: string, count: number): Promise<string> {
    this.send(text);
    let last = "";
    for (let left = count; left > 0; left -= 1) last = await this.reply();
    return last;
  }

  async reply(): Promise<string> {
    for (;;) {
      const match = /^(?:\d{3}-[^\n]*\n)*\d{3}(?: [^\n]*)?\n/.exec(this.#unread);
      if (match !== null) {
        this.#unread = this.#unread.slice(match[0].length);
        const lines = match[0].trimEnd().split("\r\n");
        this.transcript += lines.map((line) => `S: ${line}\n`).join("");
        return lines.join("\n");
      }
      if (this.#ended) throw new Error(`the server hung up instead of a reply\n${this.transcript}${this.#unread}`);
      await this.#woken();
    }
  }

  hangUp(): undefined {
    this.#stream.destroy();
  }

  async ended(): Promise<undefined> {
    while (!this.#ended) await this.#woken();
  }

  #woken(): Promise<void> {
    return new Promise((wake) => (this.#wake = wake));
  }
}
