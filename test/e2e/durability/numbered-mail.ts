// Messages that can be told apart and checked at the other end: each says its number and size, and everything else of it
// follows from these. Most are small, some go beyond what the queue keeps in its log, some have two recipients.
import { randomFrom } from "../../sampling.ts";
import { sender, withoutTrace } from "../mail.ts";

export interface NumberedMail {
  readonly number: number;
  readonly sender: string;
  readonly recipients: readonly string[];
  /** With CRLF; lines may begin with a dot. */
  readonly content: Buffer;
}

const lineBytes = 66;
const textLines = 4096;
const text = someText();
const largestBytes = (textLines - 1024) * lineBytes;

/** `sizeBytes` of the body is rounded to whole lines; by default it follows from the number: 1 KB to 8 KB, now and then 300 KB. */
export function numberedMail(number: number, sizeBytes = sizeOf(number)): NumberedMail {
  const one = `box-${number % 5}@example.test`;
  return {
    number,
    sender,
    recipients: number % 7 === 3 ? [one, `other-${number % 3}@example.test`] : [one],
    content: contentOf(number, Math.min(sizeBytes, largestBytes)),
  };
}

/** What arrived: its number and whether every octet below the trace fields is as it was sent; `undefined` for other mail. */
export function recognize(raw: Buffer): { readonly number: number; readonly whole: boolean } | undefined {
  const [, number, size] = /^X-Number: (\d+) of (\d+)\r?$/m.exec(raw.toString("latin1", 0, 4096)) ?? [];
  if (number === undefined) return undefined;
  return { number: Number(number), whole: withoutTrace(raw).equals(contentOf(Number(number), Number(size))) };
}

function sizeOf(number: number): number {
  if (number % 61 === 60) return 300_000;
  if (number % 23 === 22) return 60_000;
  return 1000 * (1 + (number % 8));
}

function contentOf(number: number, sizeBytes: number): Buffer {
  const head = [
    `From: <${sender}>`,
    "To: <box@example.test>",
    `Subject: message ${number}`,
    "Date: Sun, 22 Nov 2026 12:00:00 +0000",
    `Message-ID: <${number}@source.test>`,
    `X-Number: ${number} of ${sizeBytes}`,
  ];
  const lines = Math.max(1, Math.floor(sizeBytes / lineBytes));
  const start = lineBytes * ((number * 37) % 1024);
  return Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`), text.subarray(start, start + lines * lineBytes)]);
}

/** Lines of one length, every ninth with a dot in front. */
function someText(): Buffer {
  const random = randomFrom(7);
  const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .";
  const lines = Array.from({ length: textLines }, (_, at) => {
    const line = Array.from({ length: lineBytes - 2 }, () => letters[Math.floor(random() * letters.length)]);
    if (at % 9 === 0) line[0] = ".";
    return line.join("");
  });
  return Buffer.from(`${lines.join("\r\n")}\r\n`);
}
