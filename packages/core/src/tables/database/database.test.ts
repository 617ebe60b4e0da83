// The language of database tables: what Postfix's db_common and cfg_parser do, case by case. That the cases are right is said by
// the real postmap, in test/tables/sqlite.test.ts.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { ConfigError, TableUnavailable } from "../../errors.ts";
import { createGuard } from "../../guard/guard.ts";
import { systemClock } from "../../model/clock.ts";
import { coreOwner } from "../../guard/owner.ts";
import { createTableRegistry } from "../registry.ts";
import type { TableParameters, TableScope } from "../table.ts";
import { readAnswerRules } from "./answer-rules.ts";
import { readSqlQuery } from "./legacy-query.ts";
import { readTableParameters } from "./parameters.ts";
import { parseTemplate } from "./template.ts";

const folder = mkdtempSync(join(tmpdir(), "postern-database-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function openScope(): { scope: TableScope; warnings: string[] } {
  const warnings: string[] = [];
  const warn = (message: string) => void warnings.push(message.replaceAll(`${folder}/`, ""));
  const guard = createGuard(systemClock, () => {});
  const registry = createTableRegistry({ directory: folder, clock: systemClock, guard, warn });
  const broken = { type: "broken", name: "", kind: "indexed", trusted: true, close: () => Promise.resolve() } as const;
  const lookup = () => Promise.reject(new TableUnavailable("broken:", "down"));
  registry.register({ type: "broken", description: "Never answers.", open: () => ({ ...broken, lookup }) }, coreOwner);
  return {
    warnings,
    scope: { directory: folder, clock: systemClock, purpose: {}, warn, open: (spec) => registry.open(spec) },
  };
}

function readFile(text: string) {
  writeFileSync(join(folder, "table.cf"), text);
  const { scope, warnings } = openScope();
  return { parameters: readTableParameters("mysql", "table.cf", scope, {}), warnings };
}

function readObject(object: TableParameters) {
  return readTableParameters("mysql", "", openScope().scope, object);
}

describe("a .cf file", () => {
  test.for([
    { text: "a = b", key: "a", value: "b" },
    { text: "a=b c ", key: "a", value: "b c" },
    { text: "a = b # c\n# a = d\n\n", key: "a", value: "b # c" },
    {
      text: "query = SELECT x\n  FROM y\n# comment\n\n\tWHERE z = '%s'\n",
      key: "query",
      value: "SELECT x  FROM y\tWHERE z = '%s'",
    },
    { text: "a = $b = c", key: "a", value: "$b = c" },
    { text: "a =\nb = c\n", key: "a", value: undefined },
    { text: "a = ä\r\n", key: "a", value: "ä" },
  ])("$text", async ({ text, key, value }) => {
    expect((await readFile(text).parameters).text(key)).toBe(value);
  });

  test("the last of equal names stands; the warning does not repeat a password", async () => {
    const { parameters, warnings } = readFile("password = secret\npassword = other\n");
    expect((await parameters).text("password")).toBe("other");
    expect(warnings).toEqual(['table.cf, line 2: overriding earlier entry: "password"']);
  });

  test.for([
    ["a", /table\.cf, line 1: missing "=" after attribute name/],
    ["a b = c", /line 1: missing "="/],
    ["\n= c", /line 2: missing attribute name/],
  ] as const)("%s is refused", async ([text, message]) => {
    await expect(readFile(text).parameters).rejects.toThrow(ConfigError);
    await expect(readFile(text).parameters).rejects.toThrow(message);
  });

  test("a line that continues nothing is left out with a warning", async () => {
    const { parameters, warnings } = readFile("  a = b\nc = d\n");
    expect([(await parameters).text("a"), (await parameters).text("c")]).toEqual([undefined, "d"]);
    expect(warnings).toHaveLength(1);
  });

  test("no file, no parameters", async () => {
    const { scope } = openScope();
    await expect(readTableParameters("mysql", "gone.cf", scope, {})).rejects.toThrow(
      /gone\.cf: there is no such file$/,
    );
    await expect(readTableParameters("mysql", "", scope, {})).rejects.toThrow(/needs a file of parameters/);
  });
});

describe("parameters", () => {
  test("of an object: numbers, flags, lists, secrets; its keys stand before those of a file", async () => {
    writeFileSync(join(folder, "secret"), "s3cret\n");
    writeFileSync(join(folder, "part.cf"), "dbname = file\nuser = file\n");
    const read = await readTableParameters("mysql", "part.cf", openScope().scope, {
      user: "object",
      hosts: ["a", "b:1"],
      port: 3306,
      tls: true,
      password: { file: "secret" },
    });
    expect([read.text("dbname"), read.text("user"), read.list("hosts"), read.integer("port", 1)]).toEqual([
      "file",
      "object",
      ["a", "b:1"],
      3306,
    ]);
    expect([read.flag("tls", false), read.text("password"), read.label]).toEqual([true, "s3cret", "mysql:part.cf"]);
  });

  test("lists and times as Postfix writes them", async () => {
    const read = await readObject({
      hosts: "a, b\tunix:/x",
      t1: "60",
      t2: "5m",
      t3: "2h",
      t4: "500ms",
      t5: 3,
      empty: "",
    });
    expect(read.list("hosts")).toEqual(["a", "b", "unix:/x"]);
    expect(["t1", "t2", "t3", "t4", "t5", "none", "empty"].map((key) => read.milliseconds(key, 7))).toEqual([
      60_000, 300_000, 7_200_000, 500, 3000, 7, 7,
    ]);
  });

  test.for<[TableParameters, (read: Awaited<ReturnType<typeof readObject>>) => unknown]>([
    [{ a: "x" }, (read) => read.integer("a", 0)],
    [{ a: "" }, (read) => read.integer("a", 0)],
    [{ a: "5s" }, (read) => read.integer("a", 0)],
    [{ a: 0 }, (read) => read.integer("a", 0, { min: 1 })],
    [{ a: "maybe" }, (read) => read.flag("a", true)],
    [{ a: "-1" }, (read) => read.milliseconds("a", 0)],
    [{ a: "" }, (read) => read.required("a")],
    [{ a: { files: "x" } }, (read) => read.text("a")],
    [{ a: { file: "no-such-secret" } }, (read) => read.text("a")],
    [{ b: "select_field" }, (read) => readSqlQuery(read)],
    [{ table: "t" }, (read) => readSqlQuery(read)],
  ])("%j is refused", async ([object, ask]) => {
    const read = await readObject(object);
    expect(() => ask(read)).toThrow(ConfigError);
  });

  test("what nobody asked for is told, with the nearest known", async () => {
    const { parameters, warnings } = readFile("user = x\nhost = y\nhosts = z\n");
    const read = await parameters;
    read.text("user");
    read.list("hosts");
    read.finish();
    expect(warnings).toEqual(['table.cf, line 2: unknown parameter "host"; did you mean "hosts"?']);
  });

  test("older parameters of SQL tables build the query", async () => {
    const older = { select_field: "f", table: "t", where_field: "w", additional_conditions: "and x = '%d'" };
    expect(readSqlQuery(await readObject(older))).toBe("SELECT f FROM t WHERE w='%s' and x = '%d'");
    expect(readSqlQuery(await readObject({ ...older, query: "q" }))).toBe("q");
  });
});

describe("a template", () => {
  test.for<[template: string, key: string, expanded: string | undefined]>([
    ["%s|%S", "a@b", "a@b|a@b"],
    ["%u|%U", "a@b@c", "a@b|a@b"],
    ["%d|%D", "a@b@c", "c|c"],
    ["%u", "plain", "plain"],
    ["%u", "@b", undefined],
    ["%u", "a@", "a"],
    ["%d", "plain", undefined],
    ["%d", "a@", undefined],
    ["%d", "@b", "b"],
    ["%3.%2.%1", "a@x.b.c.d", "b.c.d"],
    ["%3", "a@c.d", undefined],
    ["%1|%2", "u@.a..b.", "b|a"],
    ["%1", "a.b", undefined],
    ["100%%|%s", "x", "100%|x"],
    ["%%s", "x", "%s"],
    ["fixed", "x", "fixed"],
    ["fixed", "", undefined],
    ["%s", "$& $1", "$& $1"],
  ])("%s of %s", ([template, key, expanded]) => {
    expect(parseTemplate(template, "t").expand(key)).toBe(expanded);
  });

  test("each part is quoted, the text between is not", () => {
    expect(parseTemplate("'%u' '%d'", "t").expand("a'@b'", (part) => part.replaceAll("'", "''"))).toBe("'a''' 'b'''");
  });

  test("shows its pieces", () => {
    expect(parseTemplate("a%%b%s%1", "t").pieces).toEqual(["a%b", { field: "s" }, { field: "1" }]);
  });

  test.for(["%x", "%0", "a%", "% s"])("%s is refused", (text) => {
    expect(() => parseTemplate(text, "mysql:x.cf")).toThrow(ConfigError);
  });
});

describe("answers", () => {
  test.for<[parameters: TableParameters, values: readonly string[], key: string, answer: string | undefined]>([
    [{}, ["a", "", "b"], "k", "a,b"],
    [{}, [], "k", undefined],
    [{}, [""], "k", undefined],
    [{ result_format: "%u at %d" }, ["a@b", "plain", "@c", "d@"], "k", "a at b"],
    [{ result_format: "%s:%S" }, ["v"], "k", "v:k"],
    [{ result_format: "%U,%D,%1,%2,%%" }, ["v"], "u@b.c", "u,b.c,c,b,%"],
    [{ result_format: "[%s]", expansion_limit: 2 }, ["a", "", "b"], "k", "[a],[b]"],
    [{ result_format: "%d", expansion_limit: "1" }, ["plain", "a@b"], "k", "b"],
  ])("%j of %j", async ([object, values, key, answer]) => {
    const rules = await readAnswerRules(await readObject({ type: "x", ...object }), openScope().scope);
    expect(rules.format(values, key)).toBe(answer);
  });

  test("one value over the limit is no answer for this key alone", async () => {
    const rules = await readAnswerRules(await readObject({ expansion_limit: 1 }), openScope().scope);
    expect(() => rules.format(["a", "b"], "k")).toThrow(expect.objectContaining({ onlyThisKey: true }));
    expect(() => rules.format(["a", "b"], "k")).toThrow(TableUnavailable);
  });

  const list = join(folder, "list");
  writeFileSync(list, "# no.example\nfile.example,\n other.example\nStraße.example\n");
  test.for<[domain: unknown, asked: readonly string[], kept: readonly string[]]>([
    ["", ["a@b", "plain", "@b"], []],
    [
      "A.example",
      ["x@a.example", "x@y@A.EXAMPLE"],
      ["a.example", "@a.example", "x@", "x@b.a.example", "x@a.example.b"],
    ],
    ["!a.example, static:yes", ["x@b"], ["x@a.example", "plain"]],
    ["a.example !a.example", ["x@a.example"], ["x@b"]],
    ["!!a.example", ["x@a.example"], []],
    [list, ["x@file.example", "x@other.example", "x@strasse.example"], ["x@no.example", "x@#"]],
    [`!${list} inline:{file.example=1,b=0}`, ["x@b"], ["x@file.example", "x@c"]],
    [["a.example", "b.example"], ["x@b.example"], ["x@c"]],
    ["a # b", ["x@a"], ["x@b", "x@#"]],
  ])("domain = %s", async ([domain, asked, kept]) => {
    const rules = await readAnswerRules(await readObject({ domain, x: 1 }), openScope().scope);
    const results = async (keys: readonly string[]) => Promise.all(keys.map(async (key) => rules.asks(key)));
    expect({ asked: await results(asked), kept: await results(kept) }).toEqual({
      asked: asked.map(() => true),
      kept: kept.map(() => false),
    });
  });

  test("a result_format that wants more of the key than it has: the database is not asked", async () => {
    const rules = await readAnswerRules(await readObject({ result_format: "%s %2" }), openScope().scope);
    expect([rules.asks("a@b"), rules.asks("a@b.c")]).toEqual([false, true]);
  });

  test("a table of `domain` that cannot be asked is no answer, unless a name before it decides", async () => {
    const rules = await readAnswerRules(await readObject({ domain: "a, broken:, b" }), openScope().scope);
    expect(rules.asks("x@a")).toBe(true);
    await expect(rules.asks("x@b")).rejects.toThrow(TableUnavailable);
  });

  test.for([{ result_format: "" }, { domain: "a !" }, { domain: "/no/such/file" }, { result_format: "%q" }])(
    "%j is refused",
    async (object) => {
      const parameters = await readObject(object);
      await expect(readAnswerRules(parameters, openScope().scope)).rejects.toThrow(ConfigError);
    },
  );
});
