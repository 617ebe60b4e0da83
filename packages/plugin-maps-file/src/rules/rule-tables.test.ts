// Tables of rules answer and warn as the real postmap does: cases by hand, and generated rules and keys.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import {
  systemClock,
  TableUnavailable,
  type LookupTable,
  type TableParameters,
  type TablePurpose,
} from "@postern/core";
import { randomFrom, sample, seed } from "../../../../test/sampling.ts";
import { types as cidrTypes } from "../cidr/index.ts";
import { types as patternTypes } from "../pattern/index.ts";

const folder = mkdtempSync(join(tmpdir(), "postern-rules-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const hasPostmap = (() => {
  try {
    writeFileSync(join(folder, "main.cf"), "compatibility_level = 3.6\nsmtputf8_enable = yes\n");
    utimesSync(join(folder, "main.cf"), 1e9, 1e9);
    return /^pcre$/m.test(execFileSync("postconf", ["-m"], { encoding: "utf8" }));
  } catch {
    return false;
  }
})();

const path = join(folder, "table");

interface Opened extends AsyncDisposable {
  readonly table: LookupTable;
  readonly warnings: readonly string[];
}

async function open(
  type: string,
  name: string,
  parameters: TableParameters = {},
  purpose: TablePurpose = {},
): Promise<Opened> {
  const found = [...patternTypes, ...cidrTypes].find((candidate) => candidate.type === type);
  if (found === undefined) throw new Error(`no type ${type}`);
  const warnings: string[] = [];
  const scope = {
    directory: folder,
    clock: systemClock,
    purpose,
    warn: (message: string) => warnings.push(message),
    open: () => Promise.reject(new Error("no table inside of a table")),
  };
  const table = await found.open(name, scope, parameters);
  return { table, warnings, [Symbol.asyncDispose]: () => table.close() };
}

/** What `postmap -q -` prints for the keys that can be answered, and the keys that cannot. */
function ask(table: LookupTable, keys: readonly string[]): { printed: string; unanswered: readonly string[] } {
  let printed = "";
  const unanswered: string[] = [];
  for (const key of keys) {
    try {
      const value = table.lookup(key) as string | undefined;
      if (value !== undefined) printed += `${key}\t${value}\n`;
    } catch (error) {
      if (!(error instanceof TableUnavailable) || !error.onlyThisKey) throw error;
      unanswered.push(key);
    }
  }
  return { printed, unanswered };
}

interface Postmap {
  readonly found: string;
  readonly warnings: readonly string[];
  readonly fatal: boolean;
}

/** `undefined` when it took too long. */
function askPostmap(spec: string, keys: readonly string[]): Postmap | undefined {
  const { stdout, stderr, error } = spawnSync("postmap", ["-c", folder, "-q", "-", spec], {
    encoding: "utf8",
    input: keys.map((key) => `${key}\n`).join(""),
    timeout: 20_000,
  });
  if (error !== undefined) return undefined;
  const warnings = stderr
    .split("\n")
    .filter((line) => / map .*, line \d+: /.test(line))
    .map((line) => line.replace("postmap: warning: ", ""));
  return { found: stdout, warnings, fatal: stderr.includes("postmap: fatal: ") };
}

/** Warnings about a mac_parse that Postfix makes without a place have one here. */
const hasPlace = (warning: string) => !/: (?:truncated macro reference|empty macro name): /.test(warning);

async function expectSame(type: string, text: string, keys: readonly string[]): Promise<number> {
  writeFileSync(path, text);
  utimesSync(path, 1e9, 1e9);
  await using ours = await open(type, path);
  const { printed, unanswered } = ask(ours.table, keys);
  // One key that cannot be answered is the end of postmap, and of what it did not print yet.
  const answered = keys.filter((key) => !unanswered.includes(key));
  const theirs = askPostmap(`${type}:${path}`, answered);
  if (theirs === undefined) return 0;
  expect({ text, found: printed }).toEqual({ text, found: theirs.found });
  // A matching that fails is a warning there and no answer here.
  const read = theirs.warnings.filter((warning) => !/(?:match|heap|depth) limit exceeded$/.test(warning));
  expect({ text, warnings: ours.warnings.filter(hasPlace) }).toEqual({ text, warnings: read });
  return answered.length;
}

