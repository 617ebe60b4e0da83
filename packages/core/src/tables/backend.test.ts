// What every table that answers later gets from the registry: a deadline, a breaker, one lookup a key at a time, a cache.
import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { ConfigError, TableUnavailable } from "../errors.ts";
import { createGuard, type Failed } from "../guard/guard.ts";
import type { Clock } from "../model/clock.ts";
import { createTableRegistry } from "./registry.ts";
import type { LookupAsk, LookupTable, TableObject, TableSpec } from "./table.ts";

const owner = { name: "maps", onError: "defer", deadlineMs: 1000 } as const;

interface Call {
  readonly key: string;
  readonly signal: AbortSignal | undefined;
  answer(value: string | undefined): void;
  fail(error: Error): void;
}

async function setup(spec: TableSpec = "later:t", extra: Partial<LookupTable> = {}) {
  let now = 0;
  const timers = new Set<{ at: number; call: () => void }>();
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    setTimer(call, delayMs) {
      const timer = { at: now + delayMs, call };
      timers.add(timer);
      return { cancel: () => void timers.delete(timer) };
    },
  };
  const advance = async (ms: number) => {
    now += ms;
    for (const timer of [...timers].filter(({ at }) => at <= now)) {
      timers.delete(timer);
      timer.call();
    }
    await turn();
  };
  const log: string[] = [];
  const failures: Failed[] = [];
  const calls: Call[] = [];
  const lookup = (key: string, ask?: LookupAsk) =>
    new Promise<string | undefined>((answer, fail) => void calls.push({ key, signal: ask?.signal, answer, fail }));
  const registry = createTableRegistry({
    directory: "/nowhere",
    clock,
    guard: createGuard(clock, (failed) => failures.push(failed)),
    warn: (text) => log.push(text),
  });
  const close = () => Promise.resolve();
  const open = (name: string): LookupTable => ({
    type: "later",
    name,
    kind: "indexed",
    trusted: true,
    lookup,
    close,
    ...extra,
  });
  registry.register({ type: "later", description: "", open }, owner);
  const table = await registry.open(spec);
  /** "value", "none" or the error's text. */
  const outcome = async (key: string, signal?: AbortSignal): Promise<string> => {
    try {
      return (await table.lookup(key, signal && { signal })) ?? "none";
    } catch (error) {
      expect(error).toBeInstanceOf(TableUnavailable);
      return (error as Error).message;
    }
  };
  const last = () => calls.at(-1) as Call;
  const failInRow = async (count: number, error = new Error("refused")) => {
    for (let at = 0; at < count; at++) {
      const asked = outcome(`down${at}`);
      last().fail(error);
      await asked;
    }
  };
  return { registry, table, calls, last, log, failures, advance, outcome, failInRow };
}

describe("breaker", () => {
  test("opens after five failures, refuses at once, lets one try, closes; said once each", async () => {
    const { calls, last, log, advance, outcome, failInRow } = await setup();
    await failInRow(5);
    expect(log).toEqual(["table later:t: 5 failures in a row, no longer asked; next try in 1 s (refused)"]);
    expect(await outcome("x")).toBe("table later:t: not asked after 5 failures in a row; next try in 1 s");
    expect(calls).toHaveLength(5);
    await advance(1000);
    const probe = outcome("x");
    expect(await outcome("y")).toBe("table later:t: not asked after 5 failures in a row; it is being tried");
    last().fail(new Error("still"));
    await probe;
    expect(await outcome("y")).toMatch(/after 6 failures in a row; next try in 2 s$/);
    await advance(2000);
    const second = outcome("x");
    last().answer(undefined);
    expect(await second).toBe("none");
    expect(log.slice(1)).toEqual(["table later:t: answers again after 3 s"]);
    const third = outcome("z");
    last().answer("v");
    expect(await third).toBe("v");
    expect([calls.length, log.length]).toEqual([8, 2]);
  });

  test.for<[name: string, answer: (call: Call) => void]>([
    [
      "no answer for this key alone",
      (call) => call.fail(new TableUnavailable("later:t", "too many", { onlyThisKey: true })),
    ],
    ["an empty value", (call) => call.answer("")],
    ["a number", (call) => call.answer(7 as never)],
  ])("%s opens nothing", async ([, answer]) => {
    const { calls, last, log, outcome } = await setup();
    for (let at = 0; at < 12; at++) {
      const asked = outcome("x");
      answer(last());
      expect(await asked).toMatch(/^table later:t: /);
    }
    expect([calls.length, log]).toEqual([12, []]);
  });

  test("silence counts as failure after the deadline, the table's own when it has one", async () => {
    const { calls, log, advance, outcome, failures } = await setup({ type: "later", name: "t", deadline: "300ms" });
    const asked = Array.from({ length: 5 }, (_, at) => outcome(`k${at}`));
    await advance(299);
    expect(failures).toEqual([]);
    await advance(1);
    expect(new Set(await Promise.all(asked))).toEqual(new Set(["table later:t: no answer"]));
    expect(failures.map(({ reason }) => reason)).toEqual(Array(5).fill("timeout"));
    expect(log).toHaveLength(1);
    expect(await outcome("k0")).toMatch(/not asked/);
    expect(calls).toHaveLength(5);
  });

  test("tables in memory have none", async () => {
    let asked = 0;
    const lookup = () => {
      asked += 1;
      throw new Error("broken");
    };
    const { outcome, log } = await setup("later:t", { lookup });
    for (let at = 0; at < 10; at++) expect(await outcome("x")).toBe("table later:t: no answer");
    expect([asked, log]).toEqual([10, []]);
  });
});

