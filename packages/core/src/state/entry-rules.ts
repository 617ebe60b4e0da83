/** What holds for every state store's entries. */
import { PosternError } from "../errors.ts";
import type { StateValue } from "./state-store.ts";

const longestKey = 1024;
/** All entries expire; ten years is for ever. */
const longestTtlMs = 10 * 366 * 86_400_000;

/** Throws STORE_UNAVAILABLE for a key that is too long or no text. */
export function checkKey(key: string): void {
  if (key.length <= longestKey && key.isWellFormed()) return;
  throw new PosternError(
    "STORE_UNAVAILABLE",
    `a state key has ${key.length} characters or is no text; ${longestKey} may be`,
  );
}

/** Wall clock, milliseconds. What is no positive number has expired already. */
export function expiryOf(now: number, ttlMs: number): number {
  return ttlMs > 0 ? Math.ceil(now + Math.min(ttlMs, longestTtlMs)) : now;
}

/** Throws STORE_UNAVAILABLE for what JSON cannot say. */
export function encodeValue(value: StateValue): string {
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) throw new PosternError("STORE_UNAVAILABLE", "a state value is nothing that JSON can say");
  return text;
}
