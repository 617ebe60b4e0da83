// testTable lets what is right pass and catches each way of being wrong.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  ConfigError,
  createMemoryTable,
  EntryMap,
  readTableFile,
  TableUnavailable,
  type LookupTable,
  type MaybePromise,
  type OpenTable,
  type TableType,
} from "@postern/core";
import { expect, onTestFinished, test } from "vitest";
import { undisturbed } from "../../../test/undisturbed.ts";
import { testTable, type TableCase } from "./test-table.ts";

const pairs: ReadonlyMap<string, string> = new Map([
  ["a@x.test", "1"],
  ["b@x.test", "2"],
]);
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A table as it should be, of a server that answers later; closed it is gone. */
function remote(name: string): LookupTable {
  let open = true;
  return {
    type: "pairs",
    name,
    kind: "indexed",
    trusted: true,
    async lookup(key) {
      await turn();
      if (!open) throw new TableUnavailable(`pairs:${name}`, "it is closed");
      if (key === "lost") throw new TableUnavailable(`pairs:${name}`, "gone");
      if (key.length > 1000) throw new TableUnavailable(`pairs:${name}`, "too long", { onlyThisKey: true });
      return pairs.get(key);
    },
    async close() {
      open = false;
    },
  };
}

const memory = (name: string): LookupTable => {
  const entries = new EntryMap();
  for (const [key, value] of pairs) entries.add({ key, value, file: name, line: 1 });
  return createMemoryTable("pairs", name, entries);
};

const typeOf = (open: OpenTable): TableType => ({ type: "pairs", description: "For this test.", open });
const cases: readonly TableCase[] = [
  { name: "found", key: "a@x.test", expect: "1" },
  { name: "found, too", key: "B@x.test", expect: "2" },
  { name: "not found", key: "c@x.test", expect: undefined },
];
const lost: TableCase = { name: "lost", key: "lost", expect: { unavailable: true } };

test("a server, and a table in memory", async () => {
  await testTable(typeOf(remote), { open: "x", cases: [...cases, lost] });
  await testTable(typeOf(memory), { open: "x", cases });
});

test("parameters", async () => {
  const open: OpenTable = (name, _, parameters) => {
    if (parameters["size"] !== 2) throw new ConfigError("size is 2");
    return remote(name);
  };
  await testTable(typeOf(open), { open: { name: "x", size: 2 }, cases });
  await expect(testTable(typeOf(open), { open: { size: 3 }, cases })).rejects.toThrow("size is 2");
});

