// Tables of tables: what they answer is compared with the real postmap elsewhere; here what goes through them.
import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { ConfigError, TableUnavailable } from "../errors.ts";
import { createGuard, type Failed } from "../guard/guard.ts";
import { systemClock } from "../model/clock.ts";
import { createTableRegistry } from "./registry.ts";
import { isTableName } from "./table-spec.ts";
import type { LookupTable, TablePurpose, TableSpec } from "./table.ts";

const owner = { name: "maps", onError: "defer", deadlineMs: 1000 } as const;

function setup() {
  const notes: string[] = [];
  const log: string[] = [];
  const failures: Failed[] = [];
  const purposes: TablePurpose[] = [];
  const asked: string[] = [];
  const registry = createTableRegistry({
    directory: "/nowhere",
    clock: systemClock,
    guard: createGuard(systemClock, (failed) => failures.push(failed)),
    warn: (text) => log.push(text),
    note: (text) => notes.push(text),
    random: () => 0.7,
    environment: { small: "v", LARGE: "w", toString: undefined, empty: "" },
  });
  const register = (type: string, answer: LookupTable["lookup"], of: Partial<LookupTable> = {}) =>
    registry.register(
      {
        type,
        description: "",
        open(name, scope) {
          purposes.push(scope.purpose);
          const lookup: LookupTable["lookup"] = (key, ask) => {
            asked.push(`${name}:${key}`);
            return answer(key, ask);
          };
          return { type, name, kind: "indexed", trusted: true, lookup, close: async () => {}, ...of };
        },
      },
      owner,
    );
  register("later", async (key) => (key === "none" ? undefined : `<${key}>`));
  register("stranger", () => "x", { trusted: false });
  register("pattern", (key) => (key === "A" ? "capital" : undefined), { kind: "pattern" });
  register("down", async () => {
    throw new TableUnavailable("down:x", "refused");
  });
  return { registry, notes, log, failures, purposes, asked };
}

describe("answers", () => {
  test.for<[spec: TableSpec, key: string, answer: string | undefined]>([
    ["union:{inline:{a=1}, later:x, static:2}", "a", "1,<a>,2"],
    ["union:{inline:{a=1}, later:x}", "none", undefined],
    ["pipe:{inline:{a=B}, later:x, later:y}", "A", "<<b>>"],
    ["pipe:{inline:{a=none}, later:x, static:y}", "a", undefined],
    ["pipe:{static:A, pattern:x}", "q", "capital"],
    ["union:{pattern:x, inline:{a=1}}", "A", "capital,1"],
    ["union:{inline:{a=1}, pattern:x}", "A", "1"],
    ["rand:{a, b, c, d}", "k", "c"],
    ["proxy:union:{proxy:static:a, {proxy:inline:{ k=v }}}", "K", "a,v"],
    [{ type: "unionmap", tables: [{ k: "v" }, "static:a", { type: "randmap", values: ["r s"] }] }, "K", "v,a,r s"],
    [{ type: "pipe", tables: [{ k: "v" }, { type: "later", name: "x" }] }, "K", "<v>"],
    ["environ:", "SMALL", "v"],
    ["environ:", "LARGE", undefined],
    ["environ:", "constructor", undefined],
    ["environ:", "empty", undefined],
  ])("%j", async ([spec, key, answer]) => {
    const table = await setup().registry.open(spec);
    expect(await table.lookup(key)).toBe(answer);
  });

  test("in memory they come without a promise, later ones are asked at the same time", async () => {
    const { registry, asked } = setup();
    expect((await registry.open("unionmap:{static:a, inline:{ k=v }}")).lookup("k")).toBe("a,v");
    const answer = (await registry.open("unionmap:{later:one, static:a, later:two}")).lookup("k");
    expect(asked).toEqual(["one:k", "two:k"]);
    expect(await answer).toBe("<k>,a,<k>");
  });

  test.for(["unionmap:{static:a, fail:x}", "unionmap:{later:a, fail:x}", "pipemap:{static:a, fail:x}", "debug:fail:x"])(
    "%s cannot be asked, which the one inside reports",
    async (spec) => {
      const { registry, failures } = setup();
      const table = await registry.open(spec);
      await expect((async () => table.lookup("k"))()).rejects.toThrow("table fail:x: it always fails");
      await turn();
      expect(failures.map(({ point }) => point)).toEqual(["fail:x"]);
    },
  );

  test("the breaker of the one inside is the only one", async () => {
    const { registry, log, failures } = setup();
    const table = await registry.open("unionmap:{down:x, static:a}");
    for (let at = 0; at < 9; at++)
      await expect((async () => table.lookup(`k${at}`))()).rejects.toThrow(/^table down:x: /);
    expect([failures.length, log.length]).toEqual([5, 1]);
  });
});

