// sqlite: answers as the real postmap does over the same file with the same .cf files; and a file that is replaced, locked, damaged,
// gone.
import { execFileSync } from "node:child_process";
import { copyFileSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ConfigError } from "@postern/core";
import { randomFrom, sample, seed } from "../sampling.ts";
import { describeWith, temporaryFolder } from "../services/index.ts";
import { undisturbed } from "../undisturbed.ts";
import { ask, makeKeys, openSqlTables, Postmap, unavailable, unavailableForThisKey, writeCf } from "./sql-tables.ts";

const random = randomFrom(seed);
const folder = temporaryFolder();
const dbpath = join(folder.path, "mail.db");
const keys = makeKeys(sample(700, 10_000), random);

function fill(path: string): void {
  using database = new DatabaseSync(path);
  database.exec("CREATE TABLE aliases (address TEXT, goto, domain TEXT); CREATE INDEX by_address ON aliases (address)");
  const insert = database.prepare("INSERT INTO aliases VALUES (?, ?, ?)");
  database.exec("BEGIN");
  keys.forEach((key, index) => {
    // Two thirds of the keys are there, some more than once, with values of every type that SQLite has.
    for (let count = index % 3; count > 0; count--) {
      const folded = key.toLowerCase();
      insert.run(folded, makeValue(index + count, key), folded.slice(folded.lastIndexOf("@") + 1));
    }
  });
  database.exec("COMMIT");
}

function makeValue(index: number, key: string): string | number | bigint | null | Uint8Array {
  const numbers = [
    1,
    1e14,
    123456789012345,
    0.1,
    1e15,
    123456789012345680000,
    1e-5,
    0.0001,
    -2.5,
    1 / 3,
    100.25,
    2 ** 53,
  ];
  switch (index % 12) {
    case 0:
      return null;
    case 1:
      return "";
    case 2:
      return BigInt(index) * 123456789012n;
    case 3:
      return numbers[((index / 12) % numbers.length) | 0] ?? 0;
    case 4:
      return Buffer.from(`blob${index}`);
    case 5:
      return "@nolocal.test";
    case 6:
      return "nodomain@";
    case 7:
      return `plain${index}`;
    default:
      return `${key.replaceAll("@", "-at-").replaceAll("%", "")}@drop${index % 5}.test`;
  }
}

beforeAll(() => fill(dbpath));
afterAll(() => folder[Symbol.dispose]());

const queries = [
  "SELECT goto FROM aliases WHERE address = '%s'",
  "SELECT goto FROM aliases WHERE address = '%S' ORDER BY rowid DESC",
  "SELECT goto, address FROM aliases WHERE address = '%u@%d'",
  "SELECT '%s|%u'",
  "SELECT '%u'||'%d'||'it''s %% %D'",
  "SELECT '%1', 1",
  "SELECT '%3-%2-%1 %U'",
  "SELECT 'fixed'",
  "SELECT goto FROM aliases WHERE domain = '%d' AND address LIKE '%u%%' LIMIT 3",
  "SELECT '%u' -- only of %d",
  "SELECT '%s' /* '%2' */ ; ignored",
  "SELECT count(*) FROM aliases WHERE address = '%s'",
  'SELECT goto AS "a name" FROM "aliases" WHERE [address] = \'%s\'',
];
const formats = ["%s", "%s", "%u", "%d", "smtp:[%s]:%S", "%U at %D", "%s %1", "%%%u%%@%d"];