const wrongRules = `/a
/a/q b
/a/ $2
/a/ $x
/(a)/ $0
!/a/ $1
/(/ b
/zz/
if /x/ y
/c/ d
endif z
endif
abc
!
/(a)/ \${1
/(a)/ $
/b/X ok
if /q/
if (
/q/ inside
/a\\/b/ slash
`;

const cases: readonly { name: string; types: readonly string[]; text: string; keys: readonly string[] }[] = [
  { name: "wrong rules", types: ["regexp", "pcre"], text: wrongRules, keys: ["ab", "a", "q", "x", "a/b", "xc"] },
  {
    name: "if, else, nesting, negation",
    types: ["regexp", "pcre"],
    text: "if /^a/\nif !/b$/\n/x/ ax\n!/y/ anoty\nendif\n/b/ ab\nendif\n!!/z/ z\nIF /q/\n! /r/ qnotr\nENDIF\n",
    keys: ["ax", "ay", "ab", "axb", "z", "q", "qr", "", "b"],
  },
  {
    name: "an if that nobody ends",
    types: ["regexp", "pcre"],
    text: "/1/ one\nif /a/\n/2/ two\n",
    keys: ["1", "2", "a2", "a"],
  },
  {
    name: "delimiters, continuation, comments",
    types: ["regexp", "pcre"],
    text: '# c\n!#a#b\n|x\\|y| bar\n"q" quote\n:c:\n  value\n# between\n\n\tmore\n/tab/\t\tone  two  \n{e{ brace\n',
    keys: ["a", "x|y", "xy", "q", "c", "tab", "e", "zz"],
  },
  {
    name: "substitution",
    types: ["regexp", "pcre"],
    text: "/^(a)(b)?(.*)$/ <$1|${2}|$(3)|$$1|$3x>\n/^x(y)?/ ${1}$$\n/^(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)$/ $11 $10 $1\n",
    keys: ["abc", "ac", "x", "xy", "bcdefghijkl", "a"],
  },
  {
    name: "flags of regexp",
    types: ["regexp"],
    text: "/^A$/i sensitive\n/^b$/ii twice\n/^C\\(d\\)$/x basic $1\n/e{2}/xx ext\n/f$/m line\n/p1/!/p2/ both\n/p3/i!/P4/ both2\n",
    keys: ["a", "A", "B", "cd", "CD", "ee", "f", "p1", "p1p2", "p3", "P3", "p3p4"],
  },
  {
    name: "flags of pcre",
    types: ["pcre"],
    text: "/^A$/i sensitive\n/b c # d/x ext\n/x/A anchored\n/^(g+)/U ungreedy $1\n/h$/E end\n/k.l/s dot\n/m{2}?n/AU $1\n/o/iA o\n",
    keys: ["a", "A", "bc", "b c", "yx", "xy", "ggg", "h", "k l", "mmn", "o", "O", "bo"],
  },
  {
    name: "octets of UTF-8",
    types: ["regexp", "pcre"],
    text: "/^ä$/ small\n/^(ö+)x/ run $1\n/^.$/ one octet\n/^..$/ two octets\n/^[[:alpha:]]+$/ letters\n/[Ü]q/ set\n/^\\w+$/ word\n/€(.*)/ euro $1\n",
    keys: ["ä", "Ä", "öx", "ööx", "a", "ü", "abc", "Üq", "éé", "€5", "ß"],
  },
  {
    name: "the longest of the leftmost",
    types: ["regexp"],
    text: "/^(a|ab)(c|bcd)?(d*)/ <$1|$2|$3>\n/(x|xy|xyz)(z?)/ <$1|$2>\n/((q)|r)*/ [$1|$2]\n",
    keys: ["abcd", "ab", "acd", "xyz", "xyzz", "qr", "rq", "rr"],
  },
  {
    name: "back references",
    types: ["regexp", "pcre"],
    text: "/^(.)(.)\\2\\1$/ palin\n/(ab|a)\\1/ twice\n",
    keys: ["abba", "ABba", "abab", "aa", "ab"],
  },
  {
    name: "what only pcre has",
    types: ["pcre"],
    text: "/^(?!owner-)(.*)-list@(.*)/ ${1}@$2\n/(?i:q)w/i mixed\n/^\\Qa.b\\E$/ quoted\n/^(?<n>z+)$/ $1\n/\\x{e4}/ e4\n/[\\xc3]\\x{a4}/ auml\n/\\303\\266/ ouml\n/^(?>t+)t/ never\n/(*UTF)^.$/ one\n/\\p{L}\\h?\\xa0/ latin\n",
    keys: ["a-list@b", "owner-list@b", "Qw", "qW", "a.b", "axb", "zz", "ä", "ö", "ttt", "ü", "Ã", "à", "x"],
  },
  {
    name: "networks",
    types: ["cidr"],
    text: "10.0.0.1/8 hostbits\n010.1.0.0/16 octal\n[192.168.0.0/16] br\n[192.169.0.0]/16 br2\n!1.2.3.0/24 neg\n",
    keys: ["10.0.0.1", "8.1.0.1", "192.168.3.4", "192.169.0.1", "1.2.3.4", "01.2.3.4", "::ffff:1.2.3.5", "2.2.2.2"],
  },
  {
    name: "wrong networks and nesting",
    types: ["cidr"],
    text: `if 10.0.0.0/8
10.1.0.0/16 a
!10.2.0.0/16 b
endif junk
if !2001:db8::/32 extra
::/0 other6
endif
endif
2001:db8:0:0:0:0:0:0/33 six
! 1.2.3.4 x
1.2.3.4/33 y
1.2.3.4/ z
1.2.3.4/08 z
2001:db8::1:0:0:1/64 z
1:0:0:2:0:0:0:3/64 z
1.2.3.4
if
if 1.2.3
[1.2.3.4 v
[1.2.3.4]x v
[1.2.3.4]/32 v
[1.2.3.5/32] v5
1.2.3.6/+32 v
:: null
1.2.3.7/0x20 v
0.0.0.0/0 all4
foo bar
endif
if !1.0.0.0/8
::/0 unseen
`,
    keys: [
      "10.0.0.1",
      "10.2.0.1",
      "10.1.0.1",
      "2001:db8::1",
      "2001:db9::1",
      "1.2.3.4",
      "1.2.3.5",
      "::",
      "0::0",
      "::1.2.3.4",
      "1.2.3",
      "1.2.3.4.",
      "fe80::1%eth0",
      "1::2::3",
      "1:2:3:4:5:6:7::",
      "::2:3:4:5:6:7:8",
      "1:2:3:4:5:6:7:8:",
      "12345::",
      "1:2:3:4:5:6:1.2.3.4",
      ":1",
      "1:",
      ":::",
      "1:2:3:4:5:6:7:1.2.3.4",
      "foo",
      "",
      "2001:DB8::A",
      "0:0:0:0:0:0:0:0",
      "1.2.3.256",
      "1..2.3",
      " 1.2.3.4",
    ],
  },
];

