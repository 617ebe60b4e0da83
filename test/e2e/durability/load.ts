// Clients that send numbered mail as fast as it is taken and remember what was acknowledged.
import { setTimeout as delay } from "node:timers/promises";
import { dial, type Dialogue } from "../dialogue.ts";
import { numberedMail, type NumberedMail } from "./numbered-mail.ts";

export interface Sent {
  readonly mail: NumberedMail;
  /** When the final dot was sent; `performance.now()`. */
  readonly dotAt: number;
  /** To the final dot, or whatever refused it before; empty when the gateway hung up. */
  reply: string;
}

export interface LoadOptions {
  readonly port: number;
  /** At the same time; 10. */
  readonly sessions?: number;
  /** The next number; `undefined` ends a session. */
  readonly next: () => number | undefined;
  /** Bytes of a body; by the number unless given. */
  readonly sizeBytes?: number;
  /** Asked after each reply: go on with this session? By default until the gateway hangs up. */
  readonly goOn?: (sent: Sent) => boolean;
}

export interface Load {
  /** In the order in which they were begun. */
  readonly sent: readonly Sent[];
  /** All sessions have ended by themselves. */
  readonly ended: Promise<void>;
  /** No more messages; resolves when those under way have their replies. */
  stop(): Promise<void>;
}

export const isAcknowledged = ({ reply }: Sent): boolean => reply.startsWith("250");

export function startLoad(options: LoadOptions): Load {
  const { port, sessions = 10, sizeBytes, goOn = () => true } = options;
  const sent: Sent[] = [];
  let stopped = false;
  const next = (): number | undefined => (stopped ? undefined : options.next());

  async function session(): Promise<void> {
    using smtp = await dialIfThere(port);
    if (smtp === undefined) return;
    if ((await smtp.say("EHLO client.source.test")) === "") return;
    for (let number = next(); number !== undefined; number = next()) {
      const one = await hand(smtp, numberedMail(number, sizeBytes), sent);
      if (one.reply === "" || !goOn(one)) return;
      // A refusal is worth a pause, so that a gateway without room is not asked thousands of times.
      if (!isAcknowledged(one)) await delay(20);
    }
    await smtp.say("QUIT");
  }
  const ended = Promise.all(Array.from({ length: sessions }, session)).then(() => undefined);
  return {
    sent,
    ended,
    stop: () => {
      stopped = true;
      return ended;
    },
  };
}

/** Sends these numbers, each once, and resolves when every reply has come. */
export async function sendAll(
  port: number,
  numbers: readonly number[],
  options: Pick<LoadOptions, "sessions" | "sizeBytes"> = {},
): Promise<readonly Sent[]> {
  const left = numbers.values();
  const load = startLoad({ port, ...options, next: () => left.next().value });
  await load.ended;
  return load.sent;
}

async function dialIfThere(port: number): Promise<Dialogue | undefined> {
  try {
    return await dial(port);
  } catch {
    return undefined;
  }
}

async function hand(smtp: Dialogue, mail: NumberedMail, sent: Sent[]): Promise<Sent> {
  const refused = (reply: string): Sent => {
    const one = { mail, dotAt: performance.now(), reply };
    sent.push(one);
    return one;
  };
  const from = await smtp.say(`MAIL FROM:<${mail.sender}>`);
  if (!from.startsWith("250")) return refused(from);
  for (const recipient of mail.recipients) {
    const to = await smtp.say(`RCPT TO:<${recipient}>`);
    if (!to.startsWith("250")) return refused(to);
  }
  const data = await smtp.say("DATA");
  if (!data.startsWith("354")) return refused(data);
  const stuffed = mail.content.toString("latin1").replaceAll("\r\n.", "\r\n..");
  const one: Sent = { mail, dotAt: performance.now(), reply: "" };
  sent.push(one);
  smtp.write(Buffer.from(`${stuffed}.\r\n`, "latin1"));
  one.reply = await smtp.reply();
  return one;
}
