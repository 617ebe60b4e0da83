import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { ConfigError, PluginError, TableUnavailable } from "../errors.ts";
import { createGuard, type Failed } from "../guard/guard.ts";
import { systemClock, type Clock } from "../model/clock.ts";
import { findFirst } from "./find.ts";
import { createTableRegistry } from "./registry.ts";
import type { LookupTable, TableType } from "./table.ts";

const owner = { name: "maps", onError: "defer", deadlineMs: 1000 } as const;

function setup(lookup: LookupTable["lookup"] = () => undefined, kind: LookupTable["kind"] = "indexed") {
  const timers: (() => void)[] = [];
  const clock: Clock = {
    ...systemClock,
    setTimer: (call) => {
      timers.push(call);
      return { cancel: () => {} };
    },
  };
  const failures: Failed[] = [];
  const seen: string[] = [];
  const closed: string[] = [];
  const observer = { tapped: true, call: (...event: string[]) => void seen.push(event.join(" ")) };
  const registry = createTableRegistry({
    directory: "/nowhere",
    clock,
    guard: createGuard(clock, (failed) => failures.push(failed)),
    warn: () => {},
    observer,
  });
  const type: TableType = {
    type: "fake",
    description: "",
    open: (name) => ({
      type: "fake",
      name,
      kind,
      trusted: false,
      lookup,
      close: async () => void closed.push(name),
    }),
  };
  registry.register(type, owner);
  return { registry, failures, seen, closed, observer, expire: () => timers.splice(0).forEach((call) => call()) };
}

describe("registry", () => {
  test.for([
    ["texthsh:./a", /unknown table type "texthsh" in "texthsh:\.\/a"; did you mean "texthash"\?/],
    ["lmdb:/etc/x", /install it with npm install @postern\/plugin-maps-file/],
    ["clients", /"clients" is no table: write type:name/],
    ["quux:x", /unknown table type "quux" in "quux:x"$/],
  ] as const)("%s is a mistake", async ([spec, message]) => {
    const { registry } = setup();
    await expect(registry.open(spec)).rejects.toThrow(ConfigError);
    await expect(registry.open(spec)).rejects.toThrow(message);
  });

  test("opens one spec once and closes it once", async () => {
    const { registry, closed } = setup();
    const [a, b, other] = await Promise.all(["fake:a", " fake:a ", "fake:b"].map((spec) => registry.open(spec)));
    expect(a).toBe(b);
    expect(a).not.toBe(other);
    await registry.close();
    expect(closed.sort()).toEqual(["a", "b"]);
    await expect(registry.open("fake:a")).rejects.toThrow("closed");
  });

  test("a type is registered once", () => {
    const { registry } = setup();
    const type: TableType = { type: "static", description: "", open: () => Promise.reject(new Error()) };
    expect(() => registry.register(type, owner)).toThrow(PluginError);
    expect(() => registry.register({ ...type, type: "Not A Word" }, owner)).toThrow(PluginError);
  });

  test("a type that throws while opening names its plugin, a ConfigError passes", async () => {
    const { registry } = setup();
    const open = (error: Error) => () => {
      throw error;
    };
    registry.register({ type: "bad", description: "", open: open(new TypeError("x is undefined")) }, owner);
    registry.register({ type: "wrong", description: "", open: open(new ConfigError("no such host")) }, owner);
    registry.register({ type: "empty", description: "", open: () => ({}) as LookupTable }, owner);
    await expect(registry.open("bad:x")).rejects.toThrow(/^plugin maps: table bad:x: x is undefined$/);
    await expect(registry.open("wrong:x")).rejects.toThrow(/^no such host$/);
    await expect(registry.open("empty:x")).rejects.toThrow(PluginError);
  });
});

describe("a guarded lookup", () => {
  const late = new Promise<never>(() => {});
  const boom = () => {
    throw new Error("SELECT secret FROM users");
  };
  type Lookup = LookupTable["lookup"];
  test.for<[name: string, lookup: Lookup, value: string | undefined | typeof TableUnavailable, result: string]>([
    ["a value", () => "v", "v", "found"],
    ["a promise of a value", async () => "v", "v", "found"],
    ["nothing", () => undefined, undefined, "notFound"],
    ["a throw", boom, TableUnavailable, "unavailable"],
    ["a rejection", async () => boom(), TableUnavailable, "unavailable"],
    ["null", () => null as never, TableUnavailable, "unavailable"],
    ["a number", () => 1 as never, TableUnavailable, "unavailable"],
    ["the empty string", () => "", TableUnavailable, "unavailable"],
    ["a megabyte", () => "x".repeat(2 ** 20), TableUnavailable, "unavailable"],
    ["silence", () => late, TableUnavailable, "unavailable"],
  ])("%s", async ([, lookup, expected, result]) => {
    const { registry, seen, failures, expire } = setup(lookup);
    const table = await registry.open("fake:t");
    const answer = (async () => table.lookup("Key"))();
    answer.catch(() => {});
    await turn();
    expire();
    if (expected === TableUnavailable) {
      await expect(answer).rejects.toThrow(TableUnavailable);
      await expect(answer).rejects.toThrow("table fake:t: no answer");
      expect(failures.at(-1)?.owner.name).toBe("maps");
    } else {
      expect(await answer).toBe(expected);
    }
    expect(seen).toEqual([`fake:t key ${result}`]);
  });

  test("answers without a promise what is in memory, and is silent untapped", async () => {
    const { registry, seen, observer } = setup();
    observer.tapped = false;
    const table = await registry.open({ A: "1" });
    expect(table.lookup("a")).toBe("1");
    expect(seen).toEqual([]);
  });

  test("keys of pattern tables are not folded", async () => {
    const keys: string[] = [];
    const { registry } = setup((key) => void keys.push(key), "pattern");
    await (await registry.open("fake:t")).lookup("MiXed");
    expect(keys).toEqual(["MiXed"]);
  });
});

describe("several tables", () => {
  const table = (name: string, kind: LookupTable["kind"], async: boolean, asked: string[]): LookupTable => ({
    type: "t",
    name,
    kind,
    trusted: true,
    lookup(key) {
      asked.push(`${name}:${key}`);
      if (name === "down") throw new TableUnavailable("t:down", "no answer");
      const value = key === name ? "value" : undefined;
      return async ? Promise.resolve(value) : value;
    },
    close: async () => {},
  });
  const run = async (names: string[], kinds: LookupTable["kind"][], keys: string[], async: boolean) => {
    const asked: string[] = [];
    const tables = names.map((name, index) => table(name, kinds[index] ?? "indexed", async, asked));
    const match = await findFirst(tables, keys);
    return [asked.join(" "), match === undefined ? undefined : `${match.table.name} ${match.key} ${match.value}`];
  };

  test.for([false, true])("each key goes to every table first (async %s)", async (async) => {
    expect(await run(["x", "k1", "k2"], [], ["k1", "k2"], async)).toEqual(["x:k1 k1:k1", "k1 k1 value"]);
    expect(await run(["k2", "x"], [], ["k1", "k2"], async)).toEqual(["k2:k1 x:k1 k2:k2", "k2 k2 value"]);
    expect(await run(["k2", "x"], ["pattern"], ["k1", "k2"], async)).toEqual(["k2:k1 x:k1 x:k2", undefined]);
    await expect(run(["x", "down", "k1"], [], ["k1"], async)).rejects.toThrow(TableUnavailable);
  });

  test("no tables, no keys", async () => {
    expect(await run([], [], ["a"], false)).toEqual(["", undefined]);
    expect(await run(["a"], [], [], false)).toEqual(["", undefined]);
  });
});
