import { isPromise, type Answer, type StateSpace } from "@postern/core";
import { createFakeClock, createFakeSpace, sampleRecipient, sampleSession, sampleTransaction } from "@postern/testkit";
import { describe, expect, test } from "vitest";
import { createGreylist, type Triplets } from "./greylist.ts";
import { options, type Options } from "./options.ts";

const minute = 60_000;
const day = 24 * 60 * minute;

interface Attempt {
  readonly client?: string | undefined;
  readonly sender?: string;
  readonly recipient?: string;
  readonly dry?: boolean;
  readonly inNetworks?: boolean;
  readonly identity?: string;
}

function setUp(given: Partial<Options> = {}, wrap: (space: Triplets) => Triplets = (space) => space) {
  const clock = createFakeClock();
  const space = createFakeSpace<number>(clock);
  const judge = createGreylist(wrap(space), { ...options.parse({}), ...given }, clock);
  const attempt = ({ dry = false, inNetworks = false, identity, ...rest }: Attempt = {}) =>
    judge({
      stage: "rcpt",
      session: sampleSession({
        client: { address: "client" in rest ? rest.client : "192.0.2.1", inNetworks },
        auth: identity === undefined ? undefined : { identity, mechanism: "PLAIN" },
      }),
      transaction: sampleTransaction({ sender: rest.sender ?? "a@example.net" }),
      recipient: sampleRecipient(rest.recipient ?? "b@example.test"),
      dry,
    });
  return { clock, space, attempt };
}

const putOff = { kind: "deferIfPermit", reply: { code: 450, enhanced: "4.7.1", text: "Greylisted, try again later" } };

test("a new triplet is put off, whoever retries early too, and comes in after the delay, synchronously", () => {
  const { clock, attempt } = setUp();
  expect(attempt()).toEqual(putOff);
  clock.advance(5 * minute - 1);
  expect(attempt()).toEqual(putOff);
  clock.advance(1);
  expect(attempt()).toBeUndefined();
  expect(attempt()).toBeUndefined();
});

describe("the same triplet is", () => {
  test.each<[what: string, first: Attempt, second: Attempt, same: boolean]>([
    ["another host of the /24", { client: "192.0.2.1" }, { client: "192.0.2.254" }, true],
    ["not another /24", { client: "192.0.2.1" }, { client: "192.0.3.1" }, false],
    ["another host of the /64", { client: "2001:db8::1" }, { client: "2001:db8::ffff:1" }, true],
    ["not another /64", { client: "2001:db8::1" }, { client: "2001:db8:0:1::1" }, false],
    ["an IPv4-mapped address", { client: "192.0.2.1" }, { client: "::ffff:192.0.2.1" }, true],
    ["another case", { sender: "A@Example.NET" }, { sender: "a@example.net", recipient: "B@EXAMPLE.test" }, true],
    ["not another sender", { sender: "a@example.net" }, { sender: "c@example.net" }, false],
    ["not another recipient", { recipient: "b@example.test" }, { recipient: "c@example.test" }, false],
    ["the null sender with itself", { sender: "" }, { sender: "" }, true],
    ["not the null sender with another", { sender: "" }, { sender: "a@example.net" }, false],
    ["a client without an address with itself", { client: undefined }, { client: undefined }, true],
    [
      "one of very long addresses",
      { sender: `${"a".repeat(2_000)}@x.test` },
      { sender: `${"A".repeat(2_000)}@x.test` },
      true,
    ],
    [
      "not another very long one",
      { sender: `${"a".repeat(2_000)}@x.test` },
      { sender: `${"a".repeat(2_001)}@x.test` },
      false,
    ],
  ])("%s", (_, first, second, same) => {
    const { clock, attempt } = setUp();
    expect(attempt(first)).toEqual(putOff);
    clock.advance(10 * minute);
    expect(attempt(second)).toEqual(same ? undefined : putOff);
  });
});

