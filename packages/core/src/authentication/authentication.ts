/** All authenticators of a generation as one: asked in order until one accepts. */
import { Failed, InvalidAnswer, type Guard, type Owner } from "../guard/index.ts";
import { isPromise, type MaybePromise } from "../model/index.ts";
import type { AuthAnswer, Authenticator, Credentials } from "./authenticator.ts";

/** Never throws and never rejects. */
export type Authenticate = (credentials: Credentials) => MaybePromise<AuthAnswer>;

interface Owned {
  readonly owner: Owner;
  readonly value: Authenticator;
}

const longestDelayMs = 30_000;

/** A "no" of one asks the next; one that could not be asked makes the answer `later` unless another accepts. */
export function createAuthentication(authenticators: readonly Owned[], guard: Guard): Authenticate {
  function ask(credentials: Credentials, start: number, sofar: Sofar): MaybePromise<AuthAnswer> {
    for (let index = start; index < authenticators.length; index += 1) {
      const { owner, value } = authenticators[index] as Owned;
      const point = `authenticator ${value.name}`;
      const answer = guard.run(owner, point, checkAuthAnswer, (asked: Credentials) => value.verify(asked), credentials);
      if (isPromise(answer)) {
        return answer.then((late) => (take(sofar, late) ? (late as AuthAnswer) : ask(credentials, index + 1, sofar)));
      }
      if (take(sofar, answer)) return answer as AuthAnswer;
    }
    return conclude(sofar);
  }
  return (credentials) => ask(credentials, 0, { unavailable: false, delayMs: 0, ends: false });
}

/** What those said who did not accept. */
interface Sofar {
  unavailable: boolean;
  delayMs: number;
  ends: boolean;
}

/** True: accepted. */
function take(sofar: Sofar, answer: AuthAnswer | Failed): boolean {
  if (answer instanceof Failed) {
    sofar.unavailable = true;
    return false;
  }
  if (answer.kind === "ok") return true;
  sofar.delayMs = Math.max(sofar.delayMs, answer.delayMs ?? 0);
  if (answer.kind === "later") sofar.unavailable = true;
  else sofar.ends ||= answer.ends === true;
  return false;
}

function conclude({ unavailable, delayMs, ends }: Sofar): AuthAnswer {
  return unavailable ? { kind: "later", delayMs } : { kind: "no", delayMs, ends };
}

/** Throws `InvalidAnswer`. */
function checkAuthAnswer(answer: unknown): AuthAnswer {
  const { kind, identity, delayMs = 0, ends } = (answer ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof delayMs !== "number" || !(delayMs >= 0)) throw new InvalidAnswer("delayMs is no number of milliseconds");
  const delay = { delayMs: Math.min(delayMs, longestDelayMs) };
  if (kind === "no") return { kind, ...delay, ends: ends === true };
  if (kind === "later") return { kind, ...delay };
  if (kind !== "ok") throw new InvalidAnswer("answer is neither ok, no nor later");
  if (typeof identity !== "string" || !isIdentity(identity)) throw new InvalidAnswer("ok needs a printable identity");
  return { kind, identity, ...delay };
}

/** 1 to 255 octets without control characters. */
export function isIdentity(text: string): boolean {
  return (
    text !== "" &&
    text.length <= 255 &&
    Buffer.byteLength(text) <= 255 &&
    !/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text)
  );
}