test("core's own text file", async () => {
  const folder = mkdtempSync(join(tmpdir(), "postern-text-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "t"), "a@x.test 1\nB@x.test 2\nA@x.test 3\n\u00c4 4\n");
  const open: OpenTable = async (name, { directory }) =>
    createMemoryTable("text", name, await readTableFile(join(directory, name), { label: name, warn: () => undefined }));
  await testTable(typeOf(open), { open: "t", directory: folder, cases });
});

test("a table that knows every key, and one of patterns", async () => {
  const every: OpenTable = (name) => ({
    ...memory(name),
    lookup: () => "1",
    entries: () => [],
    locate: () => undefined,
  });
  await testTable(typeOf(every), { open: "x", cases: [{ name: "any", key: "q", expect: "1" }] });
  const pattern: OpenTable = (name) => ({
    type: "pairs",
    name,
    kind: "pattern",
    trusted: true,
    lookup: (key) => (key.startsWith("a") ? key : undefined),
    entries: () => [{ key: "/^a/", value: "$0" }],
    locate: (key) => (key.startsWith("a") ? { key: "/^a/", value: "$0" } : undefined),
    close: async () => undefined,
  });
  await testTable(typeOf(pattern), { open: "x", cases: [{ name: "found", key: "abc", expect: "abc" }] });
});

interface Good {
  readonly lookup: (key: string) => MaybePromise<string | undefined>;
}

const entry = { key: "a@x.test", value: "1" };

test.each<[name: string, wrong: (good: Good) => Partial<LookupTable>, message: RegExp, more?: TableCase]>([
  [
    "it throws",
    () => ({ lookup: () => JSON.parse("{") as never }),
    /threw SyntaxError: .*; what a table throws is TableUnavailable/,
  ],
  ["it rejects", () => ({ lookup: () => Promise.reject(new Error("no")) }), /threw Error: no; what a table throws/],
  [
    "a crash passes for a table that is down",
    ({ lookup }) => ({ lookup: (key) => lookup(key === "lost" ? (undefined as never) : key) }),
    /lost: lookup\("lost"\) threw TypeError/,
    lost,
  ],
  [
    "an empty value",
    ({ lookup }) => ({ lookup: (key) => (key === "c@x.test" ? "" : lookup(key)) }),
    /not found: lookup\("c@x\.test"\): InvalidAnswer: empty value/,
  ],
  [
    "null for not found",
    ({ lookup }) => ({ lookup: async (key) => (await lookup(key)) ?? (null as never) }),
    /a table answers with a string or undefined/,
  ],
  [
    "a value by mistake",
    ({ lookup }) => ({ lookup: async (key) => ((await lookup(key)) === "2" ? "1" : lookup(key)) }),
    /found, too: expected "2", got "1"/,
  ],
  [
    "unavailable is not found",
    ({ lookup }) => ({ lookup: (key) => (key === "lost" ? undefined : lookup(key)) }),
    /lost: expected unavailable, got not found/,
    lost,
  ],
  [
    "cut at NUL",
    ({ lookup }) => ({ lookup: (key) => lookup(key.split("\0")[0] ?? "") }),
    /hostile keys: lookup\("a@x\.test\\u0000"\) gives the value of "a@x\.test"/,
  ],
  [
    "cut at a line's end",
    ({ lookup }) => ({ lookup: (key) => lookup(key.split(/\r?\n/)[0] ?? "") }),
    /gives the value of/,
  ],
  [
    "cut when it is long",
    ({ lookup }) => ({ lookup: (key) => lookup(key.replace(/x{60000,}$/, "")) }),
    /characters\) gives the value of/,
  ],
  [
    "wildcards",
    ({ lookup }) => ({ lookup: async (key) => (key.includes("*") ? "1" : lookup(key)) }),
    /lookup\("a@x\.test\*"\) gives the value of/,
  ],
  ["decoded", ({ lookup }) => ({ lookup: (key) => lookup(key.replace("%00", "")) }), /%00"\) gives the value of/],
  [
    "injection",
    ({ lookup }) => ({ lookup: (key) => lookup(/^(.*)' or '1'='1$/i.exec(key)?.[1] ?? key) }),
    /gives the value of "a@x\.test"/,
  ],
  [
    "a quote takes it down",
    ({ lookup }) => ({
      lookup: (key) => {
        if (key.includes("'")) throw new TableUnavailable("pairs:x", "syntax error");
        return lookup(key);
      },
    }),
    /says that the table is down/,
  ],
  [
    "a key hangs it",
    ({ lookup }) => ({ lookup: (key) => (key.includes("\0") ? new Promise<never>(() => undefined) : lookup(key)) }),
    /lookup\("\\u0000"\) says that the table is down/,
  ],
  [
    "an object's own names",
    () => ({ lookup: (key) => Reflect.get({ "a@x.test": "1", "b@x.test": "2" }, key) as string | undefined }),
    /hostile keys: lookup\("(?:__proto__|constructor)"\)/,
  ],
  [
    "entries that it does not answer",
    () => ({ entries: () => [{ key: "z@x.test", value: "9" }] }),
    /entries: entries\(\) has "9" for "z@x\.test", lookup\(\) says not found/,
  ],
  ["an empty entry", () => ({ entries: () => [{ key: "z", value: "" }] }), /no value empty/],
  [
    "it locates something else",
    () => ({ locate: () => ({ key: "b@x.test", value: "2" }) }),
    /locate: locate\(\) has "2" for "a@x\.test", expected "1"/,
  ],
  [
    "it locates what is not there",
    () => ({ locate: (key) => (key === "c@x.test" ? entry : undefined) }),
    /locate\(\) knows "c@x\.test", which is not found/,
  ],
  [
    "entries and locate differ",
    () => ({ entries: () => [entry], locate: (key) => (key === entry.key ? { ...entry, value: "8" } : undefined) }),
    /entries\(\) has "1" for "a@x\.test", locate\(\) "8"/,
  ],
  ["one answer for all who wait", mixed, /several at once: lookup\(.*\) among others says .*, alone /],
  [
    "closed it knows nothing",
    closedTo(undefined),
    /closing: lookup\("a@x\.test"\) after close\(\) says not found; it throws TableUnavailable/,
  ],
  ["closed it crashes", closedTo(null), /closing: lookup\("a@x\.test"\) threw/],
  ["closing throws", () => ({ close: () => Promise.reject(new Error("no")) }), /closing: close\(\) threw Error: no/],
  ["it does not say whom it trusts", () => ({ trusted: undefined as never }), /shape: trusted is true or false/],
])("%s", async (_, wrong, message, more) => {
  const open: OpenTable = (name) => {
    const good = remote(name);
    return { ...good, ...wrong({ lookup: (key) => good.lookup(key) }) };
  };
  const all = more === undefined ? cases : [...cases, more];
  await undisturbed(() =>
    expect(testTable(typeOf(open), { open: "x", cases: all, deadlineMs: 150 })).rejects.toThrow(message),
  );
});

/** Questions and answers over one connection, the last question counts. */
function mixed(): Partial<LookupTable> {
  let last = "";
  return {
    async lookup(key) {
      last = key;
      await turn();
      return pairs.get(last);
    },
  };
}

function closedTo(answer: undefined | null) {
  return ({ lookup }: Good): Partial<LookupTable> => {
    let open = true;
    return {
      lookup: (key) => (open ? lookup(key) : answer === null ? (JSON.parse("") as never) : answer),
      close: async () => void (open = false),
    };
  };
}
