// The types that Postfix has too, against the real postmap: generated tables and keys, answer by answer.
import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { randomFrom, sample, seed } from "../../../../test/sampling.ts";
import { ConfigError } from "../errors.ts";
import { createGuard } from "../guard/guard.ts";
import { systemClock } from "../model/clock.ts";
import { foldKey } from "./fold.ts";
import { createTableRegistry } from "./registry.ts";

const folder = mkdtempSync(join(tmpdir(), "postern-postmap-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
writeFileSync(join(folder, "main.cf"), "compatibility_level = 3.6\nsmtputf8_enable = yes\n");

const hasPostmap = (() => {
  try {
    execFileSync("postconf", ["-d", "-h", "mail_version"]);
    return true;
  } catch {
    return false;
  }
})();

/** What `-q -` prints, and how it ends: every key asked, at a key without an answer, or before the first. */
interface Said {
  readonly found: string;
  readonly end: "asked" | "unavailable" | "refused";
}

const environment = { lower: "small", Upper: "large", ä: "umlaut" };

function askPostmap(spec: string, keys: readonly string[]): Promise<Said> {
  const { promise, resolve } = Promise.withResolvers<Said>();
  const options = { cwd: folder, encoding: "utf8", env: { PATH: process.env["PATH"], ...environment } } as const;
  const child = execFile("postmap", ["-c", folder, "-q", "-", spec], options, (_error, found, said) => {
    const unavailable = /fatal: table .*: query error/.test(said);
    resolve({ found, end: unavailable ? "unavailable" : said.includes("fatal: ") ? "refused" : "asked" });
  });
  // It reads no key when the table is wrong.
  child.stdin?.on("error", () => {});
  child.stdin?.end(keys.map((key) => `${key}\n`).join(""));
  return promise;
}

async function askOurs(spec: string, keys: readonly string[]): Promise<Said> {
  const registry = createTableRegistry({
    directory: folder,
    clock: systemClock,
    guard: createGuard(systemClock, () => {}),
    warn: () => {},
    environment,
  });
  let found = "";
  try {
    const table = await registry.open(spec);
    for (const key of keys) {
      const value = await table.lookup(key);
      if (value !== undefined) found += `${key}\t${value}\n`;
    }
    return { found, end: "asked" };
  } catch (error) {
    return { found, end: error instanceof ConfigError ? "refused" : "unavailable" };
  } finally {
    await registry.close();
  }
}

const random = randomFrom(seed);
const below = (count: number): number => Math.floor(random() * count);
const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;
const some = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make);

const letters = ["a", "b", "c", "A", "B", "ä", "Ä", "ß", "SS", "σ", "Σ", "ς", "ı", "İ", "ﬁ", "x1", "@d", ".e", "+f"];
const word = (): string => some(1 + below(3), () => pick(letters)).join("");
const text = (): string => some(1 + below(3), word).join(" ");

/** Lines in postmap's format with everything that its manual mentions, and what it does not. */
function tableFile(words: readonly string[]): string {
  const key = () =>
    below(8) === 0 ? pick([`"${pick(words)} ${pick(words)}"@d`, `"a\\"${pick(words)}"`]) : pick(words);
  const line = () =>
    pick([
      () => `${key()}${pick([" ", "\t", "  \t"])}${text()}`,
      () => `${key()} ${pick(words)}`,
      () => `${key()} ${text()}${pick([" ", "\t", "\r", " \v"])}`,
      () => `${key()} ${text()}\n${pick([" ", "\t", "  "])}${text()}`,
      () => `${key()}\n ${text()}\n# comment ${text()}\n\t${text()}`,
      () => pick(["", "  ", "# comment", "  # comment", `${pick(words)} # no comment`]),
      () => pick([pick(words), ` ${text()}`, `"${text()}`, `${pick(words)}: ${text()}`, `${pick(words)}\\`]),
    ])();
  return some(1 + below(30), line).join("\n") + pick(["", "\n", "\r\n"]);
}

let files = 0;
/** Postfix waits until a file is no longer hot. */
function writeTable(words: readonly string[]): string {
  const name = `table${files++}`;
  writeFileSync(join(folder, name), tableFile(words));
  utimesSync(join(folder, name), 1e9, 1e9);
  return `./${name}`;
}

function inline(words: readonly string[]): string {
  const entry = () =>
    pick([
      () => `${pick(words)}=${pick(words)}`,
      () => `{ ${pick(words)} = ${text()} }`,
      () => `{${pick(words)}=${text()}}`,
      () => `${pick(words)}=${pick(words)}=${pick(words)}`,
      () =>
        pick([
          "k",
          "{ k }",
          "{ k l = v }",
          "{k=v}w",
          '"a b"=c',
          '{ "a=b" = c }',
          '{ "a" b = c }',
          "{{a=b}}",
          "a{b=c}",
          "a==b",
        ]),
    ])();
  const sound = () => pick([() => `${pick(words)}=${pick(words)}`, () => `{ ${pick(words)} = ${text()} }`])();
  const entries = some(1 + below(6), below(6) === 0 ? entry : sound);
  return `inline:{${pick(["", " "])}${entries.join(pick([", ", " ", ","]))}${pick(["", " "])}}`;
}

const fixed = (): string =>
  pick([() => `static:${word()}`, () => `static:{${text()}}`, () => `static:{ ${text()} }`])();

function simple(words: readonly string[]): string {
  return pick([
    fixed,
    () => inline(words),
    () => inline(words),
    () => `texthash:${writeTable(words)}`,
    () => `randmap:{${pick(words)}}`,
    () => `environ:${pick(words)}`,
    () => (below(4) === 0 ? `fail:${pick(words)}` : inline(words)),
  ])();
}

function composed(words: readonly string[], depth: number): string {
  const type = pick(["unionmap", "pipemap"]);
  const inner = () => (depth > 0 && below(3) === 0 ? composed(words, depth - 1) : simple(words));
  return `${type}:{${pick(["", " "])}${some(1 + below(3), inner).join(pick([",", ", ", " "]))}${pick(["", " "])}}`;
}

/** What we refuse and Postfix takes, with a warning at each lookup or none: an entry or a static value that is empty. */
const empties = /^static:\{ *\}|[{, ]=|=(?:[}, ]|$)/;

/** Right and wrong in any mixture of what the syntax is made of. */
function rubbish(): string {
  const pieces = [
    "{",
    "}",
    "{",
    "}",
    ",",
    " ",
    "=",
    "a",
    "b=c",
    "static:a",
    "inline:",
    "unionmap:",
    "pipemap:",
    "randmap:",
  ];
  for (;;) {
    const spec =
      pick(["unionmap:", "pipemap:", "randmap:", "inline:", "static:"]) +
      some(1 + below(8), () => pick(pieces)).join("");
    // We take off blanks after the colon, and braces round a table inside another.
    const sound = spec.replace(/: +/, ":").trim();
    if (!empties.test(sound) && !/map:.*[{, ]\{/.test(sound)) return sound;
  }
}

const types: Readonly<Record<string, (words: readonly string[]) => string>> = {
  texthash: (words) => `texthash:${writeTable(words)}`,
  inline,
  static: fixed,
  environ: () => "environ:any",
  randmap: (words) => `randmap:{${pick(["", " "])}${pick([pick(words), `{ ${text()} }`])}${pick(["", ",", " "])}}`,
  "unionmap and pipemap": (words) => composed(words, 2),
};

interface Question {
  readonly spec: string;
  readonly keys: readonly string[];
}

/** Some at a time, since postmap waits a second before it ends with an error; by how many the answers are a table's. */
async function compare(questions: readonly Question[]): Promise<number> {
  let answered = 0;
  for (let at = 0; at < questions.length; at += 40) {
    const compared = questions.slice(at, at + 40).map(async ({ spec, keys }) => {
      const [expected, ours] = await Promise.all([askPostmap(spec, keys), askOurs(spec, keys)]);
      expect({ spec, ...ours }).toEqual({ spec, ...expected });
      if (expected.found !== "") answered += 1;
    });
    await Promise.all(compared);
  }
  return answered;
}

describe.skipIf(!hasPostmap)(`as the real postmap, seed ${seed}`, () => {
  test.for(Object.entries(types))("%s", { timeout: 300_000 }, async ([, makeSpec]) => {
    const questions = some(sample(60, 800), () => {
      const words = some(12, word);
      const keys = [...words, ...some(20, word), ...words.map((one) => one.toUpperCase()), ...Object.keys(environment)];
      return { spec: makeSpec(words), keys };
    });
    expect(await compare(questions)).toBeGreaterThan(sample(30, 400));
  });

  test("fail", async () => {
    await compare([{ spec: "fail:any", keys: ["a"] }]);
  });

  test("any mixture of the syntax", { timeout: 300_000 }, async () => {
    await compare(some(sample(80, 2000), () => ({ spec: rubbish(), keys: ["a", "b"] })));
  });

  test("every letter folds alike", async () => {
    const all = some(0x1_0000, () => "").map((_, code) => String.fromCodePoint(code));
    // What is younger than the library behind postmap has no case there.
    const known = all.filter(
      (letter) => /^[\p{L}\p{M}\p{N}\p{S}]$/u.test(letter) && !/[\u1c89\u1c8a\ua7c0-\ua7df]/.test(letter),
    );
    const first = new Map<string, string>();
    for (const letter of known) {
      const folded = foldKey(`k${letter}`);
      if (!first.has(folded)) first.set(folded, letter);
    }
    const code = (letter: string) => letter.codePointAt(0)?.toString(16);
    const lines = [...first.values()].map((letter) => `k${letter} ${code(letter)}\n`);
    writeFileSync(join(folder, "letters"), lines.join(""));
    utimesSync(join(folder, "letters"), 1e9, 1e9);
    const keys = known.map((letter) => `k${letter}`);
    const ours = keys.map((key) => `${key}\t${code(first.get(foldKey(key)) ?? "")}\n`);
    const said = (await askPostmap("texthash:./letters", keys)).found.split("\n");
    expect(ours.filter((line, at) => line !== `${said[at]}\n`)).toEqual([]);
  });
});