describeWith(["postmap"], "sqlite, as the real postmap", () => {
  const postmap = new Postmap(folder.path);
  const cases = queries.flatMap((query, at) =>
    [0, 1].map((turn) => ({ query, format: formats[(at * 2 + turn * 3) % formats.length] ?? "%s", at, turn })),
  );

  test.for(cases)("$query, $format", async ({ query, format, at, turn }) => {
    const domain = turn === 1 && at % 2 === 0 ? { domain: "A.test, !b.example.test, single\n  o'brien.test" } : {};
    const path = writeCf(folder.path, `t${at}-${turn}.cf`, { dbpath, query, result_format: format, ...domain });
    await using tables = openSqlTables(folder.path);
    const table = await tables.open("sqlite", {}, path);
    const ours = new Map<string, string>();
    for (const key of keys) {
      const answer = await ask(table, key);
      if (answer !== undefined) ours.set(key, answer);
    }
    expect(tables.warnings).toEqual([]);
    expect(Object.fromEntries(ours)).toEqual(Object.fromEntries(postmap.askAll(`sqlite:${path}`, keys)));
  });

  test.for([
    "inline:{a.test=no} B.EXAMPLE.test",
    "!FILE, texthash:TABLE, static:rest",
    "FILE !texthash:TABLE !!single",
    "! a.test",
    "{ b.example.test }, single, {x+y.test}",
  ])("domain = %s", async (written) => {
    const file = join(folder.path, "domains");
    const table = join(folder.path, "texthash");
    writeFileSync(file, "# a.test\na.test, !o'brien.test\nx+y.test\n # c.d.e.test\n");
    writeFileSync(table, "b.example.test yes\nD\\E.test yes\n");
    for (const path of [file, table]) utimesSync(path, 1e9, 1e9);
    const domain = written.replace("FILE", file).replace("TABLE", table);
    const path = writeCf(folder.path, "domain.cf", { dbpath, query: "SELECT '%s'", domain });
    await using tables = openSqlTables(folder.path);
    const opening = tables.open("sqlite", {}, path);
    if (written.startsWith("! ")) {
      await expect(opening).rejects.toThrow(ConfigError);
      expect(postmap.ask(`sqlite:${path}`, "k")).toBe(unavailable);
      return;
    }
    const opened = await opening;
    const answers = await Promise.all(keys.map((key) => ask(opened, key)));
    const ours = keys.flatMap((key, index) => (answers[index] === undefined ? [] : [[key, answers[index]]]));
    expect(ours.length).toBeGreaterThan(0);
    expect(Object.fromEntries(ours)).toEqual(Object.fromEntries(postmap.askAll(`sqlite:${path}`, keys)));
  });

  test("random .cf files are read in the same way, or refused by both", async () => {
    const pieces = ["query", "query = SELECT ", "=", " = ", " ", "\t", "\n", "\n", "\n ", "\n#", "#", "\r\n", "\v", "'a'", "'b'", ", ", "x", "result_format = %s", "%", "%%", "$x", "expansion_limit = 0", "{"]; // prettier-ignore
    let refused = 0;
    await using tables = openSqlTables(folder.path);
    for (let round = 0; round < sample(300, 3000); round++) {
      const tail = Array.from({ length: Math.floor(random() * 9) }, () => pieces[Math.floor(random() * pieces.length)]);
      const text = `dbpath = ${dbpath}\nquery = SELECT 'base'\n${tail.join("")}`;
      const path = join(folder.path, "random.cf");
      writeFileSync(path, text);
      utimesSync(path, 1e9, 1e9);
      const ours = await tables.open("sqlite", {}, path).then(
        (table) => ask(table, "k@a.test"),
        (error: unknown) => {
          if (error instanceof ConfigError) return unavailable;
          throw error;
        },
      );
      // Where postmap fails it waits for a second.
      if (ours === unavailable && ++refused > 4) continue;
      expect({ text, answer: ours }).toEqual({ text, answer: postmap.ask(`sqlite:${path}`, "k@a.test") });
    }
    expect(refused).toBeGreaterThan(4);
  });

  test("older parameters, and a limit", async () => {
    const older = { dbpath, select_field: "goto", table: "aliases", where_field: "address" };
    const extra = { additional_conditions: "and domain = '%d'", expansion_limit: 1 };
    const path = writeCf(folder.path, "older.cf", { ...older, ...extra });
    await using tables = openSqlTables(folder.path);
    const table = await tables.open("sqlite", {}, path);
    const asked = keys.slice(0, 30);
    const ours = await Promise.all(asked.map((key) => ask(table, key)));
    const theirs = asked.map((key) => postmap.ask(`sqlite:${path}`, key));
    expect(ours.map((answer) => (answer === unavailableForThisKey ? unavailable : answer))).toEqual(theirs);
    expect(ours.filter((answer) => answer === unavailableForThisKey).length).toBeGreaterThan(0);
  });
});

