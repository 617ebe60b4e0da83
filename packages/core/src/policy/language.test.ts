// How lists are written: words, arguments, groups, classes; every mistake is one sentence that begins with its path.
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { ConfigError, PluginError } from "../errors.ts";
import { parseEntries } from "./entries.ts";
import { setUp } from "./policy.fixture.ts";
import type { PolicyEntry, Restriction } from "./restriction.ts";
import { createVocabulary } from "./vocabulary.ts";

const owner = { name: "test", onError: "defer", deadlineMs: 1000 } as const;
const word = (name: string, args: z.ZodType<readonly unknown[]>, more: Partial<Restriction> = {}): Restriction => ({
  name,
  stages: ["connect", "rcpt"],
  description: name,
  args,
  compile: () => () => undefined,
  ...more,
});
const restrictions: readonly Restriction[] = [
  word("permit_friends", z.tuple([])),
  word("check_table", z.tuple([z.string().regex(/:/, "expected type:name")])),
  word("check_two", z.tuple([z.string(), z.string()])),
  word("maybe_one", z.tuple([z.string().optional()])),
  word("any_number", z.tuple([z.string()], z.string())),
  word(
    "sleeps",
    z.tuple([z.string()]).transform(([seconds]) => [Number(seconds)] as const),
  ),
  word("only_rcpt", z.tuple([]), { stages: ["rcpt"] }),
];

function parse(entries: readonly PolicyEntry[], classes: readonly string[] = ["friends"]): string[] {
  const vocabulary = createVocabulary();
  for (const restriction of restrictions) vocabulary.register(restriction, owner);
  return parseEntries(entries, "policy.rcpt", { vocabulary, classes: new Set(classes) }).map((entry) => {
    const args = entry.kind === "word" ? entry.args.map((arg) => JSON.stringify(arg)) : [];
    return [entry.path.slice("policy.rcpt".length), ...(entry.warn ? ["warn"] : []), entry.name, ...args].join(" ");
  });
}

describe("entries", () => {
  test.for<[entries: readonly PolicyEntry[], words: string[]]>([
    [["permit_friends"], ["[0] permit_friends"]],
    [["PERMIT_Friends"], ["[0] permit_friends"]],
    [["permit_friends, check_table a:b only_rcpt"], ["[0] permit_friends", '[0] check_table "a:b"', "[0] only_rcpt"]],
    [["permit_friends\n only_rcpt"], ["[0] permit_friends", "[0] only_rcpt"]],
    [
      ["permit_friends", "only_rcpt"],
      ["[0] permit_friends", "[1] only_rcpt"],
    ],
    [["check_table { a:b, c }"], ['[0] check_table "a:b, c"']],
    [["check_table inline:{ a=b, { c = d e } }"], ['[0] check_table "inline:{ a=b, { c = d e } }"']],
    [["{ check_table a:b } { permit_friends }"], ['[0] check_table "a:b"', "[0] permit_friends"]],
    [["check_two a b permit_friends"], ['[0] check_two "a" "b"', "[0] permit_friends"]],
    [["check_two permit_friends only_rcpt"], ['[0] check_two "permit_friends" "only_rcpt"']],
    [["maybe_one permit_friends"], ["[0] maybe_one", "[0] permit_friends"]],
    [["maybe_one x permit_friends"], ['[0] maybe_one "x"', "[0] permit_friends"]],
    [["any_number a b friends"], ['[0] any_number "a" "b"', "[0] friends"]],
    [["sleeps 5 permit_friends"], ['[0] sleeps "5"', "[0] permit_friends"]],
    [["warn_if_reject permit_friends only_rcpt"], ["[0] warn permit_friends", "[0] only_rcpt"]],
    [["warn_if_reject friends"], ["[0] warn friends"]],
    [["warn_if_reject { permit_friends only_rcpt }"], ["[0] warn permit_friends", "[0] warn only_rcpt"]],
    [
      ["defer_if_permit", "defer_if_reject"],
      ["[0] defer_if_permit", "[1] defer_if_reject"],
    ],
    [[["check_table", "a:b c"]], ['[0] check_table "a:b c"']],
    [[["check_table", { a: "b" }]], ['[0] check_table {"a":"b"}']],
    [[["warn_if_reject", "check_table", "a:b"]], ['[0] warn check_table "a:b"']],
  ])("%j", ([entries, words]) => {
    expect(parse(entries)).toEqual(words);
  });

  test.for<[entry: PolicyEntry, message: string]>([
    ["permit_freinds", 'unknown word "permit_freinds"; did you mean "permit_friends"?'],
    ["freinds", 'unknown word "freinds"; did you mean "friends"?'],
    ["quux", 'unknown word "quux"'],
    ["permit_friends quux", 'unknown word "quux"; "permit_friends" before it takes no arguments'],
    ["greylist", 'unknown word "greylist"; it comes with @postern/plugin-greylist, which is not in "plugins"'],
    [
      "texthash:./x",
      '"texthash:./x" is a table where a word is expected; write a word such as "check_client_access" before it',
    ],
    ["", "empty entry"],
    [" , ", "empty entry"],
    ["warn_if_reject", '"warn_if_reject" needs a word after it'],
    [["warn_if_reject"], '"warn_if_reject" needs a word after it'],
    ["check_table { a:b", 'missing "}" in "check_table { a:b"'],
    ["permit_friends }", 'unexpected "}" in "permit_friends }"'],
    [["friends", "x"], '"friends" takes no arguments'],
    [["defer_if_permit", "x"], '"defer_if_permit" takes no arguments'],
  ])("%j is a mistake", ([entry, message]) => {
    expect(() => parse([entry])).toThrow(new ConfigError(`policy.rcpt[0]: ${message}`));
  });
});

