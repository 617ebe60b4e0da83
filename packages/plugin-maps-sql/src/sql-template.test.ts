// Which parts of a query become bound parameters. That PostgreSQL and SQLite read the rest in the same way is said by test/tables.
import { ConfigError } from "@postern/core";
import { describe, expect, test } from "vitest";
import { parseSqlTemplate } from "./sql-template.ts";

const postgres = { placeholder: (number: number) => `$${number}`, doubleQuotedStrings: false, postgresStrings: true };
const sqlite = { placeholder: (number: number) => `?${number}`, doubleQuotedStrings: true, postgresStrings: false };
const key = "u'x@b.c";

interface Case {
  readonly text: string;
  readonly sql: string;
  readonly values: readonly string[] | undefined;
}

describe("PostgreSQL", () => {
  test.for<Case>([
    { text: "SELECT a FROM t WHERE k = '%s'", sql: "SELECT a FROM t WHERE k = $1", values: [key] },
    { text: "'%u' '%d' %1", sql: "$1 $2 $3", values: ["u'x", "b.c", "c"] },
    { text: "'a ''%u'' b%%' LIKE 'c%%'", sql: "$1 LIKE 'c%'", values: ["a 'u'x' b%"] },
    { text: "E'\\'%u\\\\\\n' e'\\''", sql: "$1 e'\\''", values: ["'u'x\\\n"] },
    { text: "'\\' || '%u'", sql: "'\\' || $1", values: ["u'x"] },
    { text: "$$a'%u$$ $q$b'$q$ a$1", sql: "$1 $q$b'$q$ a$1", values: ["a'u'x"] },
    { text: "1 -- '%u\n2 /* /* '%d */ */ 3", sql: "1  2   3", values: [] },
    { text: '"a ""b" \'%s\'', sql: '"a ""b" $1', values: [key] },
    { text: "'%s' %9", sql: "$1 $2", values: undefined },
    { text: "1 /* %9 */", sql: "1  ", values: undefined },
  ])("$text", ({ text, sql, values }) => {
    const template = parseSqlTemplate(text, postgres, "pgsql:x.cf");
    expect([template.sql, template.values(key)]).toEqual([sql, values]);
  });

  test.for(["'%s", '"%s"', "X'%s'", "U&'%s'", "E'\\x%s'", "E'\\%s'", "$$%s", '"a', "%y", "`%s`"])(
    "%s is refused",
    (text) => {
      expect(() => parseSqlTemplate(text, postgres, "pgsql:x.cf")).toThrow(ConfigError);
    },
  );
});

describe("SQLite", () => {
  test.for<Case>([
    { text: '\'%s\' "%u" "a"', sql: '?1 ?2 "a"', values: [key, "u'x"] },
    { text: "'\\%s' $$%u$$", sql: "?1 $$?2$$", values: [`\\${key}`, "u'x"] },
    { text: "/* /* */ '%s'", sql: "  ?1", values: [key] },
  ])("$text", ({ text, sql, values }) => {
    const template = parseSqlTemplate(text, sqlite, "sqlite:x.cf");
    expect([template.sql, template.values(key)]).toEqual([sql, values]);
  });
});
