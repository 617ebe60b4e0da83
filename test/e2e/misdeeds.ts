// What a broken or malicious plugin does when it is called, and what that is to a gateway.
import { hostileAnswers, hostileCall } from "@postern/testkit";

export interface Misdeed {
  readonly name: string;
  readonly call: () => unknown;
  /** "failed": by this reason. "refused": an answer after all. "silent": no opinion after all. */
  readonly is: "error" | "timeout" | "invalid" | "refused" | "silent";
}

/** Resolved by the test when the deadline is long over. */
export const tooLate: { answer: (value: unknown) => void } = { answer: () => undefined };

const misdeed = (name: string, is: Misdeed["is"], call: () => unknown): Misdeed => ({ name, is, call });

export const misdeeds: readonly Misdeed[] = [
  misdeed("throws", "error", hostileCall("throw")),
  misdeed("throws undefined", "error", hostileCall("throwUndefined")),
  misdeed("rejects", "error", hostileCall("reject")),
  misdeed("rejects with a trap", "error", () => Promise.reject(trap())),
  misdeed("hangs", "timeout", hostileCall("hang")),
  misdeed("answers when nobody waits any more", "timeout", () => new Promise((resolve) => (tooLate.answer = resolve))),
  misdeed("gives a thenable that throws", "error", hostileCall("thenThrows")),
  misdeed("gives a thenable that calls back twice", "silent", hostileCall("thenTwice")),
  misdeed("gives a thenable that never calls back", "timeout", () => thenable(() => undefined)),
  misdeed("refuses in a megabyte of line ends", "refused", hostileCall("megabyte")),
  misdeed("refuses in a megabyte, later", "refused", async () => hostileCall("megabyte")()),
  misdeed("gives an object as large as memory allows to look at", "invalid", () =>
    Array.from({ length: 200_000 }, () => ({})),
  ),
  ...hostileAnswers().map((answer, index) => misdeed(`gives nonsense ${index}`, "invalid", () => answer)),
  misdeed("gives nonsense, later", "invalid", async () => null),
];

function thenable(then: () => void): unknown {
  // oxlint-disable-next-line unicorn/no-thenable -- that is the point
  return { then };
}

/** Throws whatever is asked of it. */
function trap(): object {
  const touched = (): never => {
    throw new Error("touched\r\n250 Ok");
  };
  return new Proxy({}, { get: touched, has: touched, getPrototypeOf: touched, ownKeys: touched });
}
