// The handover's contract: what it may answer, and that whatever it does wrong, nobody thinks the message taken or queued.
import { createFakeClock } from "@postern/testkit";
import { expect, test } from "vitest";
import { createGuard, type Failed } from "../guard/index.ts";
import { PluginError } from "../errors.ts";
import { reject, reply, type Session, type Transaction } from "../model/index.ts";
import type { Message } from "../message/index.ts";
import { checkFilters, guardHandover, type Handover } from "./handover.ts";

const ask = {
  session: {} as Session,
  envelope: {} as Transaction,
  message: {} as Message,
  filter: undefined,
  held: false,
};
const later = { kind: "defer", reply: { code: 451 } };

test.each<[what: string, take: () => unknown, expected: unknown]>([
  ["nothing", () => undefined, undefined],
  ["a refusal", () => reject("no"), reject("no")],
  ["a filter", () => ({ kind: "filter", destination: "smtp:x", more: 1 }), { kind: "filter", destination: "smtp:x" }],
  [
    "taken",
    async () => ({ kind: "taken", reply: reply(250, "2.0.0", "a\r\nb") }),
    { reply: { code: 250, text: "a b" } },
  ],
  [
    "taken with words of its own",
    () => ({ kind: "taken", reply: { code: 250, text: "x\r\n554 y" } }),
    { kind: "taken" },
  ],
  [
    "a throw",
    () => {
      throw new Error("secret");
    },
    later,
  ],
  ["a rejection", () => Promise.reject(new Error("secret")), later],
  ["silence", () => new Promise(() => undefined), later],
  ["taken with a no", () => ({ kind: "taken", reply: reply(550, "5.0.0", "x") }), later],
  ["taken without a word", () => ({ kind: "taken" }), later],
  ["a filter without a transport", () => ({ kind: "filter", destination: "x" }), later],
  ["permit", () => ({ kind: "permit" }), later],
  ["null", () => null, later],
  ["true", () => true, later],
])("%s, whatever onError says", async (_, take, expected) => {
  for (const onError of ["skip", "reject", "quarantine"] as const) {
    const clock = createFakeClock();
    const failures: Failed[] = [];
    const guard = createGuard(clock, (failed) => void failures.push(failed));
    const value = { name: "h", description: "", deadlineMs: 5_000, take } as unknown as Handover;
    const controller = new AbortController();
    const handOver = guardHandover({ owner: { name: "p", onError, deadlineMs: 1_000 }, value }, guard);
    const answer = handOver(ask, controller);
    await clock.run(5_000);
    if (expected === undefined) expect(await answer).toBeUndefined();
    else expect(await answer).toMatchObject(expected as object);
    expect([failures.length, controller.signal.aborted]).toEqual(expected === later ? [1, true] : [0, false]);
  }
});

test("dry, nothing is taken", async () => {
  const guard = createGuard(createFakeClock(), () => undefined);
  const take = (): never => {
    throw new Error("taken");
  };
  const owner = { name: "p", onError: "defer", deadlineMs: 1_000 } as const;
  const silent = { name: "h", description: "", take };
  expect(await guardHandover({ owner, value: silent }, guard, true)(ask, new AbortController())).toBeUndefined();
  const telling: Handover = { ...silent, explain: () => ({ kind: "filter", destination: "smtp:x" }) };
  expect(await guardHandover({ owner, value: telling }, guard, true)(ask, new AbortController())).toMatchObject({
    kind: "filter",
  });
  expect(() =>
    checkFilters({ owner, value: { ...silent, filters: ["a:", "b:"] } }, (filter) => {
      if (filter === "b:") throw new Error("no b");
    }),
  ).toThrow(new PluginError("p", "no b"));
});