describe("one lookup a key", () => {
  test("who asks meanwhile gets the same answer; who asks later asks anew", async () => {
    const { calls, last, outcome } = await setup();
    const asked = ["K", "k", "K", "other"].map((key) => outcome(key));
    expect(calls.map(({ key }) => key)).toEqual(["k", "other"]);
    calls[0]?.answer("one");
    calls[1]?.answer(undefined);
    expect(await Promise.all(asked)).toEqual(["one", "one", "one", "none"]);
    const again = outcome("k");
    expect(calls).toHaveLength(3);
    last().answer("two");
    expect(await again).toBe("two");
  });

  test("an error goes to all and is reported once", async () => {
    const { last, outcome, failures } = await setup();
    const asked = [outcome("k"), outcome("k")];
    last().fail(new Error("gone"));
    expect(await Promise.all(asked)).toEqual(Array(2).fill("table later:t: no answer"));
    expect(failures).toHaveLength(1);
  });

  test("who gives up leaves alone; the lookup ends when all have left", async () => {
    const { calls, last, outcome, failures, log } = await setup();
    const [first, second, third] = [new AbortController(), new AbortController(), new AbortController()];
    const asked = [outcome("k", first.signal), outcome("k", second.signal)];
    expect(calls).toHaveLength(1);
    first.abort();
    expect(await asked[0]).toBe("table later:t: the asker gave up");
    expect(last().signal?.aborted).toBe(false);
    asked.push(outcome("k", third.signal));
    expect(calls).toHaveLength(1);
    second.abort();
    expect(last().signal?.aborted).toBe(false);
    third.abort();
    expect(last().signal?.aborted).toBe(true);
    last().fail(new Error("aborted, as told"));
    await Promise.all(asked);
    const anew = outcome("k");
    expect(calls).toHaveLength(2);
    last().answer("v");
    expect(await anew).toBe("v");
    expect([failures, log]).toEqual([[], []]);
    expect(await outcome("k", AbortSignal.abort())).toBe("table later:t: the asker gave up");
    expect(calls).toHaveLength(2);
  });

  test("somebody who cannot give up keeps the lookup alive", async () => {
    const { last, outcome } = await setup();
    const leaving = new AbortController();
    const asked = [outcome("k", leaving.signal), outcome("k")];
    leaving.abort();
    expect(last().signal?.aborted).toBe(false);
    last().answer("v");
    expect(await Promise.all(asked)).toEqual(["table later:t: the asker gave up", "v"]);
  });

  test("the deadline holds for all, and tells the lookup to end", async () => {
    const { last, outcome, advance } = await setup();
    const asked = [outcome("k", new AbortController().signal), outcome("k")];
    await advance(1000);
    expect(await Promise.all(asked)).toEqual(Array(2).fill("table later:t: no answer"));
    expect(last().signal?.aborted).toBe(true);
  });

  test("a probe that was given up lets the next one try", async () => {
    const { calls, last, outcome, failInRow, advance } = await setup();
    await failInRow(5);
    await advance(1000);
    const leaving = new AbortController();
    const probe = outcome("k", leaving.signal);
    leaving.abort();
    await probe;
    last().fail(new Error("aborted"));
    await turn();
    const next = outcome("k");
    expect(calls).toHaveLength(7);
    last().answer("v");
    expect(await next).toBe("v");
  });
});

