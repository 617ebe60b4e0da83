// mysql tables against the real postmap: the same .cf files, the same server, the same answers, whatever the keys are.
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { lookup } from "node:dns/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ConfigError } from "@postern/core";
import { randomFrom, sample, seed } from "../sampling.ts";
import { describeWith, makeCertificate, startMariadb, temporaryFolder } from "../services/index.ts";
import type { Mariadb } from "../services/index.ts";
import { until } from "../e2e/until.ts";
import { ask, mysqlTables, Postmap, unavailable, whyUnavailable, writeCf } from "./mysql-tables.ts";
import type { MysqlTables, Parameters } from "./mysql-tables.ts";

const names = [
  "alice",
  "bob",
  "o'brien",
  'say"hi"',
  "back\\slash",
  "per%cent",
  "under_score",
  "jürgen",
  "日本",
  "a;b",
  "--c",
];
const domains = ["example.test", "sub.example.test", "other.test", "münchen.test", "deep.sub.other.test"];

/** What a stranger might write; none of it may mean anything to the server. */
const hostile = [
  "' OR '1'='1",
  "x' UNION SELECT user FROM mysql.user -- ",
  '" OR ""="',
  "\\' OR 1=1 -- ",
  "\\",
  "a\\",
  "'; DROP TABLE alias; -- ",
  "%",
  "_lice@example.test",
  "alice@example.tes%",
  "/* ' */",
  "`alias`",
  "\u00bf' OR 1=1 -- ",
  "a\tb",
  "😀@example.test",
  "?",
  "$1 %s %d",
  "@",
  "@@",
  "a@b@c",
  "alice@",
  ".@example.test",
  `${"x".repeat(60)}@example.test`,
  `${"y".repeat(20_000)}@example.test`,
];

const sqlText = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;