describe("sqlite", () => {
  test("plain Node loads the plugin: its import of knex is no matter of a test runner's kindness", () => {
    const script = 'import("@postern/plugin-maps-sql").then(({ default: plugin }) => console.log(plugin.name))';
    const args = ["--conditions=@postern/source", "--input-type=module", "-e", script];
    expect(execFileSync(process.execPath, args, { encoding: "utf8", cwd: import.meta.dirname })).toBe("maps-sql\n");
  });

  test("a key is data, whatever stands round it", async () => {
    await using tables = openSqlTables(folder.path);
    const bare = await tables.open("sqlite", { dbpath, query: "SELECT 'x' WHERE %s = 'a'" });
    const doubled = await tables.open("sqlite", { dbpath, query: 'SELECT "%s"' });
    for (const key of ["a", "1 or 1=1", "'a'", 'x" union select "y', "goto"]) {
      expect([await ask(bare, key), await ask(doubled, key)]).toEqual([key === "a" ? "x" : undefined, key]);
    }
  });

  test.for([
    { query: "SELECT goto FROM nowhere WHERE a = '%s'", why: /no such table: nowhere/ },
    { query: "SELEKT '%s'", why: /syntax error/ },
    { query: "SELECT `%s`", why: /%s stands in a name/ },
    { query: "SELECT 'x", why: /has no end/ },
    { query: "SELECT x'%s'", why: /cannot stand behind X/ },
    { query: "SELECT 1", dbpath: "gone.db", why: /unable to open database file/ },
    { query: "SELECT * FROM sqlite_master", dbpath: "main.cf.db", why: /not a database/ },
  ])("$query is refused at the start", async ({ why, ...parameters }) => {
    writeFileSync(join(folder.path, "main.cf.db"), "this is text ".repeat(100));
    await using tables = openSqlTables(folder.path);
    const opening = tables.open("sqlite", { dbpath, ...parameters });
    await expect(opening).rejects.toThrow(ConfigError);
    await expect(opening).rejects.toThrow(why);
  });

  function oneRow(path: string, value: string): void {
    using database = new DatabaseSync(path);
    database.exec(`CREATE TABLE t (k, v); INSERT INTO t VALUES ('k', '${value}')`);
  }

  test("another file under the same name is seen; a missing or damaged one is no answer; then it is there again", async () => {
    const path = join(folder.path, "turn.db");
    oneRow(path, "first");
    await using tables = openSqlTables(folder.path);
    const table = await tables.open("sqlite", { dbpath: path, query: "SELECT v FROM t WHERE k = '%s'" });
    expect(await ask(table, "k")).toBe("first");
    oneRow(`${path}.new`, "second");
    renameSync(`${path}.new`, path);
    await expect.poll(() => ask(table, "k"), { interval: 20 }).toBe("second");
    rmSync(path);
    await expect.poll(() => ask(table, "k"), { interval: 20 }).toBe(unavailable);
    writeFileSync(`${path}.new`, "no database at all ".repeat(500));
    renameSync(`${path}.new`, path);
    expect(await ask(table, "k")).toBe(unavailable);
    oneRow(`${path}.new`, "third");
    renameSync(`${path}.new`, path);
    await expect.poll(() => ask(table, "k"), { interval: 20 }).toBe("third");
  });

  test("a change in the file is seen at once", async () => {
    const path = join(folder.path, "change.db");
    oneRow(path, "before");
    await using tables = openSqlTables(folder.path);
    const table = await tables.open("sqlite", { dbpath: path, query: "SELECT v FROM t WHERE k = '%s'" });
    expect(await ask(table, "k")).toBe("before");
    using writer = new DatabaseSync(path);
    writer.exec("UPDATE t SET v = 'after'; ALTER TABLE t ADD COLUMN more");
    expect(await ask(table, "k")).toBe("after");
  });

  test("a locked file: no answer, not for long, and the process goes on; then the answer", async () => {
    const path = join(folder.path, "locked.db");
    oneRow(path, "value");
    await using tables = openSqlTables(folder.path);
    const query = "SELECT v FROM t WHERE k = '%s'";
    const patient = await tables.open("sqlite", { dbpath: path, query, timeout: "60s" });
    const hasty = await tables.open("sqlite", { dbpath: path, query, timeout: "1s" });
    using writer = new DatabaseSync(path);
    writer.exec("BEGIN EXCLUSIVE");
    const waiting = ask(patient, "k");
    expect(await ask(hasty, "k")).toBe(unavailable);
    writer.exec("COMMIT");
    expect(await waiting).toBe("value");
    await undisturbed(async () => expect(await ask(hasty, "k")).toBe("value"));
  });

  test("opened while locked, asked when closed", async () => {
    const path = join(folder.path, "opened.db");
    oneRow(path, "value");
    await using tables = openSqlTables(folder.path);
    using writer = new DatabaseSync(path);
    writer.exec("BEGIN EXCLUSIVE");
    const table = await tables.open("sqlite", {
      dbpath: path,
      query: "SELECT v FROM t WHERE k = '%s'",
      timeout: "1s",
    });
    expect(await ask(table, "k")).toBe(unavailable);
    writer.exec("ROLLBACK");
    await undisturbed(async () => expect(await ask(table, "k")).toBe("value"));
    await table.close();
    expect(await ask(table, "k")).toBe(unavailable);
  });

  test("a query that takes too long: no answer, for nobody's loss but its table's; then the answer", async () => {
    const path = join(folder.path, "slow.db");
    oneRow(path, "value");
    await using tables = openSqlTables(folder.path);
    // Some seconds in one step of SQLite, which nothing can interrupt.
    const count = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 20000000) SELECT count(*) FROM c WHERE '%s' = 'slow'"; // prettier-ignore
    const parameters = { dbpath: path, timeout: "300ms" };
    const slow = await tables.open("sqlite", {
      ...parameters,
      query: `${count} UNION ALL SELECT v FROM t WHERE k = '%s'`,
    });
    // Blocked, the process would not come to this before the answer.
    let beats = 0;
    const pulse = setInterval(() => (beats += 1), 5);
    expect(await ask(slow, "slow")).toBe(unavailable);
    expect(beats).toBeGreaterThan(2);
    clearInterval(pulse);
    expect(await ask(slow, "k")).toBe(unavailable);
    await expect.poll(() => ask(slow, "k")).toBe("0,value");
  });

  test("an answer without end is ended, for its key alone", async () => {
    await using tables = openSqlTables(folder.path);
    const rows = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE '%s' = 'all') SELECT '%s' || x FROM c"; // prettier-ignore
    const table = await tables.open("sqlite", { dbpath, timeout: "60s", query: rows });
    expect(await Promise.all(["all", "k"].map((key) => ask(table, key)))).toEqual([unavailableForThisKey, "k1"]);
  });

  test("a key that the query fails for says nothing about the table", async () => {
    await using tables = openSqlTables(folder.path);
    const table = await tables.open("sqlite", { dbpath, query: "SELECT json_extract('%s', '$')" });
    expect([await ask(table, "no json"), await ask(table, "7")]).toEqual([unavailableForThisKey, "7"]);
  });

  test("closed while it is asked: nobody waits any longer", async () => {
    await using tables = openSqlTables(folder.path);
    const query = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 3000000) SELECT count(*) FROM c WHERE '%s' > ''"; // prettier-ignore
    const table = await tables.open("sqlite", { dbpath, query, timeout: "1h" });
    const answers = ["a", "b"].map((key) => ask(table, key));
    await table.close();
    expect(await Promise.all(answers)).toEqual([unavailable, unavailable]);
  });

  test("the query cannot write", async () => {
    const path = join(folder.path, "readonly.db");
    copyFileSync(dbpath, path);
    await using tables = openSqlTables(folder.path);
    const table = await tables.open("sqlite", { dbpath: path, query: "DELETE FROM aliases WHERE address <> '%s'" });
    expect(await ask(table, "k")).toBe(unavailable);
  });
});