test("with a cache it keeps what the tables inside answered, and has no breaker either", async () => {
  const { registry, asked, log } = setup();
  const cached = (name: string) => registry.open({ type: "unionmap", name, cache: { ttl: "1m" } });
  const later = await cached("{later:x, static:a}");
  expect(await later.lookup("K")).toBe("<k>,a");
  expect(later.lookup("k")).toBe("<k>,a");
  expect(asked).toEqual(["x:k"]);
  const down = await cached("{down:x}");
  for (let at = 0; at < 9; at++) await expect((async () => down.lookup(`k${at}`))()).rejects.toThrow(/^table down:x: /);
  expect(log).toHaveLength(1);
});

describe("kind, trust and purpose", () => {
  test.for<[spec: string, kind: string, trusted: boolean]>([
    ["unionmap:{static:a, pattern:x}", "indexed", true],
    ["unionmap:{pattern:x, static:a}", "pattern", true],
    ["pipemap:{static:a, stranger:x}", "indexed", false],
    ["debug:pattern:x", "pattern", true],
    ["debug:unionmap:{static:a, stranger:x}", "indexed", false],
    ["randmap:{a}", "pattern", true],
    ["fail:x", "pattern", true],
    ["environ:x", "indexed", true],
  ])("%s", async ([spec, kind, trusted]) => {
    const { registry } = setup();
    expect(await registry.open(spec)).toMatchObject({ kind, trusted });
    const opened = registry.open(spec, { trustedOnly: true });
    const refusal = await opened.then(
      () => "",
      (error: Error) => error.message,
    );
    expect(refusal).toMatch(trusted ? /^$/ : /may not be used here$/);
  });

  test("the purpose reaches the innermost", async () => {
    const { registry, purposes } = setup();
    const purpose = { trustedOnly: true, withoutSubstitution: true };
    await registry.open("debug:unionmap:{pipemap:{static:a, later:x}}", purpose);
    expect(purposes).toEqual([purpose]);
  });

  test("a table behind proxy: is a table name", () => {
    expect(["proxy:texthash:x", "proxy:proxy:a:b", "proxy:x", "proxy:"].map(isTableName)).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  test("a mistake inside names what is wrong", async () => {
    const { registry } = setup();
    await expect(registry.open("unionmap:{static:a, texthsh:x}")).rejects.toThrow(ConfigError);
    await expect(registry.open("unionmap:{static:a, texthsh:x}")).rejects.toThrow(/did you mean "texthash"/);
    await expect(registry.open("pipemap:static:a")).rejects.toThrow(
      "table pipemap:static:a: write pipemap:{ type:name, … }",
    );
  });
});

describe("what explains", () => {
  const located = async (spec: TableSpec, key: string) => {
    const table = await setup().registry.open(spec);
    return [table.locate?.(key), table.entries && [...table.entries()].map(({ value }) => value)];
  };

  test("a union shows the first that has the key, a pipe what it ends with", async () => {
    const k = (value: string) => ({ key: "k", value });
    expect(await located("unionmap:{inline:{a=1}, inline:{k=2}, inline:{k=3}}", "K")).toEqual([
      k("2"),
      ["1", "2", "3"],
    ]);
    expect(await located("unionmap:{later:x, inline:{k=2}}", "k")).toEqual([k("2"), undefined]);
    expect(await located("pipemap:{inline:{k=a}, inline:{a=b, c=d}}", "k")).toEqual([
      { key: "a", value: "b" },
      ["b", "d"],
    ]);
    expect(await located("pipemap:{inline:{k=x}, inline:{a=b}}", "k")).toEqual([undefined, ["b"]]);
    expect(await located("pipemap:{inline:{k=x}, later:x}", "k")).toEqual([undefined, undefined]);
    expect(await located("debug:inline:{k=v}", "K")).toEqual([k("v"), ["v"]]);
  });

  test("debug writes each lookup", async () => {
    const { registry, notes, log } = setup();
    for (const spec of ["debug:inline:{k=v}", { type: "debug", table: { type: "later", name: "x" } }, "debug:down:x"]) {
      const table = await registry.open(spec);
      for (const key of ["K", "none"]) await (async () => table.lookup(key))().catch(() => undefined);
    }
    expect(notes).toEqual([
      'inline:{k=v} lookup: "k" = "v"',
      'inline:{k=v} lookup: "none" = not found',
      'later:x lookup: "k" = "<k>"',
      'later:x lookup: "none" = not found',
      'down:x lookup: "k" = error: table down:x: refused',
      'down:x lookup: "none" = error: table down:x: refused',
    ]);
    expect(log).toEqual([]);
  });
});
