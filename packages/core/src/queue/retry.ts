/**
 * When to try again: Postfix's arithmetic. The wait is the message's age, so that it doubles with each attempt, within a
 * minimum and a maximum; jitter spreads what was deferred together. Pure.
 */

export interface RetryOptions {
  /** Shortest wait, milliseconds (Postfix minimal_backoff_time). */
  readonly minimalMs: number;
  /** Longest wait, milliseconds (maximal_backoff_time). */
  readonly maximalMs: number;
  /** Spread of a wait, 0 to 1: 0.1 is ±10 %. */
  readonly jitter: number;
  /** A message that is older is bounced at its next deferral (maximal_queue_lifetime). */
  readonly lifetimeMs: number;
  /** The same for mail from the null sender (bounce_queue_lifetime). */
  readonly bounceLifetimeMs: number;
}

const second = 1000;
const day = 86_400 * second;

export const retryDefaults: RetryOptions = Object.freeze({
  minimalMs: 300 * second,
  maximalMs: 4000 * second,
  jitter: 0.1,
  lifetimeMs: 5 * day,
  bounceLifetimeMs: 5 * day,
});

/** Shortest wait that a peer's own word may bring about, so that "try again in 0 s" is no busy loop. */
const shortestAskedMs = second;

export function lifetimeOf(options: RetryOptions, bounce: boolean): number {
  return bounce ? options.bounceLifetimeMs : options.lifetimeMs;
}

/** Has the message been here so long that a deferral is its last? A lifetime of 0 means one attempt. */
export function isExpired(options: RetryOptions, arrivedAt: number, bounce: boolean, now: number): boolean {
  return now - arrivedAt >= lifetimeOf(options, bounce);
}

/**
 * The due time of the next attempt, wall clock milliseconds. `askedMs` is the peer's or transport's own wish; it is kept within
 * a second and the maximum. `random` is in [0, 1). Never later than the end of the lifetime (one attempt is made then), never in the past.
 */
export function nextAttemptAt(
  options: RetryOptions,
  message: { readonly arrivedAt: number; readonly bounce: boolean },
  now: number,
  random: number,
  askedMs?: number,
): number {
  // A clock that was set back makes an age negative: the minimum then.
  const wait =
    askedMs === undefined
      ? clamp(now - message.arrivedAt, options.minimalMs, options.maximalMs)
      : clamp(askedMs, shortestAskedMs, Math.max(options.maximalMs, shortestAskedMs));
  const spread = askedMs === undefined ? wait * options.jitter * (2 * random - 1) : wait * options.jitter * random;
  const due = now + Math.round(wait + spread);
  const last = message.arrivedAt + lifetimeOf(options, message.bounce);
  return last > now && last < due ? last : due;
}

function clamp(value: number, low: number, high: number): number {
  return value < low ? low : value > high ? high : value;
}