/** A folder of mail, with a row for each kind of column. */
function schema(): string {
  const next = randomFrom(4711);
  const rows: string[] = [];
  for (const name of names) {
    for (const domain of domains) {
      const count = Math.floor(next() * 4);
      for (let at = 0; at < count; at++)
        rows.push(`(${sqlText(`${name}@${domain}`)}, ${sqlText(`${name}.${at}@to.test`)})`);
    }
    rows.push(`(${sqlText(name)}, ${sqlText(`${name}@bare.test`)})`);
  }
  return `
    CREATE DATABASE mail CHARACTER SET utf8mb4; USE mail;
    CREATE TABLE alias (address VARCHAR(254), goto VARCHAR(254), INDEX (address));
    INSERT INTO alias VALUES ${rows.join(",")};
    INSERT INTO alias VALUES ('empty@example.test', ''), ('null@example.test', NULL), ('mixed@example.test', ''),
      ('mixed@example.test', 'some@to.test'), ('mixed@example.test', NULL), ('bare@example.test', 'nodomain'),
      ('long@example.test', REPEAT('z', 250)), ('Case@Example.TEST', 'folded'), ('b@example.test', 'x@y@z'), ('c@example.test', '@only.test');
    CREATE TABLE pairs (address VARCHAR(254), first VARCHAR(50), second VARCHAR(50));
    INSERT INTO pairs VALUES ('alice@example.test', 'one', 'two'), ('alice@example.test', NULL, 'four'), ('bob@example.test', '', 'six');
    CREATE TABLE domains (name VARCHAR(254) PRIMARY KEY); INSERT INTO domains VALUES ('example.test'), ('münchen.test'), ('test');
    CREATE TABLE latin (address VARCHAR(254) CHARACTER SET latin1, goto VARCHAR(50) CHARACTER SET latin1);
    INSERT INTO latin VALUES ('jürgen', 'jürgen@to.test'), ('alice', 'latin alice');
    CREATE TABLE strict_case (address VARCHAR(254) COLLATE utf8mb4_bin, goto VARCHAR(50)); INSERT INTO strict_case VALUES ('alice', 'low'), ('Bob', 'high'), ('jurgen', 'no umlaut');
    CREATE TABLE kinds (id INT, tiny TINYINT, zero INT(6) ZEROFILL, big BIGINT, ubig BIGINT UNSIGNED, small FLOAT, wide DOUBLE, scaled DOUBLE(10,3), deci DECIMAL(20,5),
      day DATE, at DATETIME(6), at0 DATETIME, stamp TIMESTAMP(3) NULL, clock TIME(3), clock0 TIME, year YEAR, bits BLOB, fixed BINARY(4), chars CHAR(10), word ENUM('red','green'), many SET('a','b'), doc JSON, yes BOOLEAN);
    INSERT INTO kinds VALUES
      (1, -128, 42, -9223372036854775808, 18446744073709551615, 1.1, 0.1, 12.5, 3.14, '2026-01-02', '2026-01-02 03:04:05.000600', '2026-01-02 03:04:05', '2026-01-02 03:04:05.700', '-12:34:56.500', '12:34:56', 2026, 'bytes', 'abcd', 'pad', 'green', 'a,b', '{"a":1}', TRUE),
      (2, 0, 0, 0, 0, 1e20, 1e15, 0, 0, '0001-01-01', '2026-01-02 00:00:00', '2026-01-02 00:00:00', NULL, '0:0:0', '838:59:59', 1901, '', '', '', 'red', '', 'null', FALSE),
      (3, 127, 999999, 1, 1, -0.000001, 123456789012345, -1.0005, -99999, '9999-12-31', '9999-12-31 23:59:59.999999', '2000-02-29 12:00:00', '2000-01-01 00:00:00.001', '100:00:00.001', '-00:00:01', 2155, 'ü', 'ab', ' x ', NULL, 'b', '[]', 7),
      (4, 1, 1, 12, 12, 3.4e38, 1.7976931348623157e308, 1, 1, '2026-12-31', '2026-12-31', '2026-12-31', NULL, '1:1:1', '1:1:1', 2000, 'x', 'x', 'x', 'red', 'a', '1', 1),
      (5, 1, 1, 12, 12, 16777216, 1e-15, 1, 1, '2026-12-31', '2026-12-31', '2026-12-31', NULL, '1:1:1', '1:1:1', 2000, 'x', 'x', 'x', 'red', 'a', '1', 1),
      (6, 1, 1, 12, 12, 0.333333333, 1e-16, 1, 1, '2026-12-31', '2026-12-31', '2026-12-31', NULL, '1:1:1', '1:1:1', 2000, 'x', 'x', 'x', 'red', 'a', '1', 1),
      (7, 1, 1, 12, 12, 123456.789, 0.30000000000000004, 1, 1, '2026-12-31', '2026-12-31', '2026-12-31', NULL, '1:1:1', '1:1:1', 2000, 'x', 'x', 'x', 'red', 'a', '1', 1);
    CREATE TABLE spoilt (address VARCHAR(50), value BLOB); INSERT INTO spoilt VALUES ('alice', X'ff'), ('bob', 'fine');
    CREATE PROCEDURE find_alias(IN wanted VARCHAR(254)) READS SQL DATA SELECT goto FROM alias WHERE address = wanted;
    CREATE PROCEDURE nothing(IN wanted VARCHAR(254)) SET @seen = wanted;
    CREATE PROCEDURE two_tables(IN wanted VARCHAR(254), IN place VARCHAR(254)) READS SQL DATA SELECT goto FROM alias WHERE address = CONCAT(wanted, '@', place);
    DELIMITER //
    CREATE PROCEDURE twice(IN wanted VARCHAR(254)) BEGIN SELECT 1; SELECT 2; END //
    CREATE PROCEDURE fails(IN wanted VARCHAR(254)) BEGIN SELECT goto FROM alias WHERE address = wanted; SIGNAL SQLSTATE '45000'; END //
    CREATE PROCEDURE perhaps(IN wanted VARCHAR(254)) BEGIN IF wanted LIKE 'a%' THEN SELECT wanted; END IF; END //
    DELIMITER ;
    CREATE USER mail@'%' IDENTIFIED BY 'se''cret "\\\\'; GRANT ALL ON mail.* TO mail@'%'; GRANT SELECT ON mysql.proc TO mail@'%';`;
}

