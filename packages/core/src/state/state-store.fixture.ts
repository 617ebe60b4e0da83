/**
 * What every state store must do, as cases without a test runner: `for (const { name, run } of stateStoreCases) test(name, () => run(make))`.
 * Failures are AssertionErrors.
 */
import assert from "node:assert/strict";
import type { Clock } from "../model/clock.ts";
import { stateLimits } from "./limits.ts";
import type { StateSpace, StateStore, StateValue } from "./state-store.ts";

/** Opens an empty store on this clock. The case closes it. */
export type MakeStateStore = (clock: Pick<Clock, "now">) => StateStore | Promise<StateStore>;

export interface StateStoreCase {
  readonly name: string;
  readonly run: (make: MakeStateStore) => Promise<void>;
}

interface Bench {
  readonly store: StateStore;
  readonly space: StateSpace;
  readonly pass: (ms: number) => void;
}

const minute = 60_000;
const { maxKeyLength, maxSpaceNameLength, maxValueBytes } = stateLimits;

/** The call throws or rejects with an error of this kind. */
async function refuses(call: () => unknown, expected: typeof RangeError | { code: string }): Promise<void> {
  await assert.rejects(async () => call(), expected);
}

const values: readonly StateValue[] = [
  null,
  false,
  0,
  -1.5,
  0.1 + 0.2,
  1e300,
  Number.MAX_SAFE_INTEGER,
  "",
  "a\0b\r\n\u2028",
  "\ud800 alone, \u{1f600} in a pair, ﷽, é, e\u0301",
  [],
  [[null, { deep: [1] }]],
  {},
  { "": 1, "a\0b": "c", länge: [1, 2], ["__proto__"]: 3 },
];

/** In the order of code points, which is not that of UTF-16. */
const orderedKeys = ["a\0b", "ab", "ab\0", "aba", "abé", "ab\uffff", "ab\u{10000}", "ab\u{10ffff}", "ac", "b"];

