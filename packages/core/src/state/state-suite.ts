/** What every state store must do, as cases without a test runner; failures are AssertionErrors. */
import assert from "node:assert/strict";
import type { StateStore, StateValue } from "./state-store.ts";

/** A clock that the cases move. */
export interface MovableClock {
  now(): number;
  advance(ms: number): void;
}

export interface StateStoreCase {
  readonly name: string;
  /** `make` gives an open, empty store that reads `clock`. */
  readonly run: (make: (clock: MovableClock) => StateStore | Promise<StateStore>) => Promise<void>;
}

function stoppedClock(): MovableClock {
  let now = 1_780_000_000_000;
  return {
    now: () => now,
    advance: (ms) => {
      now += ms;
    },
  };
}

const rejects = async (call: () => unknown) =>
  assert.rejects(
    async () => call(),
    (error: unknown) => (error as { code?: string }).code === "STORE_UNAVAILABLE",
  );

export const stateStoreCases: readonly StateStoreCase[] = [
  {
    name: "values of every shape come back as they were, and as copies",
    run: async (make) => {
      const store = await make(stoppedClock());
      const space = store.space("a");
      const values: StateValue[] = [
        "",
        "ü\u0000\n",
        0,
        -1.5,
        2 ** 53,
        true,
        false,
        null,
        [1, [2]],
        { a: { b: [null] } },
      ];
      for (const [at, value] of values.entries()) {
        await space.put(`k${at}`, value, 1000);
        assert.deepEqual(await space.get(`k${at}`), value);
      }
      const list = [1];
      await space.put("list", list, 1000);
      list.push(2);
      assert.deepEqual(await space.get("list"), [1]);
      await store.close();
    },
  },
  {
    name: "what is not there, was deleted or has expired is undefined",
    run: async (make) => {
      const clock = stoppedClock();
      const store = await make(clock);
      const space = store.space("a");
      assert.equal(await space.get("k"), undefined);
      await space.put("k", 1, 1000);
      await space.delete("k");
      await space.delete("never");
      assert.equal(await space.get("k"), undefined);
      await space.put("k", 2, 1000);
      clock.advance(999);
      assert.equal(await space.get("k"), 2);
      clock.advance(1);
      assert.equal(await space.get("k"), undefined);
      await space.put("k", 3, 0);
      assert.equal(await space.get("k"), undefined);
      await store.close();
    },
  },
  {
    name: "two handles of one name share a space, two names do not",
    run: async (make) => {
      const store = await make(stoppedClock());
      await store.space("a").put("k", "a", 1000);
      await store.space("b").put("k", "b", 1000);
      assert.equal(await store.space("a").get("k"), "a");
      assert.deepEqual(await store.space("b").scan("", 10), [["k", "b"]]);
      await store.close();
    },
  },
  {
    name: "update reads, changes and deletes; a change that throws changes nothing",
    run: async (make) => {
      const store = await make(stoppedClock());
      const space = store.space<number>("a");
      assert.equal(await space.update("k", 1000, (current) => (current ?? 0) + 1), 1);
      assert.equal(await space.update("k", 1000, (current) => (current ?? 0) + 1), 2);
      await assert.rejects(
        async () =>
          space.update("k", 1000, () => {
            throw new Error("mine");
          }),
        { message: "mine" },
      );
      assert.equal(await space.get("k"), 2);
      assert.equal(await space.update("k", 1000, () => undefined), undefined);
      assert.equal(await space.get("k"), undefined);
      await store.close();
    },
  },
  {
    name: "a counter starts anew when its window is over, aligned to its first increment",
    run: async (make) => {
      const clock = stoppedClock();
      const store = await make(clock);
      const space = store.space("a");
      assert.equal(await space.increment("k", 1, 1000), 1);
      clock.advance(600);
      assert.equal(await space.increment("k", 2.5, 1000), 3.5);
      clock.advance(399);
      assert.equal(await space.increment("k", 1, 1000), 4.5);
      assert.equal(await space.get("k"), 4.5);
      clock.advance(1);
      assert.equal(await space.increment("k", -1, 1000), -1);
      await store.close();
    },
  },
  {
    name: "a lease has one owner until it runs out; the owner may renew it",
    run: async (make) => {
      const clock = stoppedClock();
      const store = await make(clock);
      const space = store.space("a");
      assert.equal(await space.lease("k", "one", 1000), true);
      assert.equal(await space.lease("k", "two", 1000), false);
      clock.advance(900);
      assert.equal(await space.lease("k", "one", 1000), true);
      clock.advance(900);
      assert.equal(await space.lease("k", "two", 1000), false);
      clock.advance(100);
      assert.equal(await space.lease("k", "two", 1000), true);
      await store.close();
    },
  },
  {
    name: "scan gives live entries of a prefix in order, and no more than asked for",
    run: async (make) => {
      const clock = stoppedClock();
      const store = await make(clock);
      const space = store.space("a");
      await space.put("p/gone", 0, 10);
      clock.advance(10);
      for (const key of ["p/b", "q", "p/a", "p/\u{1F600}", "p/\uFFFD", "p", "p%c"]) await space.put(key, key, 1000);
      const found = await space.scan("p/", 10);
      assert.deepEqual(
        found.map(([key]) => key),
        ["p/a", "p/b", "p/\uFFFD", "p/\u{1F600}"],
      );
      assert.deepEqual(await space.scan("p/", 1), [["p/a", "p/a"]]);
      assert.deepEqual(await space.scan("p/", 0), []);
      await store.close();
    },
  },
  {
    name: "sweep removes what has expired and nothing else",
    run: async (make) => {
      const clock = stoppedClock();
      const store = await make(clock);
      const space = store.space("a");
      for (let at = 0; at < 100; at += 1) await space.put(`k${at}`, at, at < 60 ? 10 : 1000);
      assert.equal(await store.sweep(), 0);
      clock.advance(10);
      assert.equal(await store.sweep(), 60);
      assert.equal((await space.scan("", 1000)).length, 40);
      await store.close();
    },
  },
  {
    name: "a key of 1,024 characters is kept, a longer one or broken text is refused",
    run: async (make) => {
      const store = await make(stoppedClock());
      const space = store.space("a");
      await space.put("k".repeat(1024), 1, 1000);
      assert.equal(await space.get("k".repeat(1024)), 1);
      for (const key of ["k".repeat(1025), "\ud800"]) {
        await rejects(() => space.get(key));
        await rejects(() => space.put(key, 1, 1000));
        await rejects(() => space.delete(key));
        await rejects(() => space.update(key, 1000, () => 1));
        await rejects(() => space.increment(key, 1, 1000));
        await rejects(() => space.lease(key, "me", 1000));
        await rejects(() => space.scan(key, 1));
      }
      await store.close();
    },
  },
];
