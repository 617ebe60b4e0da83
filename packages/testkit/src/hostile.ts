/** What a broken or malicious plugin does and says, for trying a host, a hook or an edge. */

/** Texts that break lines, forge replies or header fields, hide themselves, or are very long. */
export function hostileStrings(): readonly string[] {
  return [
    "",
    "\r\n250 2.0.0 Ok",
    "x\nBcc: victim@example.net",
    "x\r\n.\r\nMAIL FROM:<a@b>",
    "\0",
    "a\0b",
    "\u001b[2J\u001b]0;title\u0007",
    "\u007f\u0080\u0085\u009f",
    "\u2028\u2029",
    "\u202egnp.exe",
    "\ud800",
    "x\udc00\ud800",
    "%s%n%d ${HOME} $(id)",
    " ".repeat(5_000),
    "\r\n".repeat(2_000),
    "é".repeat(3_000),
    "\u{1f600}".repeat(3_000),
    "x".repeat(1_048_576),
    "\r".repeat(1_048_576),
  ];
}

/** Values that are no answer to any question of the gateway. */
export function hostileAnswers(): readonly unknown[] {
  return [
    null,
    true,
    -1,
    Number.NaN,
    "reject",
    Symbol("reject"),
    () => undefined,
    {},
    { kind: "reject" },
    { kind: "reject", reply: { code: 250, enhanced: "2.0.0", text: "Ok" } },
    { kind: "reject", reply: null },
    { kind: "defer", reply: { code: 550, text: "no" } },
    { kind: "nonsense" },
    { kind: "__proto__" },
    { kind: "tag", text: "spam" },
    { kind: "quarantine", text: 1 },
    { kind: "edit", edit: { kind: "nonsense" } },
    { kind: "perRecipient", answers: 7 },
    { kind: "redirect", address: "nobody" },
    { kind: "bcc", address: "a@b.test\r\nBcc: c@d.test" },
    { kind: "filter", destination: "nowhere" },
    { kind: "hold", text: 1 },
    [null],
    [{ kind: "nonsense" }],
    Object.create(null),
    new Proxy(
      {},
      {
        get() {
          throw new Error("touched");
        },
        has() {
          throw new Error("touched");
        },
      },
    ),
  ];
}

export const hostileKinds = Object.freeze([
  "throw",
  "throwUndefined",
  "reject",
  "hang",
  "late",
  "nonsense",
  "lateNonsense",
  "megabyte",
  "thenThrows",
  "thenTwice",
] as const);
export type HostileKind = (typeof hostileKinds)[number];

/**
 * A function that misbehaves in one way, whatever it is given; for any tap, word, scanner, table or transport. `late` and
 * `lateNonsense` answer after `lateMs` of real time.
 */
export function hostileCall(kind: HostileKind, lateMs = 50): (...args: unknown[]) => never {
  const misbehave: Readonly<Record<HostileKind, () => unknown>> = {
    throw: () => {
      throw new Error("thrown by a hostile plugin at /etc/shadow\r\n250 Ok");
    },
    throwUndefined: () => {
      // oxlint-disable-next-line typescript/only-throw-error -- that is the point
      throw undefined;
    },
    reject: () => Promise.reject(new Error("rejected by a hostile plugin\r\n250 Ok")),
    hang: () => new Promise(() => undefined),
    late: () => new Promise((resolve) => setTimeout(resolve, lateMs)),
    nonsense: () => null,
    lateNonsense: () => new Promise((resolve) => setTimeout(() => resolve("nonsense"), lateMs)),
    megabyte: () => ({
      kind: "reject",
      reply: { code: 550, enhanced: "5.7.1", text: "\r\n250 Ok ".repeat(131_072) },
    }),
    // oxlint-disable-next-line unicorn/no-thenable -- that is the point
    thenThrows: () => ({ then: hostileCall("throw") }),
    thenTwice: () => ({
      // oxlint-disable-next-line unicorn/no-thenable -- that is the point
      then(yes: (value: unknown) => void, no: (error: unknown) => void) {
        yes(undefined);
        no(new Error("second word"));
        yes("third word");
      },
    }),
  };
  return () => misbehave[kind]() as never;
}
