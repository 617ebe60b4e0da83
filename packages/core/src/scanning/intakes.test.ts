// Engines that begin while content comes: they get every octet or are not used, and whatever they do, the session goes on.
import { createFakeClock, sampleMessage, sampleRecipient, sampleSession, sampleTransaction } from "@postern/testkit";
import { describe, expect, test } from "vitest";
import { ScannerFailure } from "../errors.ts";
import { createGuard, failuresToOpen, type Failed } from "../guard/index.ts";
import type { Spool } from "../message/index.ts";
import { isPromise, reject } from "../model/index.ts";
import { createScanning, ownScanner, type IntakeAsk, type ScanAsk, type ScanIntake, type Scanner } from "./index.ts";

const session = sampleSession();
const transaction = sampleTransaction({ recipients: [sampleRecipient()] });
const rest = { session, transaction, message: sampleMessage(), openSpool: () => ({}) as Spool };
const parts = ["one", "two", "three"].map((text) => Buffer.from(text));

interface Engine {
  readonly begin?: (ask: IntakeAsk) => ScanIntake | undefined;
  readonly scan?: Scanner["scan"];
}

function setUp(...engines: readonly Engine[]) {
  const clock = createFakeClock();
  const failures: Failed[] = [];
  const guard = createGuard(clock, (failed) => void failures.push(failed));
  const asked: ScanAsk[] = [];
  const scanners = engines.map(({ begin, scan }, index) =>
    ownScanner(
      { name: `plugin-${index}`, onError: "defer" },
      {
        name: `engine-${index}`,
        description: "",
        ...(begin === undefined ? {} : { begin }),
        scan: (ask) => (asked.push(ask), scan?.(ask)),
      },
    ),
  );
  const scanning = createScanning(scanners, guard, { clock });
  const begin = () => {
    const intakes = scanning.begin?.(session, transaction);
    if (intakes === undefined) throw new Error("nobody begins");
    return intakes;
  };
  return { clock, failures, asked, scanning, begin };
}

/** Keeps what it is given, and its ask. */
function keeping(answer: (part: Buffer) => unknown = () => undefined) {
  const kept = { text: "", signal: undefined as AbortSignal | undefined };
  const begin = ({ signal }: IntakeAsk): ScanIntake => {
    kept.signal = signal;
    return {
      write(part) {
        kept.text += part.toString();
        return answer(part);
      },
    };
  };
  return { kept, begin };
}

test("without engines that begin there is nothing to give content to", () => {
  expect(setUp({}).scanning.begin).toBeUndefined();
});

test("an engine begins with the first octets, gets all of them, and finds its intake in scan, with the same signal", async () => {
  const { kept, begin } = keeping();
  const { asked, scanning, begin: start, failures, clock } = setUp({}, { begin });
  const intakes = start();
  expect(kept.signal).toBeUndefined();
  for (const part of parts) expect(intakes.write(part)).toBeUndefined();
  await scanning.scan({ ...rest, intakes });
  expect(kept.text).toBe("onetwothree");
  expect(asked.map(({ intake }) => typeof intake?.write)).toEqual(["undefined", "function"]);
  expect(asked[1]?.signal).toBe(kept.signal);
  // What it left behind is let go when all is over.
  expect(kept.signal?.aborted).toBe(true);
  expect([failures, clock.pending]).toEqual([[], 0]);
});

