// What keeps patterns from holding up the gateway, and that none of it changes an answer.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { systemClock, TableUnavailable, type LookupTable } from "@postern/core";
import { createFakeClock } from "@postern/testkit";
import { randomFrom, sample, seed } from "../../../../test/sampling.ts";
import { pollMs } from "../follow/followed-file.ts";
import { types as cidrTypes } from "../cidr/index.ts";
import { types } from "./index.ts";
import { pcreOptions, regexpOptions } from "./pattern-table.ts";
import { loadPcre2 } from "./pcre/library.ts";
import { Pcre2Engine } from "./pcre/pcre-engine.ts";
import { requiredLiterals } from "./prefilter/shape.ts";
import { shapeOf } from "./pcre/shape-of.ts";
import { RuleSet } from "./rule-set.ts";
import { OverLimit, WorkLimit } from "./work.ts";

const folder = mkdtempSync(join(tmpdir(), "postern-limits-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function open(type: string, rules: readonly string[]): Promise<LookupTable> {
  const found = types.find((candidate) => candidate.type === type);
  const scope = {
    directory: folder,
    clock: systemClock,
    purpose: {},
    warn: (message: string) => {
      throw new Error(message);
    },
    open: () => Promise.reject(new Error("no table inside of a table")),
  };
  if (found === undefined) throw new Error(`no type ${type}`);
  return found.open("", scope, { rules });
}

/** The lookup's answer or error, and how long nothing else could run, not counting what the machine gave to others. */
function stall(table: LookupTable, key: string): { answer: unknown; busyMs: number } {
  const before = process.threadCpuUsage();
  let answer: unknown;
  try {
    answer = table.lookup(key);
  } catch (error) {
    answer = error;
  }
  const { user, system } = process.threadCpuUsage(before);
  return { answer, busyMs: (user + system) / 1e3 };
}

const catastrophes = [
  { pattern: "/^(a+)+$/", key: "a" },
  { pattern: "/^(a|a)*$/", key: "a" },
  { pattern: "/^(a|aa)+$/", key: "a" },
  { pattern: "/^(x*y*)*[zq]$/", key: "xy" },
  { pattern: "/^(([a-z])+.)+[A-Z]([a-z])+$/i", key: "a" },
  { pattern: "/(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)[0-9][xyz]/", key: "1" },
] as const;

describe("patterns that cost more than any time", () => {
  test.for(catastrophes)("pcre $pattern, with what no automaton takes", async ({ pattern, key }) => {
    // The empty assertion leaves it to PCRE2 to find the match.
    const table = await open("pcre", [`/(?=)${pattern.slice(1)} found $1`, "/fine/ yes"]);
    const { answer, busyMs } = stall(table, `${key.repeat(4_000 / key.length)}!`);
    expect(answer).toBeInstanceOf(TableUnavailable);
    expect(answer).toMatchObject({
      onlyThisKey: true,
      message: expect.stringMatching(/^table pcre: line 1: /) as string,
    });
    expect(busyMs).toBeLessThan(1_000);
    expect(table.lookup("fine")).toBe("yes");
    await table.close();
  });

  test.for(
    catastrophes.flatMap((each) => [
      { type: "regexp", ...each },
      { type: "pcre", ...each },
    ]),
  )("$type $pattern", async ({ type, pattern, key }) => {
    const table = await open(type, [`${pattern} found $1`, "/fine/ yes"]);
    const { answer, busyMs } = stall(table, `${key.repeat(4_000 / key.length)}!`);
    // Automata take as long as the key is, so that there is an answer.
    expect(answer).toBeUndefined();
    expect(busyMs).toBeLessThan(1_000);
    expect(table.lookup("fine")).toBe("yes");
    await table.close();
  });

  test("many patterns below their limits are over the lookup's", async () => {
    // Each takes some milliseconds, and a thousand of them would take seconds.
    const table = await open(
      "pcre",
      Array.from({ length: 1_000 }, (_, at) => `/(?=)^(.*)(.*)(.*)[z${at % 10}]$/ ${at}`),
    );
    const { answer, busyMs } = stall(table, "y".repeat(130));
    expect(answer).toMatchObject({
      onlyThisKey: true,
      message: expect.stringMatching(/its patterns take too long$/) as string,
    });
    expect(busyMs).toBeLessThan(2_000);
    await table.close();
  });

  test("back references in regexp are limited too", async () => {
    const table = await open("regexp", ["/^(a+)+\\1b$/ found", "/fine/ yes"]);
    expect(() => table.lookup("a".repeat(2_000))).toThrow(TableUnavailable);
    expect(table.lookup("fine")).toBe("yes");
    await table.close();
  });

  test("groups of a long key cost a bounded time", async () => {
    const table = await open("regexp", ["/(((a|b)*,)*(c|d)*)*e/ <$4>"]);
    const { busyMs } = stall(table, `${"ab,cd".repeat(12_000)}e`);
    expect(busyMs).toBeLessThan(2_000);
    await table.close();
  });

  test("a pattern that raises its own limit does not raise it", async () => {
    const table = await open("pcre", ["/(*LIMIT_MATCH=4000000000)(?=)^(a+)+$/ found"]);
    expect(() => table.lookup(`${"a".repeat(100)}!`)).toThrow(/match limit exceeded/);
    await table.close();
  });

  test("a key of megabytes is refused before it is matched", async () => {
    const table = await open("pcre", ["/a/ b"]);
    expect(() => table.lookup("a".repeat(1_000_000))).toThrow(/too long/);
    await table.close();
  });
});

test("a leak would fill the library's memory, which cannot grow", async () => {
  const table = await open("pcre", ["/^(a|b)*c/ $1", "/(d+)+e/ x", "/^ü(.)/ $1"]);
  const keys = ["ab".repeat(100), "abc", "ddde", "üx", "é"];
  // Ten megabytes are left: some fifty octets lost at each lookup would show.
  const lookups = sample(200_000, 5_000_000);
  for (let at = 0; at < lookups; at++) void table.lookup(keys[at % 5] ?? "");
  expect([table.lookup("abc"), table.lookup("ddde")]).toEqual(["b", "x"]);
  await table.close();
});

test("more patterns than one library holds", async () => {
  const rules = Array.from({ length: 4_000 }, (_, at) => `/^(?:${"[a-z]{1,40}x".repeat(12)}|key${at})@/ v${at}`);
  const table = await open("pcre", rules);
  expect(table.lookup("key3999@")).toBe("v3999");
  expect(table.lookup("key0@")).toBe("v0");
  await table.close();
});

describe("the search of literals", () => {
  test.for([
    ["^([^@]+)@host7\\.example\\.(com|net)$", ["@host7.example.com", "@host7.example.net"]],
    ["viagra|cialis", ["viagra", "cialis"]],
    ["viagra|c?", undefined],
    ["(?:foo)?bar", ["bar"]],
    ["(?:foo)+", ["foo"]],
    ["(?:foo){0}x", undefined],
    ["ab*cd", ["cd"]],
    ["(?!foo)bar", ["bar"]],
    ["foo(?=bar)", ["foo"]],
    ["\\Qfoo\\E", undefined],
    ["(foo)|(?1)", undefined],
    ["a\\x62c", undefined],
    ["[]foo]bar", ["bar"]],
    ["[[:alpha:]x]bar", ["bar"]],
    ["FOO", ["foo"]],
    ["fo{2}bar", ["bar"]],
    ["(?#x)foo", undefined],
    ["ä-foo", ["-foo"]],
  ] as const)("of %s", ([pattern, literals]) => {
    const shape = shapeOf(Buffer.from(pattern).toString("latin1"), false);
    expect(shape === undefined ? undefined : requiredLiterals(shape)).toEqual(literals);
  });

  const pieces = [
    "foo",
    "bar",
    "ab",
    "a",
    "b",
    "Foo",
    "ä",
    "ß",
    "k",
    "@",
    "\\.",
    "x",
    "\\d",
    ".",
    "[ab]",
    "[^x]",
    "(foo|bar)",
    "(?:ab|a)?",
  ];
  const more = [
    "(a|b)+",
    "foo*",
    "(?:bar){2}",
    "^",
    "$",
    "|",
    "(?i)",
    "(?=ab)",
    "(?!x)",
    "\\x62",
    "\\bab",
    "(*UTF)",
    "s{0}",
    "(foo)?",
  ];
  const vague = ["[ab]", ".", "[^x]", "[0-9]", "(foo|bar)?", "(a|b)+", "[ab]*", "(ab|a)?", "[[:alpha:]]{2}", "[k@.]"];
  const letters = [
    "foo",
    "bar",
    "FOO",
    "Bar",
    "ab",
    "a",
    "b",
    "ä",
    "Ä",
    "ß",
    "k",
    "K",
    "@",
    ".",
    "x",
    "1",
    "ſ",
    "s",
    "\n",
  ];

  const both = [regexpOptions, pcreOptions].flatMap((options) => [
    { ...options, rules: "that match often", edges: ["", ""] as const, most: 30, pieces },
    // And without literals: so that many of them are asked for one key, and then all together.
    { ...options, rules: "that match seldom", edges: ["^", "$"] as const, most: 120, pieces: vague },
  ]);

  test.for(both)("and all in one automaton change no answer of $type with rules $rules", async (options) => {
    const module = await loadPcre2();
    const next = randomFrom(seed + 5);
    const below = (limit: number) => Math.floor(next() * limit);
    const pick = (list: readonly string[]) => list[below(list.length)] ?? "";
    const many = (least: number, most: number, list: readonly string[]) =>
      Array.from({ length: least + below(most - least + 1) }, () => pick(list)).join("");
    const build = (text: string, prefilter: boolean) => {
      const work = new WorkLimit();
      const engine = options.engine(new Pcre2Engine(module, work), work);
      const lines = text.split("\n").map((rule, at) => ({ line: at + 1, text: rule }));
      const rest = { dialect: options.dialect, engine, work, withoutSubstitution: false, prefilter };
      return new RuleSet(lines, () => undefined, rest);
    };
    const answer = (rules: RuleSet, key: string) => {
      try {
        return rules.answer(key);
      } catch (error) {
        if (error instanceof OverLimit) return error.message;
        throw error;
      }
    };
    let found = 0;
    for (let round = 0; round < sample(60, 2_000); round++) {
      const rules = Array.from({ length: 1 + below(options.most) }, (_, at) => {
        const sign = below(options.most) < 4 ? "!" : "";
        const [start, end] = options.edges;
        const body = `${many(1, 4, below(3) === 0 ? more : options.pieces)}${many(0, 2, options.pieces)}`;
        const pattern = `${sign}/${start}${body}${end}/${pick(["", "", "", "i", "m"])}`;
        const kind = below(12);
        return kind === 0
          ? `if ${pattern}`
          : kind === 1
            ? "endif"
            : `${pattern} v${at}${body.includes("(foo|bar)") ? ":$1" : ""}`;
      }).join("\n");
      const [on, off] = [build(rules, true), build(rules, false)];
      for (let count = 0; count < 40; count++) {
        const key = many(0, 6, letters);
        const expected = answer(off, key);
        if (expected !== undefined) found++;
        expect({ rules, key, answer: answer(on, key) }).toEqual({ rules, key, answer: expected });
      }
    }
    expect(found).toBeGreaterThan(100);
  });
});

test.for(["regexp", "pcre", "cidr"])(
  "a new version of a %s file answers without a reload; a wrong rule in it is told",
  async (type) => {
    const clock = createFakeClock();
    const warnings: string[] = [];
    const path = join(folder, type);
    const rule = (value: string) => (type === "cidr" ? `10.0.0.0/8 ${value}\n` : `/10/ ${value}\n`);
    writeFileSync(path, rule("one"));
    const found = [...types, ...cidrTypes].find((candidate) => candidate.type === type);
    const table = await found?.open(
      type,
      {
        directory: folder,
        clock,
        purpose: {},
        warn: (message) => warnings.push(message),
        open: () => Promise.reject(new Error("no table inside of a table")),
      },
      {},
    );
    expect(table?.lookup("10.0.0.1")).toBe("one");
    writeFileSync(path, `nonsense\n${rule("two, longer")}`);
    for (let polls = 0; polls < 3; polls++) {
      clock.advance(pollMs);
      while (clock.pending === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(table?.lookup("10.0.0.1")).toBe("two, longer");
    expect(table?.locate?.("10.0.0.1")).toMatchObject({ file: path, line: 2 });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(`${type} map ${path}, line 1: `);
    await table?.close();
    expect(() => table?.lookup("10.0.0.1")).toThrow(TableUnavailable);
  },
);
