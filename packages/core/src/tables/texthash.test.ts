// The file format to the letter: what we read equals what the real postmap answers, line by line.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { randomFrom } from "../../../../test/sampling.ts";
import { ConfigError } from "../errors.ts";
import { createGuard } from "../guard/guard.ts";
import { systemClock } from "../model/clock.ts";
import { createTableRegistry } from "./registry.ts";

const folder = mkdtempSync(join(tmpdir(), "postern-texthash-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const postmap = (() => {
  try {
    const version = execFileSync("postconf", ["-h", "mail_version"], { encoding: "utf8" }).trim();
    writeFileSync(join(folder, "main.cf"), "compatibility_level = 3.6\nsmtputf8_enable = yes\n");
    return version;
  } catch {
    return undefined;
  }
})();

function askPostmap(key: string, spec: string): string | undefined {
  const { stdout, status } = spawnSync("postmap", ["-c", folder, "-q", key, spec], { encoding: "utf8" });
  return status === 0 ? stdout.replace(/\n$/, "") : undefined;
}

/** Postfix waits until a file is no longer hot. */
function writeTable(text: string | Buffer): void {
  const path = join(folder, "table");
  writeFileSync(path, text);
  utimesSync(path, 1e9, 1e9);
}

async function openFile(text: string | Buffer) {
  writeTable(text);
  const warnings: string[] = [];
  const registry = createTableRegistry({
    directory: folder,
    clock: systemClock,
    guard: createGuard(systemClock, () => {}),
    warn: (message) => warnings.push(message.replace(`${folder}/`, "")),
  });
  return { table: await registry.open("texthash:table"), warnings };
}

interface Case {
  readonly name: string;
  readonly text: string | Buffer;
  readonly keys: Readonly<Record<string, string | undefined>>;
  readonly warnings?: readonly string[];
}

const cases: readonly Case[] = [
  { name: "key and value", text: "a.example REJECT\n", keys: { "a.example": "REJECT", b: undefined } },
  { name: "no final newline", text: "a b", keys: { a: "b" } },
  { name: "tabs, trailing blanks, CRLF", text: "a\t \tb c  \r\nd e\r\n", keys: { a: "b c", d: "e" } },
  {
    name: "comments and empty lines",
    text: "# x y\n\n  \n  # z z\na b\n",
    keys: { a: "b", "#": undefined, z: undefined },
  },
  { name: "no trailing comment", text: "a b # c\n", keys: { a: "b # c" } },
  { name: "continuation keeps its blanks", text: "a b\n  c\n\td\n", keys: { a: "b  c\td" } },
  {
    name: "continuation across a comment and an empty line",
    text: "key # c value # t\n# comment\n\n  cont\n",
    keys: { key: "# c value # t  cont" },
  },
  { name: "value on the next line", text: "a\n b\n", keys: { a: "b" } },
  {
    name: "continuation with nothing before it",
    text: " a b\n c d\ne f\n",
    keys: { a: undefined, c: undefined, e: "f" },
    warnings: ["table, line 1: a logical line must not start with white space -- ignoring this line"],
  },
  {
    name: "first of equal keys wins",
    text: "a one\nb x\nA two\n",
    keys: { a: "one", A: "one" },
    warnings: ['table, line 3: ignoring duplicate entry: "A"'],
  },
  {
    name: "missing value",
    text: "lonely\na b\n",
    keys: { lonely: undefined, a: "b" },
    warnings: ["table, line 1: expected format: key whitespace value -- ignoring this line"],
  },
  {
    name: "aliases by mistake",
    text: "root: admin\n",
    keys: { root: undefined, "root:": "admin" },
    warnings: ['table, line 1: record is in "key: value" format; is this an alias file?'],
  },
  { name: "quoted key", text: '"a b"@c.example x\n', keys: { '"a b"@c.example': "x", '"a': undefined } },
  { name: "escape in a quoted key", text: '"a\\" b"@c x\n', keys: { '"a\\" b"@c': "x" } },
  {
    name: "unbalanced quote",
    text: '"a b\nc d\n',
    keys: { '"a': undefined, c: "d" },
    warnings: [`table, line 1: unbalanced '"' -- ignoring this line`],
  },
  { name: "case", text: "MiXed Value\n", keys: { mixed: "Value", MIXED: "Value" } },
  { name: "case beyond ASCII", text: "ÄÖ x\nß y\nΣΑΣ z\n", keys: { äö: "x", SS: "y", σας: "z" } },
  { name: "a no-break space is no blank", text: "a\u00a0b c\n", keys: { "a\u00a0b": "c", a: undefined } },
  {
    name: "malformed UTF-8",
    text: Buffer.concat([Buffer.from("a "), Buffer.of(0xe4, 0x0a), Buffer.from("b c\n")]),
    keys: { a: undefined, b: "c" },
    warnings: ["table, line 1: malformed UTF-8 -- ignoring this line"],
  },
  { name: "empty file", text: "", keys: { a: undefined } },
  {
    name: "equal keys, one of them ASCII",
    text: "ß one\nSS two\ntt three\n\u212a four\nk five\nK six\n",
    keys: { ss: "one", ẞ: "one", tt: "three", K: "four" },
    warnings: [
      'table, line 2: ignoring duplicate entry: "SS"',
      'table, line 5: ignoring duplicate entry: "k"',
      'table, line 6: ignoring duplicate entry: "K"',
    ],
  },
  {
    name: "a key that begins another, and keys of all lengths",
    text: Array.from({ length: 40 }, (_, at) => `${"aB".repeat(at)}c ${at}\n`).join(""),
    keys: {
      c: "0",
      aBc: "1",
      abab: undefined,
      a: undefined,
      [`${"ab".repeat(39)}C`]: "39",
      ["ab".repeat(39)]: undefined,
    },
  },
];