const cases: Readonly<Record<string, (bench: Bench) => Promise<void>>> = {
  "what is put can be got, overwritten and deleted": async ({ space }) => {
    assert.equal(await space.get("k"), undefined);
    await space.put("k", "one", minute);
    assert.equal(await space.get("k"), "one");
    await space.put("k", "two", minute);
    assert.equal(await space.get("k"), "two");
    await space.delete("k");
    await space.delete("k");
    assert.equal(await space.get("k"), undefined);
  },

  "a value comes back as JSON has it, and is no longer the caller's": async ({ space }) => {
    for (const [at, value] of values.entries()) {
      await space.put(`v${at}`, value, minute);
      assert.deepEqual(await space.get(`v${at}`), JSON.parse(JSON.stringify(value)), JSON.stringify(value));
    }
    const mutable = { list: [1] };
    await space.put("k", mutable, minute);
    mutable.list.push(2);
    assert.deepEqual(await space.get("k"), { list: [1] });
  },

  "a value is bounded, and has JSON": async ({ space }) => {
    const largest = "é".repeat(maxValueBytes / 2 - 1);
    await space.put("k", largest, minute);
    assert.equal(await space.get("k"), largest);
    await refuses(() => space.put("k", `${largest}a`, minute), RangeError);
    await refuses(() => space.update("k", minute, () => `${largest}a`), RangeError);
    await refuses(() => space.lease("other", `${largest}a`, minute), RangeError);
    const none = (() => {}) as unknown as StateValue;
    await assert.rejects(async () => space.put("k", none, minute), TypeError);
    assert.equal(await space.get("k"), largest);
  },

  "a key has 1 to 1,024 characters, whatever they are": async ({ space }) => {
    const keys = [
      "a",
      "\0",
      "a\0b",
      "a\0c",
      "é",
      "e\u0301",
      "\u{1f600}",
      "'; DROP TABLE entries",
      "k".repeat(maxKeyLength),
    ];
    for (const key of keys) await space.put(key, `value of ${key}`, minute);
    for (const key of keys) assert.equal(await space.get(key), `value of ${key}`);
    for (const key of ["", "k".repeat(maxKeyLength + 1), "half a pair \ud83d"]) {
      await refuses(() => space.get(key), RangeError);
      await refuses(() => space.put(key, 1, minute), RangeError);
      await refuses(() => space.delete(key), RangeError);
      await refuses(() => space.update(key, minute, () => 1), RangeError);
      await refuses(() => space.increment(key, 1, minute), RangeError);
      await refuses(() => space.lease(key, "me", minute), RangeError);
    }
    await refuses(() => space.scan("k".repeat(maxKeyLength + 1), 1), RangeError);
  },

  "spaces are apart; one name is one space": async ({ store, space }) => {
    const other = store.space<StateValue>("other");
    await space.put("k", "mine", minute);
    assert.equal(await other.get("k"), undefined);
    await other.put("k", "theirs", minute);
    await other.increment("n", 1, minute);
    assert.equal(await space.get("k"), "mine");
    assert.equal(await store.space("other").get("k"), "theirs");
    await other.delete("k");
    assert.deepEqual(await space.scan("", 10), [["k", "mine"]]);
  },

  "a space has a name of 1 to 256 characters": async ({ store }) => {
    const names = ["plugin-greylist", "@scope/plugin#2", "a b\0c", "n".repeat(maxSpaceNameLength)];
    for (const name of names) await store.space<string>(name).put("k", name, minute);
    for (const name of names) assert.equal(await store.space(name).get("k"), name);
    for (const name of ["", "n".repeat(maxSpaceNameLength + 1), "\udc00"])
      await refuses(() => store.space(name), RangeError);
  },

  "an entry is gone when its time is over, and not before": async ({ space, pass }) => {
    await space.put("k", 1, 1000);
    await space.put("soon", 1, 0);
    assert.equal(await space.get("soon"), undefined);
    pass(999);
    assert.equal(await space.get("k"), 1);
    pass(1);
    assert.equal(await space.get("k"), undefined);
    assert.deepEqual(await space.scan("", 10), []);
    assert.equal(await space.update("k", 1000, (current) => (current === undefined ? "new" : "old")), "new");
    pass(999);
    await space.put("k", "newer", 1000);
    pass(999);
    assert.equal(await space.get("k"), "newer");
  },

  "every entry expires": async ({ space }) => {
    for (const ttlMs of [Infinity, Number.NaN, -1]) {
      await refuses(() => space.put("k", 1, ttlMs), RangeError);
      await refuses(() => space.update("k", ttlMs, () => 1), RangeError);
      await refuses(() => space.increment("k", 1, ttlMs), RangeError);
      await refuses(() => space.lease("k", "me", ttlMs), RangeError);
    }
    await space.put("k", 1, Number.MAX_VALUE);
    assert.equal(await space.get("k"), 1);
  },

  "update reads, changes, writes; undefined deletes": async ({ space, pass }) => {
    const add = (current: StateValue | undefined): number => ((current as number | undefined) ?? 0) + 1;
    assert.equal(await space.update("k", 1000, add), 1);
    pass(600);
    assert.equal(await space.update("k", 1000, add), 2);
    pass(600);
    assert.equal(await space.update("k", 1000, add), 3);
    assert.equal(await space.update("k", 1000, () => undefined), undefined);
    assert.equal(await space.get("k"), undefined);
    assert.equal(await space.update("k", 1000, () => undefined), undefined);
  },

  "an update that throws changes nothing, and says so in its own words": async ({ space }) => {
    await space.put("k", "kept", minute);
    const fault = new Error("the plugin's own");
    await assert.rejects(
      async () =>
        space.update("k", minute, () => {
          throw fault;
        }),
      (error) => error === fault,
    );
    assert.equal(await space.get("k"), "kept");
    await space.put("k", "free", minute);
    assert.equal(await space.get("k"), "free");
  },

  "an update sees what came between its reading and its writing": async ({ space }) => {
    for (const before of [undefined, "before"]) {
      if (before !== undefined) await space.put("k", before, minute);
      const seen: (StateValue | undefined)[] = [];
      const result = await space.update("k", minute, (current) => {
        seen.push(current);
        if (seen.length === 1) void space.put("k", "between", minute);
        return `${current === undefined ? "undefined" : JSON.stringify(current)}, changed`;
      });
      assert.equal(result, `"between", changed`);
      assert.deepEqual(seen, [before, "between"]);
      await space.delete("k");
    }
  },

  "updates at once lose nothing": async ({ space }) => {
    const add = (current: StateValue | undefined): number => ((current as number | undefined) ?? 0) + 1;
    await Promise.all(Array.from({ length: 200 }, async () => space.update("k", minute, add)));
    assert.equal(await space.get("k"), 200);
  },

  "a counter starts anew when its window is over, however busy it was": async ({ space, pass }) => {
    assert.equal(await space.increment("n", 1, 1000), 1);
    pass(500);
    assert.equal(await space.increment("n", 2.5, 1000), 3.5);
    pass(499);
    assert.equal(await space.increment("n", -1, 1000), 2.5);
    assert.equal(await space.get("n"), 2.5);
    pass(1);
    assert.equal(await space.get("n"), undefined);
    assert.equal(await space.increment("n", 7, 1000), 7);
    assert.equal(await space.increment("other", 1, 1000), 1);
    await space.put("text", "no number", minute);
    assert.equal(await space.increment("text", 1, 1000), 1);
    await refuses(() => space.increment("n", Number.NaN, 1000), RangeError);
  },

  "a clock that is set back makes no window longer": async ({ space, pass }) => {
    assert.equal(await space.increment("n", 1, 1000), 1);
    pass(-60 * minute);
    assert.equal(await space.increment("n", 1, 1000), 2);
    pass(999);
    assert.equal(await space.increment("n", 1, 1000), 3);
    pass(1);
    assert.equal(await space.increment("n", 1, 1000), 1);
  },

  "a lease has one owner until it runs out or is let go": async ({ space, pass }) => {
    assert.equal(await space.lease("l", "a", 1000), true);
    assert.equal(await space.lease("l", "b", 1000), false);
    pass(999);
    assert.equal(await space.lease("l", "a", 1000), true);
    pass(999);
    assert.equal(await space.lease("l", "b", 1000), false);
    pass(1);
    assert.equal(await space.lease("l", "b", 1000), true);
    assert.equal(await space.lease("l", "a", 1000), false);
    await space.delete("l");
    assert.equal(await space.lease("l", "a", 1000), true);
  },

  "scan gives what begins with the prefix, in the order of code points, up to the limit": async ({ space, pass }) => {
    for (const key of orderedKeys.toReversed()) await space.put(key, key, minute);
    await space.put("ab-gone", 1, 1000);
    pass(1000);
    const keysOf = async (prefix: string, limit: number): Promise<string[]> =>
      (await space.scan(prefix, limit)).map(([key, value]) => {
        assert.equal(value, key);
        return key;
      });
    assert.deepEqual(await keysOf("", 100), orderedKeys);
    assert.deepEqual(await keysOf("ab", 100), orderedKeys.slice(1, 8));
    assert.deepEqual(await keysOf("ab", 2), orderedKeys.slice(1, 3));
    assert.deepEqual(await keysOf("ab\u{10ffff}", 100), ["ab\u{10ffff}"]);
    assert.deepEqual(await keysOf("a\0", 100), ["a\0b"]);
    assert.deepEqual(await keysOf("c", 100), []);
    assert.deepEqual(await keysOf("", 0), []);
    for (const limit of [-1, 1.5, Number.NaN]) await refuses(() => space.scan("", limit), RangeError);
  },

  "a sweep removes what has expired from all spaces, once, however much": async ({ store, space, pass }) => {
    for (let at = 0; at < 2500; at++) await space.put(`k${at}`, at, 1000 + (at % 2));
    await store.space<number>("other").put("k", 1, 1000);
    await space.put("kept", "kept", minute);
    assert.equal(await store.sweep(), 0);
    pass(1000);
    assert.equal(await store.sweep(), 1251);
    pass(1);
    assert.equal(await store.sweep(), 1250);
    assert.equal(await store.sweep(), 0);
    assert.deepEqual(await space.scan("", 10), [["kept", "kept"]]);
  },

  "a space keeps its quota: what expires first goes first, and other spaces lose nothing": async ({ store, space }) => {
    await space.put("other", 1, 10);
    const flooded = store.space<number>("flooded", { maxEntries: 200 });
    for (let at = 0; at < 1000; at++) await flooded.put(`k${at}`, at, minute + at);
    // How soon is the store's to say; a sweep is the latest.
    await store.sweep();
    const left = await flooded.scan("", 2000);
    assert.ok(left.length <= 300 && left.length > 50, `${left.length} are left`);
    assert.equal(await flooded.get("k999"), 999);
    assert.equal(await flooded.get("k0"), undefined);
    assert.equal(await space.get("other"), 1);
    await refuses(() => store.space("flooded", { maxEntries: 0 }), RangeError);
  },

  "a closed store says so, and closes twice": async ({ store, space }) => {
    await space.put("k", 1, minute);
    await store.close();
    await store.close();
    const closed = { code: "STORE_UNAVAILABLE" };
    await refuses(() => space.get("k"), closed);
    await refuses(() => space.put("k", 1, minute), closed);
    await refuses(() => space.update("k", minute, () => 1), closed);
    await refuses(() => space.scan("", 1), closed);
    await refuses(() => store.sweep(), closed);
  },
};

export const stateStoreCases: readonly StateStoreCase[] = Object.entries(cases).map(([name, check]) => ({
  name,
  async run(make) {
    let now = 1_780_000_000_000;
    const store = await make({ now: () => now });
    try {
      await check({ store, space: store.space("plugin"), pass: (ms) => void (now += ms) });
    } finally {
      await store.close();
    }
  },
}));