test("our own and authenticated clients are never put off and leave nothing", () => {
  const { attempt, space } = setUp();
  expect(attempt({ inNetworks: true })).toBeUndefined();
  expect(attempt({ identity: "user" })).toBeUndefined();
  expect(space.keys).toEqual([]);
});

test("after the retry window it is new again, however often it was tried too early before", () => {
  const { clock, attempt } = setUp({ delay: 12 * 60 * minute });
  void attempt();
  clock.advance(6 * 60 * minute);
  expect(attempt()).toEqual(putOff);
  clock.advance(2 * day - 60 * minute);
  expect(attempt()).toEqual(putOff);
  clock.advance(12 * 60 * minute);
  expect(attempt()).toBeUndefined();
});

test("it stays known for the lifetime after its last mail, and is forgotten then", () => {
  const { clock, attempt, space } = setUp();
  void attempt();
  clock.advance(10 * minute);
  void attempt();
  for (let month = 0; month < 4; month += 1) {
    clock.advance(30 * day);
    expect(attempt()).toBeUndefined();
  }
  clock.advance(35 * day);
  expect(space.keys).toEqual([]);
  expect(attempt()).toEqual(putOff);
});

test("what never comes back is forgotten after the retry window", () => {
  const { clock, attempt, space } = setUp();
  void attempt();
  expect(space.keys).toHaveLength(1);
  clock.advance(2 * day);
  expect(space.keys).toEqual([]);
});

test("a wall clock that went back makes nobody wait longer than the delay", () => {
  const { clock, attempt } = setUp();
  void attempt();
  clock.setWallClock(clock.now() - day);
  expect(attempt()).toEqual(putOff);
  clock.advance(5 * minute);
  expect(attempt()).toBeUndefined();
});

test("a network whose triplets came back often enough is let in at once", () => {
  const { clock, attempt } = setUp({ autoWhitelistAfter: 2 });
  for (const sender of ["a@x.test", "b@x.test"]) {
    expect(attempt({ sender })).toEqual(putOff);
    clock.advance(10 * minute);
    expect(attempt({ sender })).toBeUndefined();
  }
  expect(attempt({ sender: "c@x.test", client: "192.0.2.77" })).toBeUndefined();
  expect(attempt({ sender: "c@x.test", client: "198.51.100.1" })).toEqual(putOff);
});

test("asked dry it says what it would say and leaves no trace", () => {
  const { clock, attempt, space } = setUp({ autoWhitelistAfter: 1 });
  expect(attempt({ dry: true })).toEqual(putOff);
  expect(space.keys).toEqual([]);
  void attempt();
  clock.advance(10 * minute);
  const before = space.keys;
  expect(attempt({ dry: true })).toBeUndefined();
  expect(space.keys).toEqual(before);
});

test("a store that fails is a failure, not an answer: the host's onError decides", () => {
  const { attempt, space } = setUp();
  space.fail();
  expect(() => attempt()).toThrow(expect.objectContaining({ code: "STORE_UNAVAILABLE" }));
});

test("a store that answers later gives the same answers, and of two at once each is put off", async () => {
  const late = (space: Triplets): Triplets => {
    const wait = async <T>(call: () => T): Promise<Awaited<T>> => {
      await new Promise((resolve) => setImmediate(resolve));
      return await call();
    };
    return {
      get: (key) => wait(() => space.get(key)),
      put: (key, value, ttlMs) => wait(() => space.put(key, value, ttlMs)),
      delete: (key) => wait(() => space.delete(key)),
      update: (key, ttlMs, change) => wait(() => space.update(key, ttlMs, change)),
    } satisfies Pick<StateSpace<number>, "get" | "put" | "delete" | "update">;
  };
  const { clock, attempt } = setUp({ autoWhitelistAfter: 5 }, late);
  const both: Answer[] = await Promise.all([attempt(), attempt()]);
  expect(both).toEqual([putOff, putOff]);
  clock.advance(10 * minute);
  const answer = attempt();
  expect(isPromise(answer)).toBe(true);
  expect(await answer).toBeUndefined();
});