describe.skipIf(!hasPostmap)("as the real postmap", () => {
  for (const { name, types, text, keys } of cases) {
    test.for(types)(`${name}: %s`, async (type) => {
      // An empty line on its input is no key to postmap.
      await expectSame(
        type,
        text,
        keys.filter((key) => key !== ""),
      );
    });
  }
});

test.for(["regexp", "pcre"])("half a character is no answer: %s", async (type) => {
  writeFileSync(path, "/^(.)/ $1\n");
  utimesSync(path, 1e9, 1e9);
  await using ours = await open(type, path);
  expect(ask(ours.table, ["a", "ä", "b"])).toEqual({ printed: "a\ta\nb\tb\n", unanswered: ["ä"] });
  if (hasPostmap) expect(askPostmap(`${type}:${path}`, ["ä"])?.fatal).toBe(true);
});

/** Random choices from a seed. */
function chooser(start: number) {
  const next = randomFrom(start);
  const below = (limit: number) => Math.floor(next() * limit);
  const pick = (list: readonly string[]) => list[below(list.length)] ?? "";
  const many = (most: number, make: () => string) => Array.from({ length: below(most + 1) }, make).join("");
  return { below, pick, many };
}

type Chooser = ReturnType<typeof chooser>;

const keyPieces = ["a", "b", "ab", "A", "B", "x", "1", "_", " ", "@", ".", "-", "ä", "Ä", "c", "foo", "bar", "Foo"];
const sharedAtoms = [
  "a",
  "b",
  "ab",
  "A",
  "x",
  "1",
  "_",
  "@",
  "\\.",
  ".",
  "ä",
  "[ab]",
  "[^a]",
  "[[:alpha:]]",
  "[a-c]",
  "[]a]",
  "foo",
  "bar",
];
const regexpAtoms = [...sharedAtoms, "\\<", "\\>", "\\w", "\\W", "[[.a.]b]", "[[=a=]]", "[a-]", "{"];
const pcreAtoms = [
  ...sharedAtoms,
  "\\d",
  "\\w",
  "\\S",
  "\\b",
  "\\B",
  "(?=b)",
  "(?!a)",
  "(?<=a)",
  "(?i)",
  "(?-i)",
  "\\x61",
  "\\xc3",
  "[\\x80-\\xff]",
  "[ä-ö]",
  "\\Qa.\\E",
  "\\141",
  "\\A",
  "\\z",
  "(?:a|b)",
];

