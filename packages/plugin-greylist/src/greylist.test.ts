import { formatDate, isPromise, type Answer, type Ask } from "@postern/core";
import { createFakeClock, createFakeSpace, sampleRecipient, sampleSession, sampleTransaction } from "@postern/testkit";
import { describe, expect, test } from "vitest";
import { createGreylist, type GreylistSpaces } from "./greylist.ts";
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
  readonly transaction?: ReturnType<typeof sampleTransaction>;
}

type Space = GreylistSpaces["known"];

function setUp(
  given: Partial<Options> = {},
  wrap: (space: Space) => Space = (space) => space,
  isExempt: (ask: Ask) => boolean = () => false,
) {
  const clock = createFakeClock();
  const make = () => createFakeSpace<number>(clock);
  const spaces = { waiting: make(), known: make(), networks: make() };
  const judge = createGreylist({
    spaces: { waiting: wrap(spaces.waiting), known: wrap(spaces.known), networks: wrap(spaces.networks) },
    options: { ...options.parse({ autoWhitelistAfter: 0, header: false }), ...given },
    clock,
    hostname: "mx.example.test",
    isExempt,
  });
  const attempt = ({ dry = false, inNetworks = false, identity, transaction, ...rest }: Attempt = {}) =>
    judge({
      stage: "rcpt",
      session: sampleSession({
        client: { address: "client" in rest ? rest.client : "192.0.2.1", inNetworks },
        auth: identity === undefined ? undefined : { identity, mechanism: "PLAIN" },
      }),
      transaction: transaction ?? sampleTransaction({ sender: rest.sender ?? "a@example.net" }),
      recipient: sampleRecipient(rest.recipient ?? "b@example.test"),
      dry,
    });
  const keys = () => Object.entries(spaces).flatMap(([name, space]) => space.keys.map((key) => `${name} ${key}`));
  return { clock, spaces, keys, attempt };
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
  const { attempt, keys } = setUp();
  expect(attempt({ inNetworks: true })).toBeUndefined();
  expect(attempt({ identity: "user" })).toBeUndefined();
  expect(keys()).toEqual([]);
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
  const { clock, attempt, keys } = setUp();
  void attempt();
  clock.advance(10 * minute);
  void attempt();
  for (let month = 0; month < 4; month += 1) {
    clock.advance(30 * day);
    expect(attempt()).toBeUndefined();
  }
  clock.advance(35 * day);
  expect(keys()).toEqual([]);
  expect(attempt()).toEqual(putOff);
});

test("what never comes back is forgotten after the retry window", () => {
  const { clock, attempt, keys } = setUp();
  void attempt();
  expect(keys()).toHaveLength(1);
  clock.advance(2 * day);
  expect(keys()).toEqual([]);
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
  const { clock, attempt, keys } = setUp({ autoWhitelistAfter: 1 });
  expect(attempt({ dry: true })).toEqual(putOff);
  expect(keys()).toEqual([]);
  void attempt();
  clock.advance(10 * minute);
  const before = keys();
  expect(attempt({ dry: true })).toBeUndefined();
  expect(keys()).toEqual(before);
});

test("a store that fails is a failure, not an answer: the host's onError decides", () => {
  const { attempt, spaces } = setUp();
  spaces.waiting.fail();
  expect(() => attempt()).toThrow(expect.objectContaining({ code: "STORE_UNAVAILABLE" }));
});

test("a store that answers later gives the same answers, and of two at once each is put off", async () => {
  const late = (space: Space): Space => {
    const wait = async <T>(call: () => T): Promise<Awaited<T>> => {
      await new Promise((resolve) => setImmediate(resolve));
      return await call();
    };
    return {
      get: (key) => wait(() => space.get(key)),
      put: (key, value, ttlMs) => wait(() => space.put(key, value, ttlMs)),
      delete: (key) => wait(() => space.delete(key)),
      update: (key, ttlMs, change) => wait(() => space.update(key, ttlMs, change)),
    };
  };
  const { clock, attempt } = setUp({ autoWhitelistAfter: 5 }, late);
  const both: Answer[] = await Promise.all([attempt(), attempt()]);
  expect(both).toEqual([putOff, putOff]);
  clock.advance(10 * minute);
  const answer = attempt();
  expect(isPromise(answer)).toBe(true);
  expect(await answer).toBeUndefined();
});

