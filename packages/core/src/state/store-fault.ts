/** SQLite's errors in the store's words. The sentence names no path and no SQL; `cause` has the rest. */
import { PosternError } from "../errors.ts";

/** Result codes, low octet. @see https://www.sqlite.org/rescode.html */
const resultCode = Object.freeze({
  busy: 5,
  locked: 6,
  readOnly: 8,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cantOpen: 14,
  notADb: 26,
});

const sentences: Readonly<Record<number, string>> = Object.freeze({
  [resultCode.busy]: "the state store is locked by another process",
  [resultCode.locked]: "the state store is locked by another process",
  [resultCode.readOnly]: "the state store is not writable",
  [resultCode.ioError]: "the disk of the state store reports an error",
  [resultCode.corrupt]: "the state store is damaged",
  [resultCode.notADb]: "the state store is damaged",
  [resultCode.full]: "the state store is full",
  [resultCode.cantOpen]: "the state store cannot be opened",
});

export function isDamage(error: unknown): boolean {
  const code = resultCodeOf(error);
  return code === resultCode.corrupt || code === resultCode.notADb;
}

export function isLocked(error: unknown): boolean {
  const code = resultCodeOf(error);
  return code === resultCode.busy || code === resultCode.locked;
}

/** Always STORE_UNAVAILABLE: a full state store loses no mail, so it is not the queue's STORE_FULL. */
export function storeFault(cause: unknown): PosternError {
  if (cause instanceof PosternError) return cause;
  const sentence = sentences[resultCodeOf(cause) ?? -1] ?? "the state store cannot read or write";
  return new PosternError("STORE_UNAVAILABLE", sentence, { cause });
}

export function closedStore(): PosternError {
  return new PosternError("STORE_UNAVAILABLE", "the state store is closed");
}

function resultCodeOf(error: unknown): number | undefined {
  const { errcode } = (error ?? {}) as { errcode?: unknown };
  return typeof errcode === "number" ? errcode & 0xff : undefined;
}
