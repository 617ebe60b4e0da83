// Whatever a transport does, each recipient gets one outcome, and what has no final one stays pending.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createGuard, type Failed } from "../guard/index.ts";
import { createMemoryBlob } from "../message/index.ts";
import { bounced, deferred, delivered, systemClock, type Outcome, type Recipient } from "../model/index.ts";
import { attemptDelivery } from "./attempt.ts";
import type { DeliveryControls, DeliveryReport, DeliveryRequest, Transport } from "./transport.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const recipients: readonly Recipient[] = ["a@x.test", "b@x.test"].map((address) => ({ address, original: address }));
const timeoutMs = 1_000;
const alive: DeliveryReport = { destination: "alive" };

type Deliver = (request: DeliveryRequest, controls: DeliveryControls) => unknown;

async function attempt(deliver: Deliver) {
  const failures: Failed[] = [];
  const outcomes: [number, Outcome][] = [];
  const controller = new AbortController();
  const running = attemptDelivery(
    { name: "odd", description: "", deliver: deliver as Transport["deliver"], close: async () => {} },
    {
      id: "M1",
      envelope: { sender: "", body: "7bit", smtputf8: false },
      recipients,
      route: { transport: "odd", nextHop: "" },
      content: createMemoryBlob([]),
      more: false,
    },
    {
      guard: createGuard(systemClock, (failed) => failures.push(failed)),
      clock: systemClock,
      owner: { name: "odd-plugin", onError: "defer", deadlineMs: 1 },
      controller,
      timeoutMs,
      settled: (position, outcome) => outcomes.push([position, outcome]),
    },
  );
  await vi.advanceTimersByTimeAsync(60_000);
  const { pending, report } = await running;
  expect(new Set(outcomes.map(([position]) => position))).toEqual(new Set([0, 1]));
  expect(outcomes).toHaveLength(2);
  const statuses = outcomes
    .toSorted(([one], [other]) => one - other)
    .map(([, { status, enhanced }]) => `${status} ${enhanced}`);
  return { statuses, pending, report, outcomes, failures, aborted: controller.signal.aborted };
}

const [a, b] = recipients as [Recipient, Recipient];
const lost = "deferred 4.3.0";
const cases: readonly [
  what: string,
  deliver: Deliver,
  statuses: readonly string[],
  pending: readonly number[],
  failed?: string,
][] = [
  [
    "settles both",
    async (_request, { settle }) => {
      settle(b, bounced("no", { enhanced: "5.1.1" }));
      settle(a, delivered("ok"));
      return alive;
    },
    ["delivered 2.0.0", "bounced 5.1.1"],
    [],
  ],
  [
    "settles one",
    async (_request, { settle }) => {
      settle(a, delivered("ok"));
      return { destination: "throttled", reason: "busy" };
    },
    ["delivered 2.0.0", lost],
    [1],
  ],
  [
    "settles and throws",
    async (_request, { settle }) => {
      settle(a, delivered("ok"));
      throw new Error("oops");
    },
    ["delivered 2.0.0", lost],
    [1],
    "error",
  ],
  [
    "throws at once",
    () => {
      throw new Error("oops");
    },
    [lost, lost],
    [0, 1],
    "error",
  ],
  [
    "settles twice: the first word holds",
    async (_request, { settle }) => {
      settle(a, deferred("later", { enhanced: "4.2.0" }));
      settle(a, delivered("ok"));
      settle(b, delivered("ok"));
      return alive;
    },
    ["deferred 4.2.0", "delivered 2.0.0"],
    [0],
  ],
  [
    "settles a stranger and a look-alike",
    async (_request, { settle }) => {
      settle({ address: "c@x.test", original: "c@x.test" }, delivered("ok"));
      settle({ ...a }, delivered("ok"));
      return alive;
    },
    [lost, lost],
    [0, 1],
  ],
  ["answers nothing", () => undefined, [lost, lost], [0, 1], "invalid"],
  ["answers nonsense", async () => ({ destination: "fine" }), [lost, lost], [0, 1], "invalid"],
  ["hangs", () => new Promise(() => {}), [lost, lost], [0, 1], "timeout"],
  [
    "hangs until it is aborted",
    (_request, { settle, signal }) =>
      new Promise((resolve) => {
        signal.addEventListener("abort", () => {
          settle(a, delivered("just in time"));
          resolve(alive);
        });
      }),
    ["delivered 2.0.0", lost],
    [1],
  ],
  [
    "settles after its end",
    async (_request, { settle }) => {
      setTimeout(() => settle(a, delivered("too late")), 10);
      return alive;
    },
    [lost, lost],
    [0, 1],
  ],
  [
    "settles with nonsense",
    async (_request, { settle }) => {
      settle(a, { status: "sent", enhanced: "2.0.0", text: "" } as unknown as Outcome);
      settle(b, undefined as unknown as Outcome);
      return alive;
    },
    [lost, lost],
    [0, 1],
  ],
  [
    "settles with codes of another class",
    async (_request, { settle }) => {
      settle(a, delivered("ok", { enhanced: "5.1.1" }));
      settle(b, bounced("no", { enhanced: "5.1.1\r\nX: y" }));
      return alive;
    },
    ["delivered 2.0.0", "bounced 5.0.0"],
    [],
  ],
];
test.each(cases)("a transport that %s", async (_what, deliver, statuses, pending, failed) => {
  const result = await attempt(deliver);
  expect(result.statuses).toEqual(statuses);
  expect(result.pending).toEqual(pending);
  expect(result.failures.map(({ owner, reason }) => `${owner.name} ${reason}`)).toEqual(
    failed === undefined ? [] : [`odd-plugin ${failed}`],
  );
});

test("an outcome's words are made safe, and what the peer answered is kept", async () => {
  const { outcomes } = await attempt(async (_request, { settle }) => {
    settle(
      a,
      bounced("550 no\r\nX-Forged: yes", { remote: "mx\u0000[192.0.2.1]:25", inReplyTo: "RCPT TO", enhanced: "5.1.1" }),
    );
    settle(b, delivered("x".repeat(1_000_000), { dsn: "passed", tls: "TLSv1.3 X" }));
    return alive;
  });
  expect(outcomes[0]?.[1]).toEqual({
    status: "bounced",
    enhanced: "5.1.1",
    text: "550 no??X-Forged: yes",
    remote: "mx?[192.0.2.1]:25",
    inReplyTo: "RCPT TO",
  });
  expect(outcomes[1]?.[1]).toMatchObject({ dsn: "passed", tls: "TLSv1.3 X" });
  expect(outcomes[1]?.[1].text.length).toBeLessThanOrEqual(512);
});