describeWith(["mariadbd", "mariadb-install-db", "postmap"], "mysql tables, as the real postmap", () => {
  const folder = temporaryFolder();
  let server: Mariadb;
  let tables: MysqlTables;
  let postmap: Postmap;
  let certificate: ReturnType<typeof makeCertificate>;
  let login: Parameters;

  beforeAll(async () => {
    certificate = makeCertificate(folder.path, ["localhost", hostname()]);
    chmodSync(certificate.key, 0o644);
    const args = [`--ssl-cert=${certificate.cert}`, `--ssl-key=${certificate.key}`];
    server = await startMariadb({ folder: folder.path, sql: schema(), args });
    tables = mysqlTables(folder.path);
    postmap = new Postmap(folder.path);
    login = {
      hosts: `127.0.0.1:${server.port}`,
      user: "mail",
      password: `se'cret "\\`,
      dbname: "mail",
      connect_timeout: "60s",
      query_timeout: "60s",
    };
    writeFileSync(join(folder.path, "domains"), "example.test\n.other.test\n");
  });
  afterAll(async () => {
    await tables?.[Symbol.asyncDispose]();
    await server?.stop();
    folder[Symbol.dispose]();
  });

  const next = randomFrom(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)] as T;

  /** Real addresses, near misses and a stranger's tricks, in any place of an address. */
  function randomKeys(count: number): string[] {
    const parts = [...names, ...hostile, "mixed", "empty", "null", "bare", "long", "case", "b", "c", ""];
    return Array.from({ length: count }, () => {
      const shape = next();
      if (shape < 0.5) return `${pick(names)}@${pick(domains)}`;
      if (shape < 0.65) return `${pick(parts)}@${pick(domains)}`;
      if (shape < 0.75) return `${pick(names)}@${pick([...domains, ...hostile.filter((text) => text.length < 100)])}`;
      if (shape < 0.85) return pick(parts);
      if (shape < 0.9) return `@${pick(domains)}`;
      return `${pick(names)}${pick(hostile)}@${pick(domains)}`;
    }).filter((key) => key !== "" && key.length < 2000);
  }

  const plain = "SELECT goto FROM alias WHERE address = '%s'";
  const shapes: Readonly<Record<string, Parameters>> = {
    "whole key": { query: plain },
    "double quotes": { query: 'SELECT goto FROM alias WHERE address = "%s"' },
    "user and domain": { query: "SELECT goto FROM alias WHERE address = '%u@%d'" },
    "user alone": { query: "SELECT goto FROM alias WHERE address = '%u'" },
    "upper-case fields": { query: "SELECT goto FROM alias WHERE address = '%U@%D' OR address = '%S' LIMIT 3" },
    "labels of the domain": { query: "SELECT name FROM domains WHERE name = '%2.%1'" },
    "third label": { query: "SELECT '%3', '%2'" },
    domain: { query: "SELECT name FROM domains WHERE name = '%d'" },
    "literals beside": { query: "SELECT 'it''s \\'%s\\' \\\\ \\t \\%% \\_ 100%%', \"q\"\"%u\"" },
    "strings that are one": { query: "SELECT 'a' /* ' */ '%s' -- ' \n 'b'" },
    "names and comments": { query: "SELECT `goto` # it's\n  FROM `alias` /* it's */ WHERE address = '%s' -- it's" },
    LIKE: { query: "SELECT goto FROM alias WHERE address LIKE '%%%u%%' ORDER BY goto" },
    "LIKE with an escape": { query: "SELECT goto FROM alias WHERE address LIKE '\\%%\\_%u%%' ORDER BY goto" },
    functions: { query: "SELECT CONCAT(UPPER('%u'), '|', LENGTH('%s'), '|', HEX('%d'))" },
    "no field": { query: "SELECT 'constant'" },
    "collation of literals": { query: "SELECT IF('%u' = 'JURGEN', 'same', 'other'), COLLATION('%s'), CHARSET('%s')" },
    number: { query: "SELECT tiny FROM kinds WHERE id = '%u'" },
    "latin1 column": { query: "SELECT goto FROM latin WHERE address = '%u'" },
    "binary collation": { query: "SELECT goto FROM strict_case WHERE address = '%u'" },
    "two columns": { query: "SELECT first, second FROM pairs WHERE address = '%s'" },
    result_format: { query: plain, result_format: "smtp:[%s]:25 %%" },
    "parts of the result": { query: plain, result_format: "%u at %d" },
    "parts of the key": { query: plain, result_format: "%S|%U|%D|%1|%2|%s" },
    "third label of the key": { query: plain, result_format: "%3" },
    "at most one": { query: plain, expansion_limit: "1" },
    "at most two values": { query: "SELECT first, second FROM pairs WHERE address = '%s'", expansion_limit: "2" },
    "domain list": { query: plain, domain: "example.test, .other.test" },
    "domain list in a file": { query: plain, domain: "DOMAINS" },
    legacy: {
      select_field: "goto",
      table: "alias",
      where_field: "address",
      additional_conditions: "AND goto LIKE '%%.0@%%'",
    },
    "legacy without conditions": { select_field: "goto", table: "alias", where_field: "address" },
    procedure: { query: "CALL find_alias('%s')" },
    "procedure with two arguments": { query: "CALL two_tables('%u', '%d')" },
    "procedure without rows": { query: "CALL nothing('%s')", require_result_set: "no" },
    "procedure with a result now and then": { query: "CALL perhaps('%s')", require_result_set: "no" },
    "no result set": { query: "SET @seen = '%s'", require_result_set: "no" },
  };

  function written(name: string, parameters: Parameters): string {
    const path = writeCf(folder.path, `${name.replaceAll(" ", "-")}.cf`, {
      ...login,
      ...parameters,
      ...(parameters.domain === "DOMAINS" ? { domain: join(folder.path, "domains") } : {}),
      // Continuation lines for those that have one.
      query: (parameters.query ?? "").replaceAll("\n", "\n "),
    });
    return path;
  }

  /** The .cf reader joins lines, where `-- ` and `#` would swallow the rest: those queries go through the object alone. */
  const ofManyLines = (parameters: Parameters) => parameters.query?.includes("\n") === true;

  test.for(Object.entries(shapes).filter(([, parameters]) => !ofManyLines(parameters)))(
    "%s",
    async ([name, parameters]) => {
      const path = written(name, parameters);
      const table = await tables.open(`mysql:${path}`);
      // Postmap is slow where it calls procedures, and where it fails: then it is asked key by key, a process each.
      const slow = parameters.expansion_limit === "1" || name === "latin1 column" || name.startsWith("procedure");
      const keys = [...new Set(slow ? randomKeys(sample(40, 200)) : [...hostile, ...randomKeys(sample(150, 3000))])];
      const ours = await Promise.all(keys.map((key) => ask(table, key)));
      const theirs = await postmap.ask(path, keys);
      expect(Object.fromEntries(keys.map((key, at) => [key, ours[at]]))).toEqual(
        Object.fromEntries(keys.map((key, at) => [key, theirs[at]])),
      );
      expect(tables.warnings).toEqual([]);
    },
  );

  test("thousands of addresses, most of which have an answer", async () => {
    const path = written("many", { query: plain });
    const table = await tables.open(`mysql:${path}`);
    const keys = randomKeys(sample(3000, 30_000));
    const ours = await Promise.all(keys.map((key) => ask(table, key)));
    expect(ours).toEqual(await postmap.ask(path, keys));
    expect(ours.filter((answer) => answer !== undefined).length).toBeGreaterThan(keys.length / 4);
    expect(server.query("SELECT COUNT(*) FROM alias", "mail")).not.toBe("0\n");
  });

  const columns =
    "tiny zero big ubig small wide scaled deci day at at0 stamp clock clock0 year bits chars word many doc yes";
  test.for(columns.split(" "))("a column of kind %s reads as text", async (column) => {
    const path = written(`kind ${column}`, { query: `SELECT ${column} FROM kinds WHERE id = '%s'` });
    const table = await tables.open(`mysql:${path}`);
    const keys = ["1", "2", "3", "4", "5", "6", "7"];
    expect(await Promise.all(keys.map((key) => ask(table, key)))).toEqual(await postmap.ask(path, keys));
  });

  const refusals: Readonly<Record<string, Parameters>> = {
    "wrong SQL": { query: "SELEKT '%s'" },
    "no such table": { query: "SELECT a FROM nowhere WHERE a = '%s'" },
    "several result sets": { query: "CALL twice('%s')" },
    "a procedure that fails after its rows": { query: "CALL fails('%s')" },
    "no result set": { query: "SET @seen = '%s'" },
    "a procedure without rows": { query: "CALL nothing('%s')" },
    "a space that is not ignored": { query: "SELECT COUNT (goto) FROM alias WHERE address = '%s'" },
    "wrong password": { query: plain, password: "wrong" },
    "no such database": { query: plain, dbname: "nowhere" },
  };
  test("unavailable, as for postmap: wrong SQL, results that are no answer, servers that refuse", async () => {
    const told = await Promise.all(
      Object.entries(refusals).map(async ([name, parameters]) => {
        const path = written(`refused ${name}`, parameters);
        const table = await tables.open(`mysql:${path}`);
        return [name, await ask(table, "alice@example.test"), ...(await postmap.ask(path, ["alice@example.test"]))];
      }),
    );
    expect(told).toEqual(Object.keys(refusals).map((name) => [name, unavailable, unavailable]));
  });

  test("a refusal is this lookup's alone, and names neither SQL nor password", async () => {
    const table = await tables.open(`mysql:${written("told", { query: "SELECT 'hush' FROM nowhere WHERE a = '%s'" })}`);
    const error = await whyUnavailable(table, "alice@example.test");
    expect(error.onlyThisKey).toBe(true);
    expect(error.message).not.toMatch(/hush|secret|alice/);
    expect(JSON.stringify(error)).not.toMatch(/hush|secret/);
    const login = await tables.open(`mysql:${written("login", { query: plain, password: "swordfish" })}`);
    const denied = await whyUnavailable(login, "alice@example.test");
    expect(denied.onlyThisKey).toBe(false);
    expect(`${denied.message}${String(denied.cause)}`).toMatch(/Access denied/);
    expect(`${denied.message}${String(denied.cause)}`).not.toMatch(/swordfish/);
  });

  test("a value that is no UTF-8 is unavailable, the next one is answered", async () => {
    const table = await tables.open(
      `mysql:${written("spoilt", { query: "SELECT value FROM spoilt WHERE address = '%s'" })}`,
    );
    expect(await ask(table, "alice")).toBe(unavailable);
    expect(await ask(table, "bob")).toBe("fine");
  });

  test("keys that postmap cannot be given: with line ends, NUL", async () => {
    const echo = await tables.open({ type: "mysql", ...login, query: "SELECT CONCAT('<', '%s', '>')" });
    for (const key of ["a\nb", "a\r\nb' OR 1=1", "a\0b", "\0", "'\0' OR 1=1 -- "]) {
      expect(await ask(echo, key)).toBe(`<${key.toLowerCase()}>`);
    }
  });

  test("the same keys inline, arrays and secrets among them", async () => {
    writeFileSync(join(folder.path, "password"), `${login.password}\n`);
    const inline = await tables.open({
      type: "mysql",
      hosts: [`inet:127.0.0.1:${server.port}`, `unix:${server.socket}`],
      user: "mail",
      password: { file: "password" },
      dbname: "mail",
      query: plain,
      domain: ["example.test"],
      expansion_limit: 5,
    });
    expect(await ask(inline, "bare@example.test")).toBe("nodomain");
    expect(await ask(inline, "alice@other.test")).toBeUndefined();
  });

  test("strings and comments over several lines", async () => {
    for (const [name, parameters] of Object.entries(shapes).filter(([, one]) => ofManyLines(one))) {
      const table = await tables.open({ type: "mysql", ...login, ...parameters });
      const expected =
        name === "strings that are one"
          ? "aalice@example.testb"
          : server
              .query("SELECT GROUP_CONCAT(goto) FROM alias WHERE address = 'alice@example.test'", "mail")
              .trim()
              .replace("NULL", "");
      expect((await ask(table, "alice@example.test")) ?? "").toBe(expected);
    }
  });

  test("a server with ANSI_QUOTES and NO_BACKSLASH_ESCAPES reads strings in its own way", async () => {
    const before = server.query("SELECT @@global.sql_mode").trim();
    server.query(`SET GLOBAL sql_mode = '${before},ANSI_QUOTES,NO_BACKSLASH_ESCAPES'`);
    try {
      await using fresh = mysqlTables(folder.path);
      const named = await fresh.open({
        type: "mysql",
        ...login,
        query: `SELECT "goto" FROM "alias" WHERE address = '%s'`,
      });
      expect(await ask(named, "bare@example.test")).toBe("nodomain");
      expect(await ask(named, "back\\slash")).toBe("back\\slash@bare.test");
      expect(await ask(named, "o'brien")).toBe("o'brien@bare.test");
      const escaped = await fresh.open({ type: "mysql", ...login, query: "SELECT '\\n%s'" });
      expect(await ask(escaped, "x' OR 1=1")).toBe("\\nx' or 1=1");
      // Here "…" is a name, and a name cannot be bound.
      const quoted = await fresh.open({
        type: "mysql",
        ...login,
        query: 'SELECT goto FROM alias WHERE address = "%s"',
      });
      expect((await whyUnavailable(quoted, "address")).onlyThisKey).toBe(true);
    } finally {
      server.query(`SET GLOBAL sql_mode = '${before}'`);
    }
  });

  test("tables with the same login share their connections, which are few and close when idle", async () => {
    await using fresh = mysqlTables(folder.path);
    const shared = { type: "mysql", ...login, connections: 4, idle_interval: "200ms" };
    // Each takes a while, so that one connection cannot serve them all before the others are made.
    const slowly = "SELECT CONNECTION_ID() WHERE '%s' <> '' AND SLEEP(0.02) = 0";
    const one = await fresh.open({ ...shared, query: slowly });
    const two = await fresh.open({
      ...shared,
      query: `${slowly} /* of the other table */`,
    });
    const ids = await Promise.all(Array.from({ length: 200 }, (_, at) => ask(at % 2 === 0 ? one : two, `key${at}`)));
    const connections = [...new Set(ids)];
    expect(connections.length).toBeGreaterThan(1);
    expect(connections.length).toBeLessThanOrEqual(4);
    const open = `SELECT COUNT(*) FROM information_schema.processlist WHERE id IN (${connections.join()})`;
    await until(() => server.query(open).trim() === "0");
    expect(connections).not.toContain(await ask(one, "key"));
  });

  test("TLS: off, on, with the server's certificate and name verified", async () => {
    const cipher =
      "SELECT variable_value FROM information_schema.session_status WHERE variable_name = 'ssl_cipher' AND '%s' = 'x'";
    const other = join(folder.path, "other");
    mkdirSync(other);
    const stranger = makeCertificate(other, ["localhost"]);
    const open = (more: Parameters) => tables.open({ type: "mysql", ...login, query: cipher, ...more });
    const encrypted = /^(?:TLS|ECDHE|DHE)/;
    // The one is in the certificate, the other is not, though the system's resolver takes it for 127.0.0.1.
    const named = { hosts: `${hostname()}:${server.port}`, tls_verify_cert: "yes" };
    const misnamed = { ...named, hosts: `127.0.1:${server.port}` };
    const isLocal = await lookup(hostname())
      .then(({ address }) => address === "127.0.0.1")
      .catch(() => false);
    expect(await ask(await open({}), "x")).toBeUndefined();
    expect(await ask(await open({ tls_CAfile: certificate.cert }), "x")).toMatch(encrypted);
    if (isLocal) expect(await ask(await open({ ...named, tls_CAfile: certificate.cert }), "x")).toMatch(encrypted);
    expect(await ask(await open({ ...misnamed, tls_CAfile: certificate.cert }), "x")).toBe(unavailable);
    expect(await ask(await open({ ...misnamed, tls_CAfile: certificate.cert, tls_verify_cert: "no" }), "x")).toMatch(
      encrypted,
    );
    expect(await ask(await open({ tls_CAfile: stranger.cert }), "x")).toBe(unavailable);
    expect(await ask(await open(named), "x")).toBe(unavailable);
    expect(await ask(await open({ tls_CApath: other }), "x")).toBe(unavailable);
    expect(await ask(await open({ tls_ciphers: "ECDHE-RSA-AES256-GCM-SHA384" }), "x")).toMatch(encrypted);
  });

  test("option files give what the table does not say", async () => {
    const file = join(folder.path, "my.cnf");
    writeFileSync(
      file,
      `[mysqld]\nuser=nobody\n[client]\nuser = mail # the reader\npassword = "wrong"\nsocket=${server.socket}\n[postfix]\npassword="se'cret \\"\\\\"\n`,
    );
    const options = { dbname: "mail", query: plain, option_file: file, option_group: "postfix" };
    const table = await tables.open({ type: "mysql", ...options });
    expect(await ask(table, "bare@example.test")).toBe("nodomain");
    const wrong = await tables.open({ type: "mysql", ...options, option_group: "client" });
    expect(await ask(wrong, "bare@example.test")).toBe(unavailable);
  });

  test("mistakes of the config are told when the table opens", async () => {
    const mistakes: readonly [Parameters, RegExp][] = [
      [{ query: "SELECT goto FROM alias WHERE address = %s" }, /%s stands outside of quotes/],
      [{ query: "SELECT `%u` FROM alias" }, /%u stands in a name/],
      [{ query: "SELECT 1 -- %s" }, /%s stands in a comment/],
      [{ query: "SELECT /* '%s' */ 1" }, /%s stands in a comment/],
      [{ query: "SELECT '\\%s'" }, /a backslash stands before %s/],
      [{ query: "SELECT '%s" }, /has no end/],
      [{ query: "SELECT _latin1'%s'" }, /CONVERT/],
      [{ query: "SELECT N'%s'" }, /CONVERT/],
      [{ query: "SELECT ?" }, /"\?"/],
      [{ query: "SELECT '%x'" }, /%x/],
      [{ query: plain, hosts: "a:b:c" }, /hosts/],
      [{ query: plain, charset: "latin1" }, /charset/],
      [{ query: plain, tls_CAfile: "/nowhere.pem" }, /tls_CAfile/],
      [{ query: plain, tls_verify_cert: "yes" }, /tls_verify_cert/],
      [{ query: plain, tls_cert_file: "/etc/hostname" }, /belong together/],
      [{ query: plain, option_file: "/nowhere.cnf" }, /option_file/],
      [{ query: plain, dbname: "" }, /dbname/],
      [{ user: "x" }, /query/],
    ];
    for (const [parameters, why] of mistakes) {
      const opening = tables.open({ type: "mysql", ...login, ...parameters });
      await expect(opening).rejects.toBeInstanceOf(ConfigError);
      await expect(opening).rejects.toThrow(why);
    }
  });

  test("after close nothing is asked", async () => {
    const fresh = mysqlTables(folder.path);
    const table = await fresh.open({ type: "mysql", ...login, query: "SELECT SLEEP(5), '%s'" });
    const late = ask(table, "x");
    await fresh[Symbol.asyncDispose]();
    expect(await late).toBe(unavailable);
    expect(await ask(table, "x")).toBe(unavailable);
  });
});
