/** memcached's text protocol: `get` and `set`. A key is checked before it gets here and the answer must name it. */
import type { ReplyReader } from "./connection.ts";
import { ExchangeError, printable } from "./exchange-error.ts";

export interface MemcachedLimits {
  /** Octets of a line of the server. */
  readonly lineBytes: number;
  /** Octets of a value, read or stored. */
  readonly dataBytes: number;
}

const newline = 0x0a;
const longestKeyBytes = 250;
const end = "END\r\n";

/**
 * What memcached takes as a key. blank: white space or a control character, which would end the command; long: more octets than
 * it takes.
 */
export function checkKey(key: string): "good" | "blank" | "long" {
  // oxlint-disable-next-line no-control-regex -- these are meant
  if (key === "" || /[\0-\x20\x7f]/.test(key) || !key.isWellFormed()) return "blank";
  return Buffer.byteLength(key) > longestKeyBytes ? "long" : "good";
}

export function writeGet(key: string): Buffer {
  return Buffer.from(`get ${key}\r\n`);
}

export function writeSet(key: string, value: string, flags: number, ttlSeconds: number): Buffer {
  return Buffer.from(`set ${key} ${flags} ${ttlSeconds} ${Buffer.byteLength(value)}\r\n${value}\r\n`);
}

/** The value of one key, `undefined` when memcached has none. */
export function getReader(key: string, { lineBytes, dataBytes }: MemcachedLimits): ReplyReader<Buffer | undefined> {
  const asked = Buffer.from(key).toString("latin1");
  return (bytes) => {
    const line = readLine(bytes, lineBytes);
    if (line === undefined) return undefined;
    if (line.text === "END") return { value: undefined, used: line.used };
    const [, named, count] = /^VALUE (\S+) \d+ (\d{1,10})(?: \d+)?$/.exec(line.text) ?? [];
    if (named !== asked) throw unexpected(line.text);
    const length = Number(count);
    if (length > dataBytes) {
      throw new ExchangeError("rubbish", `a value of ${length} octets; data_size_limit is ${dataBytes}`, {
        onlyThisKey: true,
      });
    }
    const used = line.used + length + 2 + end.length;
    if (bytes.length < used) return undefined;
    const value = Buffer.from(bytes.subarray(line.used, line.used + length));
    const rest = bytes.toString("latin1", line.used + length, used);
    if (rest !== `\r\n${end}`) throw unexpected(rest);
    return { value, used };
  };
}

export function setReader({ lineBytes }: MemcachedLimits): ReplyReader<"stored"> {
  return (bytes) => {
    const line = readLine(bytes, lineBytes);
    if (line === undefined) return undefined;
    if (line.text !== "STORED") throw unexpected(line.text);
    return { value: "stored", used: line.used };
  };
}

function readLine(bytes: Buffer, longest: number): { text: string; used: number } | undefined {
  const stop = bytes.subarray(0, longest + 2).indexOf(newline);
  if (stop < 0) {
    if (bytes.length < longest + 2) return undefined;
    throw new ExchangeError("rubbish", `a line longer than ${longest} octets; line_size_limit says so`);
  }
  return { text: bytes.toString("latin1", 0, stop).replace(/\r$/, ""), used: stop + 1 };
}

function unexpected(text: string): ExchangeError {
  return new ExchangeError("rubbish", `unexpected answer "${printable(text)}"`);
}