describe("texthash", () => {
  test.for(cases)("$name", async ({ text, keys, warnings = [] }) => {
    const { table, warnings: told } = await openFile(text);
    const answers = Object.fromEntries(Object.keys(keys).map((key) => [key, table.lookup(key)]));
    expect(answers).toEqual(keys);
    expect(told).toEqual(warnings);
  });

  test.skipIf(postmap === undefined).for(cases)("$name, as the real postmap", ({ text, keys }) => {
    writeTable(text);
    const answers = Object.fromEntries(
      Object.keys(keys).map((key) => [key, askPostmap(key, `texthash:${join(folder, "table")}`)]),
    );
    expect(answers).toEqual(keys);
  });

  test.skipIf(postmap === undefined)("300 random files, as the real postmap", async () => {
    const next = randomFrom(20261122);
    const random = (below: number): number => Math.floor(next() * below);
    const pieces = ["a", "b", "A", " ", "\t", "\n", "\n", "#", '"', "\\", ":", "x y", "\r\n", "ä", "\v"];
    // One process for all keys of a file; `-q -` prints "key TAB value" for what it found.
    for (let round = 0; round < 300; round++) {
      const text = Array.from({ length: random(40) }, () => pieces[random(pieces.length)]).join("");
      const { table } = await openFile(text);
      const keys = [...new Set(text.split(/\s+/).filter((key) => key !== ""))];
      const { stdout } = spawnSync("postmap", ["-c", folder, "-q", "-", `texthash:${join(folder, "table")}`], {
        encoding: "utf8",
        input: keys.map((key) => `${key}\n`).join(""),
      });
      const ours = keys.flatMap((key) => {
        const value = table.lookup(key) as string | undefined;
        return value === undefined ? [] : [`${key}\t${value}\n`];
      });
      expect({ text, found: ours.join("") }).toEqual({ text, found: stdout });
    }
  });

  test("says file and line of an entry", async () => {
    const { table } = await openFile("# c\na\n b\n");
    expect(table.locate?.("A")).toEqual({ file: join(folder, "table"), line: 2, key: "a", value: "b" });
    expect([...(table.entries?.() ?? [])]).toHaveLength(1);
  });

  test("all entries in their order with their lines, without those that do not count", async () => {
    const text = '# c\nB 1\n\n"q r" 2\nb 3\nmore\n 4\n# c\n  5\nwrong\nä 6\nÄ 7\n';
    const { table } = await openFile(text);
    const at = (line: number, key: string, value: string) => ({ file: join(folder, "table"), line, key, value });
    const entries = [at(2, "B", "1"), at(4, '"q r"', "2"), at(6, "more", "4  5"), at(11, "ä", "6")];
    expect([...(table.entries?.() ?? [])]).toEqual(entries);
    for (const entry of entries) {
      expect(table.locate?.(entry.key.toUpperCase())).toEqual(entry);
      expect(table.lookup(entry.key)).toBe(entry.value);
    }
    expect([table.locate?.("wrong"), table.locate?.("none")]).toEqual([undefined, undefined]);
  });

  test("many lines: all are found, other work comes in between, warnings have an end", async () => {
    const lines = 200_000;
    const line = (at: number) => (at % 1000 === 999 ? "lonely\n" : `User${at}@domain${at % 97}.example  box ${at}\n`);
    let turns = 0;
    const count = () => {
      turns += 1;
      timer = setImmediate(count);
    };
    let timer = setImmediate(count);
    const { table, warnings } = await openFile(Array.from({ length: lines }, (_, at) => line(at)).join(""));
    clearImmediate(timer);
    expect(turns).toBeGreaterThanOrEqual(5);
    expect(warnings).toHaveLength(101);
    expect(warnings.at(-1)).toBe("table: 100 more lines like these");
    for (let at = 0; at < lines; at++) {
      const expected = at % 1000 === 999 ? undefined : `box ${at}`;
      const found = table.lookup(`user${at}@domain${at % 97}.example`);
      if (found !== expected) expect([at, found]).toEqual([at, expected]);
    }
  });

  test("a file that is not there", async () => {
    const registry = createTableRegistry({
      directory: folder,
      clock: systemClock,
      guard: createGuard(systemClock, () => {}),
      warn: () => {},
    });
    await expect(registry.open("texthash:./gone")).rejects.toThrow(ConfigError);
    await expect(registry.open("texthash:./gone")).rejects.toThrow(/gone: there is no such file$/);
  });
});