function randomPattern({ below, pick, many }: Chooser, atoms: readonly string[], suffixes: readonly string[]): string {
  const flat = (): string => pick(atoms) + (below(5) === 0 ? pick(suffixes) : "");
  const choice = (): string => flat() + many(2, flat) + (below(3) === 0 ? `|${many(2, flat)}` : "");
  const part = (): string => (below(3) === 0 ? `(${choice()})${below(4) === 0 ? pick(suffixes) : ""}` : flat());
  return pick(["", "", "^"]) + part() + many(3, part) + (below(6) === 0 ? `|${part()}` : "") + pick(["", "", "$"]);
}

function randomTable(choose: Chooser, pattern: () => string, flags: readonly string[]): string {
  const { below, pick, many } = choose;
  const rule = (): string => {
    const written = `${below(8) === 0 ? "!" : ""}/${pattern()}/${below(4) === 0 ? pick(flags) : ""}`;
    switch (below(10)) {
      case 0:
        return `if ${written}\n`;
      case 1:
        return "endif\n";
      case 2:
        return `# ${written}\n`;
      default:
        return `${written}${pick([" ", "\t", "\n  "])}${many(3, () => pick(["r", "$1", "${2}", "$(1)", "$$", " ", "-"]))}v${below(99)}\n`;
    }
  };
  return rule() + many(9, rule);
}

describe.skipIf(!hasPostmap)("generated", () => {
  const rounds = sample(80, 4_000);
  const kinds: readonly {
    type: string;
    atoms: readonly string[];
    suffixes: readonly string[];
    flags: readonly string[];
  }[] = [
    {
      type: "regexp",
      atoms: regexpAtoms,
      suffixes: ["*", "+", "?", "{2}", "{1,2}", "{0,1}", "{,2}"],
      flags: ["i", "m", "x", "ix", "ii"],
    },
    {
      type: "pcre",
      atoms: pcreAtoms,
      suffixes: ["*", "+", "?", "{2}", "{1,2}", "*?", "+?", "??", "++", "{2,}"],
      flags: ["i", "m", "s", "x", "A", "E", "U", "X", "iA", "UA"],
    },
  ];

  test.for(kinds)(
    "rules of $type, as the real postmap",
    { timeout: sample(120_000, 600_000) },
    async ({ type, atoms, suffixes, flags }) => {
      const choose = chooser(seed + 20261123);
      let compared = 0;
      for (let round = 0; round < rounds; round++) {
        const text = randomTable(choose, () => randomPattern(choose, atoms, suffixes), flags);
        const keys = Array.from({ length: 30 }, () =>
          `${choose.many(6, () => choose.pick(keyPieces))}k`.slice(0, choose.below(2) === 0 ? -1 : undefined),
        );
        compared += await expectSame(
          type,
          text,
          keys.filter((key) => key.trim() !== ""),
        );
      }
      expect(compared).toBeGreaterThan(rounds * 15);
    },
  );

  test("networks, as the real postmap", { timeout: sample(120_000, 600_000) }, async () => {
    const choose = chooser(seed + 7);
    const { below, pick, many } = choose;
    const octet = () => pick(["0", "1", "10", "127", "128", "255"]);
    const group = () => pick(["0", "1", "db8", "ffff", "8000", "2001"]);
    const ipv4 = () => [octet(), octet(), octet(), octet()].join(".");
    const ipv6 = () =>
      pick([
        "::",
        "::1",
        "::ffff:1.2.3.4",
        `${group()}::`,
        `${group()}:${group()}::${group()}`,
        Array.from({ length: 8 }, group).join(":"),
      ]);
    const masked = () =>
      below(2) === 0
        ? `${pick(["0", "128", "10", "192"])}.0.0.0/${pick(["0", "1", "2", "8", "9"])}`
        : `${pick(["2001", "8000", "1"])}::/${pick(["0", "1", "16", "17", "64"])}`;
    const network = () =>
      pick(["", "", "!", "! "]) +
      pick([ipv4(), ipv6(), masked(), masked(), `${ipv4()}/${below(33)}`, `${ipv6()}/${below(129)}`, `[${masked()}]`]);
    const rule = (): string => {
      const kind = below(8);
      if (kind === 0) return `if ${network()}\n`;
      if (kind === 1) return "endif\n";
      return `${network()} ${pick(["OK", "REJECT x", "v"])}${below(99)}\n`;
    };
    for (let round = 0; round < rounds; round++) {
      const text = rule() + many(15, rule);
      const keys = Array.from({ length: 40 }, () => pick([ipv4(), ipv4(), ipv6(), ipv6(), "x", "1.2.3"]));
      await expectSame("cidr", text, keys);
    }
  });
});