test("a network that is let in stays so while it sends, and is forgotten after its own lifetime", () => {
  const { clock, attempt } = setUp({ autoWhitelistAfter: 1, autoWhitelistLifetime: 10 * day });
  void attempt();
  clock.advance(10 * minute);
  void attempt();
  for (let at = 0; at < 4; at += 1) {
    clock.advance(9 * day);
    expect(attempt({ sender: `new${at}@x.test` })).toBeUndefined();
  }
  clock.advance(10 * day);
  expect(attempt({ sender: "new@x.test" })).toEqual(putOff);
});

test("what was put off says so in its header, once a message, and nothing else does", () => {
  const { clock, attempt } = setUp({ header: true });
  const recipients = ["b@example.test", "c@example.test"];
  for (const recipient of recipients) expect(attempt({ recipient })).toEqual(putOff);
  clock.advance(305_400);
  const transaction = sampleTransaction({ sender: "a@example.net" });
  const value = `delayed 305 seconds by postern-greylist at mx.example.test; ${formatDate(clock.now())}`;
  expect(attempt({ transaction, dry: true })).toEqual({ kind: "prepend", name: "X-Greylist", value });
  expect(recipients.map((recipient) => attempt({ recipient, transaction }))).toEqual([
    { kind: "prepend", name: "X-Greylist", value },
    undefined,
  ]);
  expect(attempt({ transaction: sampleTransaction({ sender: "a@example.net" }) })).toBeUndefined();
});

test("one network leaves a bounded number of triplets an hour, and hinders no other", () => {
  const { clock, spaces, attempt } = setUp({ maxNewPerNetwork: 10 });
  for (let at = 0; at < 50; at += 1) expect(attempt({ sender: `s${at}@x.test` })).toEqual(putOff);
  expect(spaces.waiting.keys).toHaveLength(10);
  expect(attempt({ client: "198.51.100.1" })).toEqual(putOff);
  expect(spaces.waiting.keys).toHaveLength(11);
  // Those that were too many are put off again, and remembered when the hour is over.
  clock.advance(61 * minute);
  expect(attempt({ sender: "s0@x.test" })).toBeUndefined();
  expect(attempt({ sender: "s49@x.test" })).toEqual(putOff);
  expect(spaces.waiting.keys).toHaveLength(11);
});

test("one customer's networks of IPv6 are one crowd", () => {
  const { spaces, attempt } = setUp({ maxNewPerNetwork: 10 });
  for (let at = 0; at < 50; at += 1) expect(attempt({ client: `2001:db8:1:${at.toString(16)}::1` })).toEqual(putOff);
  expect(spaces.waiting.keys).toHaveLength(10);
  expect(attempt({ client: "2001:db8:2::1" })).toEqual(putOff);
  expect(spaces.waiting.keys).toHaveLength(11);
});

test("who came back lately is let in without a question to the store, and keeps its place there all the same", () => {
  const { clock, spaces, attempt } = setUp();
  void attempt();
  clock.advance(10 * minute);
  void attempt();
  expect(attempt()).toBeUndefined();
  for (const space of Object.values(spaces)) space.fail();
  expect(attempt()).toBeUndefined();
  expect(() => attempt({ sender: "other@x.test" })).toThrow(expect.objectContaining({ code: "STORE_UNAVAILABLE" }));
  for (const space of Object.values(spaces)) space.fail(false);
  clock.advance(4 * day);
  expect(attempt()).toBeUndefined();
  // Written again by that mail.
  clock.advance(34 * day);
  expect(attempt()).toBeUndefined();
});

test("who is exempt leaves nothing", () => {
  const { attempt, keys } = setUp({}, undefined, ({ recipient }) => recipient?.address === "open@example.test");
  expect(attempt({ recipient: "open@example.test" })).toBeUndefined();
  expect(keys()).toEqual([]);
  expect(attempt()).toEqual(putOff);
});
