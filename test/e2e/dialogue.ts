// A conversation over a real socket, line by line: for replies that no ordinary client shows.
import { once } from "node:events";
import { connect, type Socket } from "node:net";

export interface Dialogue extends Disposable {
  /** Sends a line and gives the whole reply, lines joined by LF. */
  say(line: string): Promise<string>;
  /** Sends octets as they are. */
  write(data: string | Buffer): void;
  /** The next reply; the empty string when the peer hung up. */
  reply(): Promise<string>;
  readonly socket: Socket;
}

const replyEnd = /^\d{3}(?: [^\r\n]*)?\r?\n/m;

/** Connects and reads the greeting, which is the first reply. */
export async function dial(
  port: number,
  { expectGreeting = true, localAddress = "127.0.0.1" } = {},
): Promise<Dialogue> {
  const socket = connect({ port, host: "127.0.0.1", localAddress });
  await once(socket, "connect");
  let buffered = "";
  let over = false;
  let wake: (() => void) | undefined;
  socket.setEncoding("utf8").on("data", (text: string) => {
    buffered += text;
    wake?.();
  });
  socket.on("error", () => undefined);
  socket.on("close", () => {
    over = true;
    wake?.();
  });

  async function reply(): Promise<string> {
    for (;;) {
      const end = replyEnd.exec(buffered);
      if (end !== null) {
        const length = end.index + end[0].length;
        const text = buffered.slice(0, length).trimEnd().replaceAll("\r\n", "\n");
        buffered = buffered.slice(length);
        return text;
      }
      if (over) return "";
      await new Promise<void>((resolve) => (wake = resolve));
    }
  }

  if (expectGreeting) await reply();
  return {
    socket,
    reply,
    write: (data) => void socket.write(data),
    say(line) {
      socket.write(`${line}\r\n`);
      return reply();
    },
    [Symbol.dispose]: () => socket.destroy(),
  };
}

/** Hands over a message and gives the reply that decided: of MAIL, RCPT, DATA or the final dot. */
export async function hand(
  port: number,
  message: {
    readonly from?: string;
    readonly to: string | readonly string[];
    readonly content?: string | Buffer;
    readonly localAddress?: string;
  },
): Promise<string> {
  using smtp = await dial(port, message.localAddress === undefined ? {} : { localAddress: message.localAddress });
  await smtp.say("EHLO client.source.test");
  const mail = await smtp.say(`MAIL FROM:<${message.from ?? "sender@source.test"}>`);
  if (!mail.startsWith("250")) return mail;
  for (const recipient of [message.to].flat()) {
    const rcpt = await smtp.say(`RCPT TO:<${recipient}>`);
    if (!rcpt.startsWith("250")) return rcpt;
  }
  const data = await smtp.say("DATA");
  if (!data.startsWith("354")) return data;
  const content = (message.content ?? "Subject: test\r\n\r\ntest\r\n").toString("latin1").replaceAll("\r\n.", "\r\n..");
  smtp.write(Buffer.from(`${content}.\r\n`, "latin1"));
  const final = await smtp.reply();
  smtp.write("QUIT\r\n");
  return final;
}