describe("in the config", () => {
  test.for([
    { type: "pcre", spec: "{ { /a/ b }, {!/x/ y} { /z/ y} }", keys: { a: "b", z: "y", x: undefined } },
    { type: "regexp", spec: "{ {/a{2}/ two}, { /^(.)b/ $1 } }", keys: { aa: "two", zb: "z", a: undefined } },
    {
      type: "cidr",
      spec: "{{10.0.0.0/8 ten},{::/0 six}}",
      keys: { "10.1.1.1": "ten", "::1": "six", "1.1.1.1": undefined },
    },
  ])("$type:$spec", async ({ type, spec, keys }) => {
    await using opened = await open(type, spec);
    const asked = Object.keys(keys);
    expect(Object.fromEntries(asked.map((key) => [key, opened.table.lookup(key)]))).toEqual(keys);
    if (hasPostmap) expect(askPostmap(`${type}:${spec}`, asked)?.found).toBe(ask(opened.table, asked).printed);
  });

  test("rules of an object, with their places", async () => {
    const rules = ["# none", "if /^a/", "/b(.)/ <$1>", "endif", "/(/ wrong", "/c/ see"];
    await using opened = await open("pcre", "", { rules });
    expect([opened.table.lookup("abq"), opened.table.lookup("bq"), opened.table.lookup("c")]).toEqual([
      "<q>",
      undefined,
      "see",
    ]);
    expect(opened.table.locate?.("c")).toEqual({ line: 6, key: "/c/", value: "see" });
    expect(opened.warnings).toEqual(["table pcre, line 5: error in regex at offset 1: missing closing parenthesis"]);
  });

  test.for([
    ["", {}, /needs a file name, or "rules"/],
    ["{ /a/ b }", {}, /no "\{" at the start of "\/a\/"/],
    ["{ {/a{2/ b} }", {}, /braces/],
    ["", { rules: "/a/ b" }, /is a list/],
    ["", { rules: ["/a/ b\nc"] }, /rule 1 is no text of one line/],
    ["", { rules: [], more: 1 }, /unknown key "more"/],
    ["gone", {}, /gone: there is no such file/],
  ] as const)("%s %o is refused", async ([name, parameters, message]) => {
    await expect(open("pcre", name, parameters)).rejects.toThrow(message);
  });

  test("a file's rule is found by its line; substitution is refused where a stranger's word may not pass", async () => {
    writeFileSync(path, "# c\n/^(a+)@/i\n  to $1\n10.0.0.0/8 x\n");
    await using regexp = await open("regexp", "table");
    expect(regexp.table.locate?.("aa@b")).toEqual({ file: path, line: 2, key: "/^(a+)@/i", value: "to aa" });
    await using without = await open("regexp", "table", {}, { withoutSubstitution: true });
    expect(without.table.lookup("aa@b")).toBeUndefined();
    expect(without.warnings[0]).toBe(
      `regexp map ${path}, line 2: regular expression substitution is not allowed: skipping this rule`,
    );
    await regexp.table.close();
    expect(() => regexp.table.lookup("a")).toThrow(TableUnavailable);
  });
});
