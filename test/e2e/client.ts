// A client over any stream, a socket or one in process, that waits for nothing: it may say anything at any time, and "" is a hang-up.
import type { Duplex } from "node:stream";

export interface Client {
  /** Sends a line and gives the whole reply, lines joined by LF; "" when the server has hung up. */
  say(line: string): Promise<string>;
  /** Sends octets as they are: latin1, unless they are octets already. */
  write(data: string | Buffer): void;
  reply(): Promise<string>;
  /** A message of one header and one line; gives the reply to the final dot, or to DATA when that was refused. */
  data(content?: string): Promise<string>;
  hangUp(): void;
  /** Resolves when the server has ended the session; gives what it said that was not read. */
  over(): Promise<string>;
  /** Every octet that came, as latin1. */
  readonly heard: string;
}

const wholeReply = /^(?:\d{3}-[^\r\n]*\r\n)*\d{3}(?: [^\r\n]*)?\r\n/;

export function talk(stream: Duplex): Client {
  let heard = "";
  let read = 0;
  let ended = false;
  let wake = (): void => undefined;
  stream.on("data", (chunk: Buffer) => {
    heard += chunk.toString("latin1");
    wake();
  });
  for (const event of ["end", "close", "error"]) {
    stream.on(event, () => {
      ended = true;
      wake();
    });
  }
  const woken = (): Promise<void> => new Promise((resolve) => (wake = resolve));
  const write = (data: string | Buffer): void => {
    if (stream.writable) stream.write(typeof data === "string" ? Buffer.from(data, "latin1") : data);
  };

  async function reply(): Promise<string> {
    for (;;) {
      const match = wholeReply.exec(heard.slice(read));
      if (match !== null) {
        read += match[0].length;
        return match[0].trimEnd().replaceAll("\r\n", "\n");
      }
      if (ended) return "";
      await woken();
    }
  }

  const say = (line: string): Promise<string> => {
    write(`${line}\r\n`);
    return reply();
  };

  return {
    say,
    write,
    reply,
    async data(content = "Subject: test\r\n\r\ntest\r\n") {
      const go = await say("DATA");
      if (!go.startsWith("354")) return go;
      write(`${content}.\r\n`);
      return reply();
    },
    hangUp: () => stream.destroy(),
    async over() {
      while (!ended) await woken();
      return heard.slice(read);
    },
    get heard() {
      return heard;
    },
  };
}