describe("compiling", () => {
  const compile = (
    lists: object,
    classes: Record<string, PolicyEntry[]> = {},
    more: readonly Partial<Restriction>[] = [],
  ) => setUp({ lists, classes }, { restrictions: [...restrictions, ...more] });

  test.for<[lists: Record<string, PolicyEntry[]>, message: string]>([
    [{ data: ["only_rcpt"] }, 'policy.data[0]: "only_rcpt" cannot stand in "data", only in "rcpt"'],
    [{ rcpt: ["check_table"] }, 'policy.rcpt[0]: "check_table" takes 1 argument, not 0'],
    [{ rcpt: ["check_two a"] }, 'policy.rcpt[0]: "check_two" takes 2 arguments, not 1'],
    [{ rcpt: [["maybe_one", "a", "b"]] }, 'policy.rcpt[0]: "maybe_one" takes 0 to 1 arguments, not 2'],
    [{ rcpt: ["check_table ab"] }, 'policy.rcpt[0]: "check_table", argument 1: expected type:name'],
    [{ rcpt: ["ring"] }, 'policy.classes.c[0]: class "ring" contains itself: ring → b → c → ring'],
    [
      { rcpt: ["misuse"], data: ["misuse"] },
      'policy.classes.misuse[0]: "only_rcpt" cannot stand in "data", only in "rcpt"',
    ],
  ])("%j", async ([lists, message]) => {
    const classes = { ring: ["b"], b: ["c"], c: ["ring"], misuse: ["only_rcpt"] };
    await expect(compile(lists, classes)).rejects.toThrow(new ConfigError(message));
  });

  test("words that name each other come to an end", async () => {
    const echo: Partial<Restriction> = { name: "echo", compile: (_, scope) => scope.compile("echo") };
    await expect(compile({ rcpt: ["echo"] }, {}, [echo])).rejects.toThrow("name each other more than 10 times over");
  });

  test("lists that are asked at RCPT may hold its words", async () => {
    for (const stage of ["connect", "helo", "mail"] as const) {
      const lists = { [stage]: ["only_rcpt"] };
      await expect(setUp({ lists }, { restrictions })).resolves.toBeDefined();
      await expect(setUp({ lists, delayReject: false }, { restrictions })).rejects.toThrow(
        `policy.${stage}[0]: "only_rcpt" cannot stand in "${stage}", only in "rcpt"; policy.delayReject is false, so that the list is asked before RCPT`,
      );
    }
  });

  test("mistakes in a class that nobody uses, and a class named like a word", async () => {
    await expect(compile({}, { unused: ["quux"] })).rejects.toThrow('policy.classes.unused[0]: unknown word "quux"');
    await expect(compile({}, { permit_friends: [] })).rejects.toThrow(/is a word of the language/);
    await expect(compile({}, { warn_if_reject: [] })).rejects.toThrow(/is a word of the language/);
  });

  test("a word that throws, hangs or gives no judge names its plugin; its ConfigError gets the path", async () => {
    const broken = (name: string, compileWord: () => never): Partial<Restriction> => ({ name, compile: compileWord });
    const throws = broken("throws", () => {
      throw new TypeError("x is undefined");
    });
    const mistake = broken("mistake", () => {
      throw new ConfigError("no such list");
    });
    const nothing = broken("nothing", () => ({}) as never);
    await expect(compile({ rcpt: ["throws"] }, {}, [throws])).rejects.toThrow(PluginError);
    await expect(compile({ rcpt: ["throws"] }, {}, [throws])).rejects.toThrow(
      'plugin test: word "throws": x is undefined',
    );
    await expect(compile({ rcpt: ["nothing"] }, {}, [nothing])).rejects.toThrow(/compile\(\) gives no function/);
    await expect(compile({ rcpt: ["mistake"] }, {}, [mistake])).rejects.toThrow(
      "policy.rcpt[0]: mistake: no such list",
    );
  });

  test("a listener's lists stand in place of the global ones, stage by stage", async () => {
    const { policy } = await setUp(
      { lists: { connect: ["permit_friends"], rcpt: ["only_rcpt"] } },
      { restrictions, listener: { path: "listeners[1].policy", lists: { rcpt: ["check_table a:b"] } } },
    );
    const written = Object.values(policy.lists).flatMap(({ words }) => words.map(({ path }) => path));
    expect(written).toEqual(["policy.connect[0]", "listeners[1].policy.rcpt[0]"]);
  });
});

