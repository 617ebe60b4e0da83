/**
 * One call into somebody else's code: with an owner, a deadline and an answer that is checked. Used by every hook, word,
 * table and scanner. A throw, a rejection, a time-out or a nonsensical answer becomes a `Failed`, counted and reported
 * under its owner's name; it never becomes "go on" silently and never ends the process. This folder knows no plugin.
 */
import { failureReasons, PosternError, ScannerFailure, type FailureReason } from "../errors.ts";
import { logText } from "../model/log-text.ts";
import { isPromise, type MaybePromise } from "../model/maybe-promise.ts";
import type { Clock } from "../model/clock.ts";
import type { Owner } from "./owner.ts";

/** A call that gave no usable answer. */
export class Failed {
  readonly owner: Owner;
  /** What was called: a hook's name, a word, a scanner. */
  readonly point: string;
  readonly reason: FailureReason;
  readonly error: unknown;

  constructor(owner: Owner, point: string, reason: FailureReason, error: unknown) {
    this.owner = owner;
    this.point = point;
    this.reason = reason;
    this.error = error;
  }
}

/** A failure as the log tells it. */
export interface FailureFacts {
  readonly reason: FailureReason;
  /** One safe line, at most 300 characters. It may name hosts and paths: none of it is for a peer. */
  readonly text: string;
}

export function factsOf({ reason, error }: Pick<Failed, "reason" | "error">): FailureFacts {
  return { reason, text: logText(error instanceof Error ? error.message : error, 300) };
}

/** Thrown by a `check` for an answer that the contract does not know. */
export class InvalidAnswer extends PosternError {
  constructor(message: string) {
    super("PLUGIN_FAILED", message);
  }
}

export interface Guard {
  /**
   * Calls `call(...args)`. `check` turns the raw answer into a `T` or throws `InvalidAnswer`.
   * A synchronous answer comes back synchronously; a deadline is armed only for a promise, and an answer after it is dropped.
   */
  run<A extends readonly unknown[], T>(
    owner: Owner,
    point: string,
    check: (answer: unknown) => T,
    call: (...args: A) => unknown,
    ...args: A
  ): MaybePromise<T | Failed>;
  /** The rest of `run` for an answer in hand. */
  settle<T>(owner: Owner, point: string, check: (answer: unknown) => T, answer: unknown): MaybePromise<T | Failed>;
  /** Reports and counts; for callers that caught by themselves. */
  fail(owner: Owner, point: string, error: unknown): Failed;
}

export function createGuard(clock: Clock, report: (failed: Failed) => void): Guard {
  function fail(owner: Owner, point: string, error: unknown, reason = reasonOf(error)): Failed {
    const failed = new Failed(owner, point, reason, lookedAt(error));
    try {
      report(failed);
    } catch {
      // A report that fails must not undo the answer.
    }
    return failed;
  }

  function checked<T>(owner: Owner, point: string, check: (answer: unknown) => T, answer: unknown): T | Failed {
    try {
      return check(answer);
    } catch (error) {
      return fail(owner, point, error, "invalid");
    }
  }

  function settle<T>(owner: Owner, point: string, check: (answer: unknown) => T, answer: unknown) {
    return isThenable(answer) ? wait(owner, point, check, answer) : checked(owner, point, check, answer);
  }

  function wait<T>(
    owner: Owner,
    point: string,
    check: (answer: unknown) => T,
    pending: PromiseLike<unknown>,
  ): Promise<T | Failed> {
    return new Promise((resolve) => {
      let open = true;
      const timer = clock.setTimer(() => {
        open = false;
        const error = new PosternError("DEADLINE_EXCEEDED", `no answer within ${owner.deadlineMs} ms`);
        resolve(fail(owner, point, error, "timeout"));
      }, owner.deadlineMs);
      // A hostile thenable, or a promise with a `then` or `constructor` of its own, may throw, call back twice or after the
      // deadline. The executor contains that: the first word counts.
      new Promise<unknown>((yes, no) => void pending.then(yes, no)).then(
        (answer) => {
          timer.cancel();
          if (open) resolve(checked(owner, point, check, answer));
        },
        (error: unknown) => {
          timer.cancel();
          if (open) resolve(fail(owner, point, error));
        },
      );
    });
  }

  return {
    run(owner, point, check, call, ...args) {
      let answer: unknown;
      try {
        answer = call(...args);
      } catch (error) {
        return fail(owner, point, error);
      }
      return settle(owner, point, check, answer);
    },
    settle,
    fail,
  };
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  try {
    return isPromise(value);
  } catch {
    return false; // a getter that throws: the check will refuse the object
  }
}

/** The error itself, or one in its place when it throws as soon as somebody looks: reports and replies are made far from here. */
function lookedAt(error: unknown): unknown {
  try {
    for (let at = error, depth = 0; at instanceof Error && depth < 3; at = at.cause, depth += 1) {
      if (typeof at.message !== "string" || typeof at.name !== "string") throw new TypeError("no error's message");
    }
    return error;
  } catch {
    return new Error("the error cannot be looked at");
  }
}

function reasonOf(error: unknown): FailureReason {
  try {
    if (error instanceof ScannerFailure) return failureReasons.includes(error.reason) ? error.reason : "error";
    if (error instanceof PosternError && error.code === "DEADLINE_EXCEEDED") return "timeout";
  } catch {
    // an error object that throws when looked at
  }
  return "error";
}
