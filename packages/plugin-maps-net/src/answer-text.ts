/** Bytes of a server as the value of a table: UTF-8 without a NUL, not empty. Anything else cannot be an answer. */
import { ExchangeError } from "./exchange-error.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Throws `ExchangeError` for this key alone: the server speaks its protocol, what it has for the key is no value. */
export function answerText(bytes: Buffer): string {
  if (bytes.length === 0) throw unusable("is empty; a table says that it has nothing");
  if (bytes.includes(0)) throw unusable("has a NUL in it");
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw unusable("is not UTF-8", cause);
  }
}

function unusable(why: string, cause?: unknown): ExchangeError {
  return new ExchangeError("rubbish", `the value ${why}`, { cause, onlyThisKey: true });
}
