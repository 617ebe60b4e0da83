/** Redis' protocol, RESP2, as far as the commands of a table need it: a command out; a string, a number or a flat list of strings in. */
import type { ReplyReader } from "./connection.ts";
import { ExchangeError, printable } from "./exchange-error.ts";

/** `null`: there is nothing. A short text is a status as OK, an error what the server says that is wrong. */
export type RedisReply = Item | readonly Buffer[];
type Item = Buffer | number | null | string | ExchangeError;

/** Octets of a line: a number, or what an error says. */
const longestLine = 4096;
const carriageReturn = 0x0d;
const newline = 0x0a;

/** An array of strings, each with its length before it: whatever is in an argument, it stays one. */
export function writeCommand(words: readonly string[]): Buffer {
  let text = `*${words.length}\r\n`;
  for (const word of words) text += `$${Buffer.byteLength(word)}\r\n${word}\r\n`;
  return Buffer.from(text);
}

/**
 * One reply of at most `longest` octets, an error of the server included, which is for this key alone when its value is of a kind
 * that the command is not for. Throws `ExchangeError` for what is no reply, and for one that is too long.
 */
export function replyReader(longest: number): ReplyReader<RedisReply> {
  // A list in many pieces is gone through once: what was read of it stays, until a reply begins anew.
  let at = 0;
  let members: Buffer[] | undefined;
  let missing = 0;
  return (bytes, seen) => {
    if (seen === 0) {
      at = 0;
      members = undefined;
    }
    if (members === undefined) {
      if (bytes[0] !== marks.list) return readItem(bytes, 0, longest);
      const head = readLine(bytes, 0);
      if (head === undefined) return undefined;
      missing = readLength(head.text);
      at = head.end;
      if (missing < 0) throw malformed(head.text);
      members = [];
    }
    while (missing > 0) {
      const item = readItem(bytes, at, longest - at);
      if (item === undefined) return undefined;
      if (!Buffer.isBuffer(item.value)) throw new ExchangeError("rubbish", "a list of what are no strings");
      members.push(item.value);
      at = item.used;
      missing--;
    }
    return { value: members, used: at };
  };
}

/** As many times OK as commands were sent. */
export function okReader(count: number): ReplyReader<undefined> {
  return (bytes) => {
    let used = 0;
    for (let left = count; left > 0; left--) {
      const item = readItem(bytes, used, longestLine);
      if (item === undefined) return undefined;
      if (item.value instanceof ExchangeError) throw item.value;
      if (item.value !== "OK") throw new ExchangeError("rubbish", "an unexpected answer to the login");
      used = item.used;
    }
    return { value: undefined, used };
  };
}

const marks = Object.freeze({ text: 0x2b, error: 0x2d, number: 0x3a, string: 0x24, list: 0x2a });

/** Everything but a list. */
function readItem(
  bytes: Buffer,
  from: number,
  longest: number,
): { readonly value: Item; readonly used: number } | undefined {
  const line = readLine(bytes, from);
  if (line === undefined) return undefined;
  switch (bytes[from]) {
    case marks.string: {
      const length = readLength(line.text);
      if (length < 0) return { value: null, used: line.end };
      const end = line.end + length;
      if (end - from > longest) throw tooLong();
      if (bytes.length < end + 2) return undefined;
      if (bytes[end] !== carriageReturn || bytes[end + 1] !== newline) throw malformed(line.text);
      // Of its own, so that nobody keeps the whole reply.
      return { value: Buffer.from(bytes.subarray(line.end, end)), used: end + 2 };
    }
    case marks.number:
      if (!/^-?\d{1,15}$/.test(line.text)) throw malformed(line.text);
      return { value: Number(line.text), used: line.end };
    case marks.text:
      return { value: line.text, used: line.end };
    case marks.error: {
      const onlyThisKey = line.text.startsWith("WRONGTYPE ");
      const says = `the server says "${printable(line.text)}"`;
      return { value: new ExchangeError("denied", says, { onlyThisKey }), used: line.end };
    }
    default:
      throw malformed(bytes.subarray(from));
  }
}

/** Without its mark and its end. */
function readLine(bytes: Buffer, from: number): { readonly text: string; readonly end: number } | undefined {
  const mark = bytes[from];
  if (mark === undefined) return undefined;
  if (!markSet.has(mark)) throw malformed(bytes.subarray(from));
  const stop = bytes.subarray(from, from + longestLine).indexOf(newline);
  if (stop < 0) {
    if (bytes.length - from >= longestLine) throw malformed(bytes.subarray(from));
    return undefined;
  }
  if (bytes[from + stop - 1] !== carriageReturn) throw malformed(bytes.subarray(from));
  return { text: bytes.toString("latin1", from + 1, from + stop - 1), end: from + stop + 1 };
}

const markSet: ReadonlySet<number | undefined> = new Set(Object.values(marks));

function readLength(text: string): number {
  if (!/^(?:-1|\d{1,10})$/.test(text)) throw malformed(text);
  return Number(text);
}

function tooLong(): ExchangeError {
  return new ExchangeError("rubbish", "a reply longer than max_reply_size", { onlyThisKey: true });
}

function malformed(bytes: string | Buffer): ExchangeError {
  return new ExchangeError("rubbish", `malformed reply "${printable(bytes)}"`);
}
