// A conversation over a real socket, line by line: for replies that no ordinary client shows.
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { talk, type Client } from "./client.ts";

export interface Dialogue extends Client, Disposable {
  readonly socket: Socket;
}

/** Connects and reads the greeting, which is the first reply. */
export async function dial(
  port: number,
  { expectGreeting = true, localAddress = "127.0.0.1" } = {},
): Promise<Dialogue> {
  const socket = connect({ port, host: "127.0.0.1", localAddress });
  await once(socket, "connect");
  const client = talk(socket);
  if (expectGreeting) await client.reply();
  return Object.assign(client, { socket, [Symbol.dispose]: () => client.hangUp() });
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
  const final = await smtp.data(message.content?.toString("latin1").replaceAll("\r\n.", "\r\n.."));
  smtp.write("QUIT\r\n");
  return final;
}