describe("cache", () => {
  const spec: TableObject = { type: "later", name: "t", cache: { ttl: "1m", entries: 2 } };

  test("keeps what was found and what was not, for its time; never an error", async () => {
    const { table, calls, last, outcome, advance } = await setup(spec);
    const asked = outcome("A");
    last().answer("1");
    await asked;
    expect(table.lookup("a")).toBe("1");
    const none = outcome("b");
    last().answer(undefined);
    await none;
    expect(table.lookup("b")).toBeUndefined();
    expect(calls).toHaveLength(2);
    const failed = outcome("c");
    last().fail(new Error("down"));
    await failed;
    const again = outcome("c");
    expect(calls).toHaveLength(4);
    last().answer("3");
    await again;
    await advance(60_000);
    void outcome("c");
    expect(calls).toHaveLength(5);
  });

  test("answers while the breaker is open", async () => {
    const { table, last, outcome, failInRow } = await setup(spec);
    const asked = outcome("a");
    last().answer("1");
    await asked;
    await failInRow(5);
    expect(table.lookup("a")).toBe("1");
    expect(await outcome("b")).toMatch(/not asked/);
  });
});

describe("objects", () => {
  test("the type gets its parameters without the host's", async () => {
    const { registry } = await setup();
    let seen: unknown;
    const open = (name: string, _scope: unknown, parameters: unknown): LookupTable => {
      seen = [name, parameters];
      return { type: "see", name, kind: "pattern", trusted: true, lookup: () => undefined, close: async () => {} };
    };
    registry.register({ type: "see", description: "", open }, owner);
    await registry.open({ type: "see", hosts: "h", query: "q", cache: { ttl: "1s" }, deadline: "5s" });
    expect(seen).toEqual(["", { hosts: "h", query: "q" }]);
    await registry.open({ type: "proxy", name: "proxy:see:./x.cf", deadline: "5s" });
    expect(seen).toEqual(["./x.cf", {}]);
  });

  test.for<[spec: object, message: RegExp]>([
    [{ type: "static", name: "x", cahce: {} }, /^table static:x: unknown key "cahce"; did you mean "cache"\?$/],
    [{ type: "texthash", name: "./x", hosts: "h" }, /^table texthash:\.\/x: unknown key "hosts"$/],
    [{ type: "later", cache: "1m" }, /^table later: "cache" is an object, as in /],
    [{ type: "later", cache: { tll: "1m" } }, /unknown key "cache\.tll"; did you mean "ttl"\?$/],
    [{ type: "later", cache: {} }, /"cache\.ttl" is a duration such as "500ms" or "30s", at most "86400s"$/],
    [{ type: "later", cache: { ttl: 60 } }, /"cache\.ttl" is a duration/],
    [{ type: "later", cache: { ttl: "2d" } }, /"cache\.ttl" is a duration/],
    [{ type: "later", cache: { ttl: "1m", entries: 0 } }, /"cache\.entries" is a whole number from 1 to 1000000$/],
    [{ type: "later", deadline: "soon" }, /"deadline" is a duration/],
    [{ type: "later", deadline: "0s" }, /"deadline" is a duration/],
    [{ type: "later", name: 7 }, /"name" is what stands after the colon/],
    [{ type: "latr", hosts: "h" }, /^unknown table type "latr" in "latr"; did you mean "later"\?$/],
    [{ type: "unionmap" }, /^table unionmap: "tables" is a list of tables/],
    [{ type: "unionmap", tables: [] }, /"tables" is a list of tables/],
    [{ type: "unionmap", tabels: ["static:a"] }, /unknown key "tabels"; did you mean "tables"\?$/],
    [{ type: "randmap", values: ["a", 1] }, /"values" is a list of values/],
    [{ type: "debug" }, /write debug:type:name$/],
    [{ type: "proxy", name: "x" }, /"name" is a table, type:name$/],
  ])("%j", async ([spec, message]) => {
    const { registry } = await setup();
    await expect(registry.open(spec as TableSpec)).rejects.toThrow(ConfigError);
    await expect(registry.open(spec as TableSpec)).rejects.toThrow(message);
  });
});
