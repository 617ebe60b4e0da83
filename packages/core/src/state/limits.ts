/** What a state store takes. The same for every store, so that a plugin that works with one works with the next. */
export const stateLimits = Object.freeze({
  /** UTF-16 units, as `length` counts. */
  maxKeyLength: 1024,
  maxSpaceNameLength: 256,
  /** Octets of a value's JSON. */
  maxValueBytes: 64 * 1024,
});

/** Throws RangeError. */
export function checkKey(key: string): void {
  if (key.length === 0) throw new RangeError("a key has at least 1 character");
  checkText("a key", key, stateLimits.maxKeyLength);
}

/** Throws RangeError. A prefix may be empty. */
export function checkPrefix(prefix: string): void {
  checkText("a prefix", prefix, stateLimits.maxKeyLength);
}

/** Throws RangeError. */
export function checkSpaceName(name: string): void {
  if (name.length === 0) throw new RangeError("the name of a space has at least 1 character");
  checkText("the name of a space", name, stateLimits.maxSpaceNameLength);
}

/** Half a surrogate pair has no UTF-8: two such keys would become one in a database. */
function checkText(what: string, text: string, maxLength: number): void {
  if (text.length > maxLength) throw new RangeError(`${what} has at most ${maxLength} characters, not ${text.length}`);
  if (!text.isWellFormed()) throw new RangeError(`${what} is well-formed Unicode`);
}

/** Throws RangeError. */
export function checkLimit(limit: number): void {
  if (!Number.isSafeInteger(limit) || limit < 0) throw new RangeError("a limit is a whole number, 0 or more");
}

/** Returns it. Throws RangeError. */
export function checkQuota(maxEntries: number): number {
  if (!Number.isSafeInteger(maxEntries) || maxEntries < 1) throw new RangeError("a quota is a whole number, 1 or more");
  return maxEntries;
}

/** When what is written now and lives for `ttlMs` expires. Everything expires: Infinity is a RangeError, as are NaN and what is below 0. */
export function expiryOf(now: number, ttlMs: number): number {
  if (!Number.isFinite(ttlMs) || ttlMs < 0) throw new RangeError("a lifetime is a number of milliseconds, 0 or more");
  return Math.min(Math.ceil(now + ttlMs), Number.MAX_SAFE_INTEGER);
}
