/** Netstrings: `3:abc,`. */
import type { ReplyReader } from "./connection.ts";
import { ExchangeError, printable } from "./exchange-error.ts";

const colon = 0x3a;
const comma = 0x2c;

export function writeNetstring(text: string): Buffer {
  return Buffer.from(`${Buffer.byteLength(text)}:${text},`);
}

/** The octets of one netstring of at most `longest`. A zero before the length is no netstring. */
export function netstringReader(longest: number): ReplyReader<Buffer> {
  const digits = String(longest).length;
  return (bytes) => {
    const end = bytes.subarray(0, digits + 1).indexOf(colon);
    const length = bytes.toString("latin1", 0, end < 0 ? Math.min(bytes.length, digits + 1) : end);
    if (!/^(?:0|[1-9]\d*)$/.test(length)) throw malformed(bytes);
    if (Number(length) > longest || length.length > digits) {
      throw new ExchangeError("rubbish", `a reply longer than ${longest} octets`);
    }
    if (end < 0) return undefined;
    const from = end + 1;
    const used = from + Number(length) + 1;
    if (bytes.length < used) return undefined;
    if (bytes[used - 1] !== comma) throw malformed(bytes);
    return { value: Buffer.from(bytes.subarray(from, used - 1)), used };
  };
}

function malformed(bytes: Buffer): ExchangeError {
  return new ExchangeError("rubbish", `malformed netstring "${printable(bytes)}"`);
}