type Misdeed = readonly [what: string, begin: (ask: IntakeAsk) => unknown, failure: RegExp | undefined];
test.each<Misdeed>([
  ["declines", () => undefined, undefined],
  [
    "throws at once",
    () => {
      throw new Error("no room");
    },
    /no room/,
  ],
  ["gives no intake", () => Promise.resolve(), /gave no intake/],
  ["gives null", () => null, /gave no intake|null/],
  [
    "throws in the middle",
    () => ({
      write(part: Buffer) {
        if (part.toString() === "two") throw new Error("too much");
      },
    }),
    /too much/,
  ],
  ["rejects", () => ({ write: () => Promise.reject(new ScannerFailure("down", "EPIPE")) }), /EPIPE/],
  // oxlint-disable-next-line unicorn/no-thenable
  ["gives a thenable that throws", () => ({ write: () => ({ then: () => { throw new Error("then"); } }) }), /then/], // prettier-ignore
])("one that %s is not used, and is asked all the same", async (_, begin, failure) => {
  const good = keeping();
  const given = setUp({ begin: begin as Engine["begin"] & {} }, { begin: good.begin });
  const intakes = given.begin();
  for (const part of parts) await intakes.write(part);
  expect(await given.scanning.scan({ ...rest, intakes })).toMatchObject({ answer: undefined });
  expect(given.asked.map(({ intake }) => intake !== undefined)).toEqual([false, true]);
  expect(good.kept.text).toBe("onetwothree");
  expect(given.failures.map(({ point, error }) => `${point}: ${(error as Error).message}`)).toEqual(
    failure === undefined ? [] : [expect.stringMatching(failure)],
  );
  if (failure !== undefined) expect(given.failures[0]?.point).toBe("scanner engine-0 intake");
  expect(given.clock.pending).toBe(0);
});

describe("one that holds the client back", () => {
  test("is waited for, a second in all; then it gets nothing more, and the engine is told", async () => {
    const gates: (() => void)[] = [];
    const { kept, begin } = keeping(() => new Promise<void>((resolve) => gates.push(resolve)));
    const { clock, begin: start, scanning, asked, failures } = setUp({ begin });
    const intakes = start();
    const first = intakes.write(parts[0] as Buffer);
    expect(isPromise(first)).toBe(true);
    await clock.run(700);
    gates.shift()?.();
    await first;
    const second = intakes.write(parts[1] as Buffer);
    await clock.run(299);
    expect(kept.signal?.aborted).toBe(false);
    await clock.run(1);
    await second;
    expect([kept.signal?.aborted, failures[0]?.reason]).toEqual([true, "timeout"]);
    expect(intakes.write(parts[2] as Buffer)).toBeUndefined();
    await scanning.scan({ ...rest, intakes });
    expect([kept.text, asked[0]?.intake, asked[0]?.signal === kept.signal]).toEqual(["onetwo", undefined, false]);
    expect(clock.pending).toBe(0);
  });

  test("is let go at once when the client is gone, and that is no failure of its own", async () => {
    const { kept, begin } = keeping(() => new Promise(() => undefined));
    const { clock, begin: start, failures } = setUp({ begin });
    const intakes = start();
    const waiting = intakes.write(parts[0] as Buffer);
    intakes.abort();
    await waiting;
    expect([kept.signal?.aborted, failures, clock.pending]).toEqual([true, [], 0]);
    expect(intakes.write(parts[1] as Buffer)).toBeUndefined();
    expect(kept.text).toBe("one");
  });
});

test("a client that takes its time does not hold an engine's place", async () => {
  const { kept, begin } = keeping();
  const { clock, begin: start, scanning, asked, failures } = setUp({ begin });
  const intakes = start();
  intakes.write(parts[0] as Buffer);
  await clock.run(29_999);
  expect(kept.signal?.aborted).toBe(false);
  await clock.run(1);
  expect(kept.signal?.aborted).toBe(true);
  intakes.write(parts[1] as Buffer);
  await scanning.scan({ ...rest, intakes });
  expect([kept.text, asked[0]?.intake, failures]).toEqual(["one", undefined, []]);
});

test("when another engine has refused without waiting, those that are not asked any more are let go", async () => {
  const { kept, begin } = keeping();
  const { scanning, begin: start, asked } = setUp({ scan: () => reject("no") }, { begin });
  const intakes = start();
  intakes.write(parts[0] as Buffer);
  expect(await scanning.scan({ ...rest, intakes })).toMatchObject({ answer: reject("no") });
  expect([asked.length, kept.signal?.aborted]).toEqual([1, true]);
});

test("a dead engine is not begun", async () => {
  let begun = 0;
  const { scanning, begin } = setUp({
    begin: () => void (begun += 1),
    scan: () => Promise.reject(new ScannerFailure("down", "x")),
  });
  for (let count = 0; count <= failuresToOpen; count += 1) {
    const intakes = begin();
    intakes.write(parts[0] as Buffer);
    await scanning.scan({ ...rest, intakes });
  }
  expect(begun).toBe(failuresToOpen);
});
