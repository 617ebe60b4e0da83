import { createFakeClock } from "@postern/testkit";
import { expect, test } from "vitest";
import { ScannerFailure } from "../../errors.ts";
import { reachAtStart, type EngineServer } from "./reach.ts";

function setUp(servers: readonly Partial<EngineServer>[], dry = false) {
  const clock = createFakeClock();
  const told: string[] = [];
  let ready = (): void => undefined;
  let close = (): void => undefined;
  const gateway = {
    dry,
    clock,
    log: { warn: (text: string) => void told.push(text) },
    onReady: (call: () => void) => void (ready = call),
    onClose: (call: () => void) => void (close = call),
  };
  const signals: AbortSignal[] = [];
  const all = servers.map((server, at): EngineServer => ({
    label: `engine at ${at}`,
    reach: async () => "",
    ...server,
  }));
  reachAtStart(
    gateway,
    all.map((server) => ({ ...server, reach: (signal) => (signals.push(signal), server.reach(signal)) })),
  );
  return { clock, told, signals, ready: () => ready(), close: () => close() };
}

const dead = { reach: () => Promise.reject(new ScannerFailure("down", "engine at 0: connect ECONNREFUSED\n")) };
const hangs = { reach: () => new Promise(() => undefined) };
const stands = ": until it can, mail fares as onError says";

test.each<[what: string, servers: readonly Partial<EngineServer>[], told: readonly string[]]>([
  ["there", [{}], []],
  ["not there", [dead], [`engine at 0 cannot be reached (connect ECONNREFUSED?)${stands}`]],
  ["silent", [hangs], [`engine at 0 cannot be reached (no answer within 10 s)${stands}`]],
  [
    "several names of which none has an address",
    [{ reach: () => Promise.reject(Object.assign(new AggregateError([]), { code: "ECONNREFUSED" })) }],
    [`engine at 0 cannot be reached (ECONNREFUSED)${stands}`],
  ],
  [
    "a throw",
    [
      {
        reach: () => {
          throw new TypeError("x");
        },
      },
    ],
    [`engine at 0 cannot be reached (x)${stands}`],
  ],
  [
    "there, and then it throws",
    [{ reached: () => Promise.reject(new Error("no version")) }],
    ["engine at 0: no version"],
  ],
  ["the first of two", [dead, {}], ["engine at 0 cannot be reached (connect ECONNREFUSED?)"]],
  [
    "both",
    [dead, hangs],
    [
      "engine at 0 cannot be reached (connect ECONNREFUSED?)",
      "engine at 1 cannot be reached (no answer within 10 s)",
      `none of 2 can be reached${stands}`,
    ],
  ],
])("%s", async (_, servers, expected) => {
  const { clock, told, signals, ready } = setUp(servers);
  ready();
  expect([told, signals.length]).toEqual([[], servers.length]); // nobody has waited for it
  await clock.run(10_000);
  expect(told).toEqual(expected);
  await clock.run(3_600_000);
  expect([signals.length, clock.pending, told.length]).toEqual([servers.length, 0, expected.length]);
});

test("when the gateway closes, everything is let go without a word", async () => {
  let reached: AbortSignal | undefined;
  const { clock, told, signals, ready, close } = setUp([hangs, { reached: async (signal) => void (reached = signal) }]);
  ready();
  await clock.run(1);
  expect([clock.pending, signals[0]?.aborted, reached?.aborted]).toEqual([1, false, false]);
  close();
  await clock.run(20_000);
  expect([clock.pending, signals[0]?.aborted, reached?.aborted, told]).toEqual([0, true, true, []]);
});

test("where nothing will run nobody is asked", async () => {
  const { clock, signals, ready, close } = setUp([hangs], true);
  ready();
  close();
  expect([signals, clock.pending]).toEqual([[], 0]);
});
