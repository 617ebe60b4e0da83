// Which parts of a query become parameters. That the server agrees is proved with a real one.
import { ConfigError, parseTemplate } from "@postern/core";
import { describe, expect, test } from "vitest";
import { BoundQuery } from "./query.ts";
import { defaultSqlMode, parseSql, type SqlMode } from "./sql-text.ts";

const ansi: SqlMode = { ansiQuotes: true, plainBackslashes: false };
const plain: SqlMode = { ansiQuotes: false, plainBackslashes: true };
const read = (query: string, mode = defaultSqlMode) => parseSql(parseTemplate(query, "mysql:t"), mode, "mysql:t");

interface Case {
  readonly query: string;
  readonly mode?: SqlMode;
  readonly sql: string;
  /** For the key o'b@Sub.Example. */
  readonly values: readonly string[];
}

const key = "o'b@Sub.Example";
const cases: readonly Case[] = [
  { query: "SELECT g FROM t WHERE a='%s'", sql: "SELECT g FROM t WHERE a=?", values: [key] },
  { query: "a='%u@%d'AND b=\"%S\"", sql: "a=?AND b=?", values: [key, key] },
  { query: "'it''s %u' 'plain'", sql: "?", values: ["it's o'bplain"] },
  { query: "'%u''%d'", sql: "?", values: ["o'b'Sub.Example"] },
  { query: "'a\\'%u\\\\' , '\\n\\t\\Z\\0\\q\\%%\\_%1'", sql: "? , ?", values: ["a'o'b\\", "\n\t\x1a\0q\\%\\_Example"] },
  { query: "'%%%u%%'", sql: "?", values: ["%o'b%"] },
  { query: "x LIKE '%%' AND y='%u'", sql: "x LIKE '%' AND y=?", values: ["o'b"] },
  { query: "'a' /* ' */ '%u' -- '\n 'b' , 'c' 'd'", sql: "? , 'c' 'd'", values: ["ao'bb"] },
  { query: "`it's` '%u' # it's", sql: "`it's` ? # it's", values: ["o'b"] },
  { query: "a--'%u'", sql: "a--?", values: ["o'b"] },
  { query: "a --\n'%u'", sql: "a --\n?", values: ["o'b"] },
  { query: "/*! a='%u' */ /*M! b='%d' */", sql: "/*! a=? */ /*M! b=? */", values: ["o'b", "Sub.Example"] },
  { query: "t.n='%u' AND data'%u' AND x_n '%u'", sql: "t.n=? AND data? AND x_n ?", values: ["o'b", "o'b", "o'b"] },
  { query: "\"name\"='%u'", mode: ansi, sql: '"name"=?', values: ["o'b"] },
  { query: "'%u' \"c\"", mode: ansi, sql: '? "c"', values: ["o'b"] },
  { query: "'\\' , '%u\\'", mode: plain, sql: "'\\' , ?", values: ["o'b\\"] },
  { query: "'😀%u'", sql: "?", values: ["😀o'b"] },
];

const mistakes: readonly { readonly query: string; readonly mode?: SqlMode; readonly why: RegExp }[] = [
  { query: "a=%s", why: /%s stands outside of quotes/ },
  { query: "'a'%u'b'", why: /%u stands outside of quotes/ },
  { query: "`%d`", why: /%d stands in a name/ },
  { query: '"%d"', mode: ansi, why: /%d stands in a name/ },
  { query: "1 -- '%s'", why: /%s stands in a comment/ },
  { query: "1 # '%s'", why: /%s stands in a comment/ },
  { query: "/* '%s' */", why: /%s stands in a comment/ },
  { query: "'a\\%s'", why: /a backslash stands before %s/ },
  { query: "'%s", why: /no end/ },
  { query: "'%s\\'", why: /no end/ },
  { query: "`a", why: /no end/ },
  { query: "_utf8mb4'%s'", why: /CONVERT/ },
  { query: "_latin1 '%s'", why: /CONVERT/ },
  { query: "(x'%1')", why: /CONVERT/ },
  { query: "DATE '%s'", why: /CONVERT/ },
  { query: "a=?", why: /"\?" stands outside/ },
];

describe("SQL of a query template", () => {
  test.for(cases)("$query", ({ query, mode, sql, values }) => {
    expect(read(query, mode).sql).toBe(sql);
    const bound = new BoundQuery(parseTemplate(query, "mysql:t"), mode ?? defaultSqlMode, "mysql:t");
    expect(bound.values(key)).toEqual(values);
  });

  test.for(mistakes)("refused: $query", ({ query, mode, why }) => {
    expect(() => read(query, mode)).toThrow(ConfigError);
    expect(() => read(query, mode)).toThrow(why);
  });

  test("a key that lacks a part asks nothing", () => {
    const bound = new BoundQuery(parseTemplate("a='%u' AND b='%d'", "mysql:t"), defaultSqlMode, "mysql:t");
    expect(bound.values("bare")).toBeUndefined();
    expect(bound.values("@domain")).toBeUndefined();
    expect(bound.values("")).toBeUndefined();
    expect(bound.values("u@d")).toEqual(["u", "d"]);
  });
});