describe("inline and static", () => {
  const specs: readonly { spec: string; keys: Record<string, string | undefined> }[] = [
    { spec: "inline:{ a=b, c=d }", keys: { a: "b", C: "d", e: undefined } },
    { spec: "inline:{ { a = text with spaces }, c=d }", keys: { a: "text with spaces", c: "d" } },
    { spec: "inline:{ a=one, A=two }", keys: { a: "two" } },
    { spec: "inline:{a=b=c}", keys: { a: "b=c" } },
    { spec: "static:hello", keys: { a: "hello", "": "hello" } },
    { spec: "static:{ hello world }", keys: { a: "hello world" } },
  ];
  const registry = () =>
    createTableRegistry({
      directory: folder,
      clock: systemClock,
      guard: createGuard(systemClock, () => {}),
      warn: () => {},
    });

  test.for(specs)("$spec", async ({ spec, keys }) => {
    const table = await registry().open(spec);
    expect(Object.fromEntries(Object.keys(keys).map((key) => [key, table.lookup(key)]))).toEqual(keys);
  });

  test.skipIf(postmap === undefined).for(specs)("$spec, as the real postmap", ({ spec, keys }) => {
    const asked = Object.keys(keys).filter((key) => key !== "");
    for (const key of asked) expect(askPostmap(key, spec)).toBe(keys[key]);
  });

  test.for([
    "inline:a=b",
    "inline:{ }",
    "inline:{ a }",
    "inline:{ =b }",
    "inline:{ a = b }",
    "inline:{ a=b",
    "static:",
  ])("%s is refused", async (spec) => {
    await expect(registry().open(spec)).rejects.toThrow(ConfigError);
  });
});