describe("vocabulary", () => {
  test.for<[change: Partial<Restriction>, message: RegExp]>([
    [{ name: "Permit" }, /a name is lower case/],
    [{ name: "warn_if_reject" }, /belongs to the language/],
    [{ name: "permit_friends" }, /already registered by test/],
    [{ name: "y", stages: [] }, /stages are some of connect/],
    [{ name: "y", stages: ["auth" as never] }, /stages are some of connect/],
    [{ name: "y", compile: undefined as never }, /compile\(\) is missing/],
    [{ name: "y", args: {} as never }, /args is no schema/],
  ])("%o is refused", ([change, message]) => {
    const vocabulary = createVocabulary();
    vocabulary.register(word("permit_friends", z.tuple([])), owner);
    const register = () => vocabulary.register(word("y", z.tuple([]), change), owner);
    expect(register).toThrow(PluginError);
    expect(register).toThrow(message);
  });

  test("lists words with their arguments", () => {
    const vocabulary = createVocabulary();
    vocabulary.register(word("check_table", z.tuple([z.string()]), { authorizes: true }), owner);
    const { args, ...listed } = vocabulary.words().find(({ plugin }) => plugin === "test") ?? {};
    expect(listed).toEqual({
      name: "check_table",
      description: "check_table",
      stages: ["connect", "rcpt"],
      authorizes: ["rcpt"],
      plugin: "test",
    });
    expect(args).toMatchObject({ type: "array", prefixItems: [{ type: "string" }] });
  });
});
