// pgsql: answers as the real postmap does with the same .cf files, from the same server; and servers that are killed, stopped, started
// again, several of them.
import { createServer, type AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ConfigError } from "@postern/core";
import { randomFrom, sample, seed } from "../sampling.ts";
import {
  describeUnless,
  requirePostgresql,
  requirePrograms,
  startPostgresql,
  temporaryFolder,
} from "../services/index.ts";
import type { Postgresql } from "../services/index.ts";
import { mostHeld } from "../held-memory.ts";
import { undisturbed } from "../undisturbed.ts";
import { ask, makeKeys, openSqlTables, Postmap, unavailable, unavailableForThisKey, writeCf } from "./sql-tables.ts";

const random = randomFrom(seed);
// Postfix before 3.8 speaks LATIN1 with the server.
const keys = makeKeys(sample(700, 10_000), random);

const literal = (text: string) => `'${text.replaceAll("'", "''")}'`;

function makeSchema(): string {
  const rows = keys.flatMap((key, index) =>
    Array.from({ length: index % 3 }, (_, turn) => {
      const folded = key.toLowerCase();
      const values = ["NULL", "''", "'@nolocal.test'", "'nodomain@'", literal(`plain${index}`), literal(`${folded.replaceAll("@", "-at-")}@drop${index % 5}.test`)]; // prettier-ignore
      const value = values[Math.min((index + turn) % 9, values.length - 1)] ?? "NULL";
      return `(${literal(folded)}, ${value}, ${literal(folded.slice(folded.lastIndexOf("@") + 1))}, ${index})`;
    }),
  );
  return [
    "CREATE TABLE aliases (address text, goto text, domain text, number integer, at timestamp DEFAULT '2026-01-02 03:04:05.6')",
    "CREATE INDEX by_address ON aliases (address)",
    `INSERT INTO aliases (address, goto, domain, number) VALUES ${rows.join(",\n")}`,
    "CREATE FUNCTION find_alias(text) RETURNS SETOF text LANGUAGE sql STABLE AS 'SELECT goto FROM aliases WHERE address = $1'",
    "CREATE TABLE t (k text, v text); INSERT INTO t VALUES ('k', 'value'), ('ä@straße.test', 'grüße')",
    "INSERT INTO t SELECT 'k' || n, 'v' || n FROM generate_series(1, 1000) n",
  ].join(";\n");
}

const folder = temporaryFolder();
let server: Postgresql;
const login = () => ({
  hosts: `127.0.0.1:${server.port}`,
  user: server.user,
  password: server.password,
  dbname: server.database,
});
const query = "SELECT v FROM t WHERE k = '%s'";

const queries = [
  "SELECT goto FROM aliases WHERE address = '%s'",
  "SELECT goto, address FROM aliases WHERE address = '%u@%d' ORDER BY goto DESC",
  "SELECT '%s|%u'",
  "SELECT '%u'||'%d'||'it''s %% %D'",
  "SELECT concat('%s', '%1'), upper('%U')",
  "SELECT '%3-%2-%1 %U'",
  "SELECT number, at, number > 100, number / 7.0, ARRAY[1, number] FROM aliases WHERE address = '%s' AND number < 1000",
  "SELECT goto FROM aliases WHERE domain = '%d' AND address LIKE '%u%%' ORDER BY number, goto LIMIT 3",
  "SELECT '%u' -- only of %d",
  "SELECT '%s' /* '%2' /* nested */ */, $$it's ?$$, '?' || '\\?'",
  "SELECT jsonb_build_object('key', '%s') ->> 'key', '{\"a\":1}'::jsonb ? 'a'",
  "SELECT count(*) FROM aliases WHERE address = '%s';",
  "SELECT goto AS \"a name\" FROM \"aliases\" WHERE \"address\" = '%s' AND '%d' <> ''",
  "SELECT v FROM t WHERE k = lower(trim('%s'))",
];
const formats = ["%s", "%s", "%u", "%d", "smtp:[%s]:%S", "%U at %D", "%s %1", "%%%u%%@%d"];

const reason = requirePostgresql() ?? requirePrograms("setpriv");

describeUnless(reason, "pgsql", () => {
  beforeAll(async () => {
    server = await startPostgresql({ folder: folder.path, sql: makeSchema(), tls: true });
  });
  afterAll(async () => {
    await server.stop();
    folder[Symbol.dispose]();
  });

  describeUnless(requirePrograms("postmap"), "as the real postmap", () => {
    test.for(queries.map((sql, at) => ({ sql, at, format: formats[(at * 3) % formats.length] ?? "%s" })))(
      "$sql, $format",
      async ({ sql, format, at }) => {
        const domain = at % 3 === 0 ? { domain: "A.test, !b.example.test, single\n  o'brien.test" } : {};
        const path = writeCf(folder.path, `t${at}.cf`, { ...login(), query: sql, result_format: format, ...domain });
        await using tables = openSqlTables(folder.path);
        const table = await tables.open("pgsql", {}, path);
        const answers = await Promise.all(keys.map((key) => ask(table, key)));
        const ours = keys.flatMap((key, index) => (answers[index] === undefined ? [] : [[key, answers[index]]]));
        const theirs = new Postmap(folder.path).askAll(`pgsql:${path}`, keys);
        expect(tables.warnings).toEqual([]);
        expect(Object.fromEntries(ours)).toEqual(Object.fromEntries(theirs));
      },
    );

    test.for([
      { select_function: "find_alias" },
      { select_field: "goto", table: "aliases", where_field: "address", expansion_limit: 1 },
      { query: "SELECT goto FROM aliases WHERE number = '%u'" },
      { query: "SELECT goto FROM nowhere WHERE a = '%s'" },
      { query: "UPDATE aliases SET goto = goto WHERE address = '%s' AND false" },
      { hosts: "postgresql://mail:secret@127.0.0.1:PORT/mail", query, user: "nobody", password: "wrong" },
      { hosts: "postgresql://mail@/mail?host=FOLDER&port=PORT", query, password: "" },
      { hosts: "inet:127.0.0.1:PORT", query, password: "wrong" },
    ])("%o", async (parameters) => {
      const values = Object.entries({ ...login(), ...parameters }).map(([key, value]): [string, string] => [
        key,
        String(value).replace("PORT", String(server.port)).replace("FOLDER", server.socketFolder),
      ]);
      const path = writeCf(folder.path, "one.cf", Object.fromEntries(values));
      await using tables = openSqlTables(folder.path);
      const table = await tables.open("pgsql", {}, path);
      const postmap = new Postmap(folder.path);
      // Where postmap fails it waits for a second.
      const asked = "query" in parameters ? ["k", "7@a.test"] : keys.slice(0, 12);
      const ours = await Promise.all(asked.map((key) => ask(table, key)));
      expect(ours.map((answer) => (answer === unavailableForThisKey ? unavailable : answer))).toEqual(
        asked.map((key) => postmap.ask(`pgsql:${path}`, key)),
      );
    });
  });

  test("a key that does not suit the query says nothing about the table; more than UTF-8", async () => {
    await using tables = openSqlTables(folder.path);
    const table = await tables.open("pgsql", { ...login(), query: "SELECT 'x' WHERE 7 = '%s'" });
    expect(await Promise.all(["7", "8", "seven", "7 or 1=1"].map((key) => ask(table, key)))).toEqual(["x", undefined, unavailableForThisKey, unavailableForThisKey]); // prettier-ignore
    const text = await tables.open("pgsql", { ...login(), query: "SELECT v FROM t WHERE k = '%u@straße.test'" });
    expect([await ask(text, "Ä@x"), await ask(text, "\0@x"), await ask(text, "\ud800@x")]).toEqual(["grüße", unavailableForThisKey, undefined]); // prettier-ignore
    const bare = await tables.open("pgsql", { ...login(), query: "SELECT v FROM t WHERE k = %s OR 1 = %1" });
    expect([await ask(bare, "k@a.1"), await ask(bare, "k or 1=1 --@a.2")]).toEqual([
      expect.stringContaining("value"),
      undefined,
    ]);
  });

  test.for([
    { why: /dbname: this parameter is needed/, dbname: "" },
    { why: /query: this parameter is needed/, query: "" },
    { why: /hosts: "99999" is no port/, hosts: "x:99999" },
    { why: /hosts: "sslmodus" of the URI is not supported/, hosts: "postgresql://u:topsecret@h/d?sslmodus=x" },
    { why: /sslmode: it is one of/, sslmode: "on" },
    { why: /%s stands in a name/, query: 'SELECT "%s"' },
    { why: /TLS file cannot be read \(ENOENT\)/, sslmode: "verify-full", sslrootcert: "gone.pem" },
    { why: /timeout: it may not be 0/, timeout: "0" },
  ])("$why is said at the start", async ({ why, ...parameters }) => {
    await using tables = openSqlTables(folder.path);
    const opening = tables.open("pgsql", { ...login(), query, ...parameters });
    await expect(opening).rejects.toThrow(ConfigError);
    await expect(opening).rejects.toThrow(why);
    await expect(opening).rejects.not.toThrow(/topsecret/);
  });

  test("tables with the same parameters share a bounded number of connections, which are closed when idle and at the end", async () => {
    const count = () =>
      Number(server.query("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'postern'"));
    await using tables = openSqlTables(folder.path);
    const parameters = { ...login(), connections: 3, idle_interval: "1s" };
    const one = await tables.open("pgsql", { ...parameters, query });
    const two = await tables.open("pgsql", { ...parameters, query: "SELECT v FROM t WHERE v = '%s'" });
    const answers = await Promise.all(Array.from({ length: 200 }, (_, index) => ask(index % 2 ? one : two, index % 2 ? `k${index}` : `v${index}`))); // prettier-ignore
    expect(answers.filter((answer) => answer?.startsWith("v"))).toHaveLength(199);
    expect(count()).toBe(3);
    await expect.poll(count).toBe(0);
    await one.close();
    expect([await ask(one, "k"), await ask(two, "value")]).toEqual([unavailable, "value"]);
    await two.close();
    await expect.poll(count).toBe(0);
  });

  test("TLS: asked for, looked at, refused", async () => {
    await using tables = openSqlTables(folder.path);
    const asked = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND '%s' <> ''";
    const answers = [{}, { sslmode: "require" }, { sslmode: "verify-full", sslrootcert: server.authority }, { sslmode: "verify-ca", sslrootcert: server.authority }, { sslmode: "verify-full" }].map(async (tls) => ask(await tables.open("pgsql", { ...login(), ...tls, query: asked }), "k")); // prettier-ignore
    expect(await Promise.all(answers)).toEqual(["f", "t", "t", "t", unavailable]);
    const wrongName = { ...login(), hosts: `127.0.0.2:${server.port}`, sslmode: "verify-full", sslrootcert: server.authority, query: asked }; // prettier-ignore
    expect(await ask(await tables.open("pgsql", wrongName), "k")).toBe(unavailable);
  });

  test("a server that stands still: no answer within the timeout; then it goes on", async () => {
    await using tables = openSqlTables(folder.path);
    const table = await tables.open("pgsql", { ...login(), timeout: "300ms", query });
    const sockets = () => process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length;
    const before = sockets();
    await expect.poll(() => ask(table, "k")).toBe("value");
    await server.pause();
    try {
      const answers = await Promise.all(Array.from({ length: 30 }, () => ask(table, "k")));
      expect(new Set(answers)).toEqual(new Set([unavailable]));
      // No connection is kept to a server that does not answer.
      await expect.poll(sockets).toBeLessThanOrEqual(before);
    } finally {
      server.resume();
    }
    await expect.poll(() => ask(table, "k")).toBe("value");
  });

  test("a result without end costs neither memory nor the other lookups", async () => {
    await using tables = openSqlTables(folder.path);
    const rows =
      "SELECT repeat('x', 1000 + 0 * generate_series(1, 100000000)) WHERE '%s' = 'all' UNION ALL SELECT '%s'";
    for (const sslmode of ["disable", "require"]) {
      const table = await tables.open("pgsql", { ...login(), query: rows, sslmode });
      const held = await mostHeld(async () => {
        for (let round = 0; round < 3; round++) {
          const keys = ["all", ...Array.from({ length: 20 }, (_, at) => `u${at}`)];
          const answers = await Promise.all(keys.map((key) => ask(table, key)));
          expect(answers).toEqual([unavailableForThisKey, ...keys.slice(1)]);
        }
      });
      expect(held).toBeLessThan(40_000_000);
      // The limit is one answer's, not the connection's.
      const long = await tables.open("pgsql", { ...login(), query: "SELECT repeat('x', 1000000), '%s'", sslmode });
      for (let round = 0; round < 10; round++) expect(await ask(long, "k")).toHaveLength(1_000_002);
    }
  });

  test("connections cut from the other side while idle, and under a query: nobody notices", async () => {
    await using tables = openSqlTables(folder.path);
    const table = await tables.open("pgsql", { ...login(), query });
    const slow = await tables.open("pgsql", { ...login(), query: "SELECT v FROM t, pg_sleep(0.3) WHERE k = '%s'" });
    const cut = () => server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'postern'"); // prettier-ignore
    await Promise.all(Array.from({ length: 10 }, () => ask(table, "k")));
    cut();
    expect(await Promise.all(Array.from({ length: 20 }, () => ask(table, "k")))).toEqual(
      Array<string>(20).fill("value"),
    );
    const waiting = ask(slow, "k");
    await expect
      .poll(() => server.query("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))
      .toBe("1\n");
    cut();
    expect(await waiting).toBe("value");
  });

  describeUnless(reason, "two servers", () => {
    let other: Postgresql;
    beforeAll(async () => {
      other = await startPostgresql({ folder: folder.path, name: "other", sql: makeSchema() });
      other.query("UPDATE t SET v = 'other' WHERE k = 'k'");
    });
    afterAll(() => other.stop());

    test("unix sockets first; the one that answers is kept; a dead one and one that stands still are passed over", async () => {
      await using tables = openSqlTables(folder.path);
      const hosts = `postgresql:///?host=${other.socketFolder}&port=${other.port}, 127.0.0.1:${server.port}`;
      const parameters = { ...login(), hosts, query, timeout: "300ms", retry_interval: "1s" };
      await undisturbed(async () => {
        const table = await tables.open("pgsql", parameters);
        for (let turn = 0; turn < 10; turn++) expect(await ask(table, "k")).toBe("other");
        await other.pause();
        try {
          expect(await Promise.all(Array.from({ length: 20 }, () => ask(table, "k")))).toEqual(
            Array<string>(20).fill("value"),
          );
        } finally {
          other.resume();
        }
        // The one that answers is kept.
        await delay(1100);
        expect(await ask(table, "k")).toBe("value");
        await server.pause();
        try {
          expect(await ask(table, "k")).toBe("other");
        } finally {
          server.resume();
        }
      });
    });

    test("killed and started again under load: every answer is right or none, never not found; then it answers at once", async () => {
      await using tables = openSqlTables(folder.path);
      const hosts = `127.0.0.1:${other.port}`;
      const table = await tables.open("pgsql", { ...login(), hosts, query });
      const seen = new Map<string, number>();
      let done = false;
      const load = Array.from({ length: 8 }, async (_, worker) => {
        for (let turn = worker; !done; turn++) {
          const number = (turn % 1000) + 1;
          const answer = await ask(table, `k${number}`);
          const kind = answer === `v${number}` ? "right" : String(answer);
          seen.set(kind, (seen.get(kind) ?? 0) + 1);
          await delay(1);
        }
      });
      const count = (kind: string) => seen.get(kind) ?? 0;
      const more = async (kind: string) => {
        const before = count(kind);
        await expect.poll(() => count(kind), { interval: 20 }).toBeGreaterThan(before + 20);
      };
      await more("right");
      for (let round = 0; round < 2; round++) {
        await other.kill();
        await more(unavailable);
        other = await startPostgresql({ folder: folder.path, name: "other", port: other.port });
        await more("right");
        const before = count(unavailable);
        await other.pause();
        await delay(200);
        other.resume();
        await more("right");
        expect(count(unavailable)).toBe(before);
      }
      done = true;
      await Promise.all(load);
      expect([...seen.keys()].toSorted()).toEqual([unavailable, "right"]);
    });
  });
});

test("closed while a silent server is asked: nobody waits any longer", async () => {
  for (const sslmode of ["disable", "require"]) {
    let heard = (): void => undefined;
    const asked = new Promise<void>((resolve) => (heard = resolve));
    const silent = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.on("data", () => heard());
    });
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    await using tables = openSqlTables(folder.path);
    const { port } = silent.address() as AddressInfo;
    const parameters = { hosts: `127.0.0.1:${port}`, user: "mail", dbname: "mail", timeout: "1h", sslmode, query };
    const table = await tables.open("pgsql", parameters);
    const answers = ["k", "k1"].map((key) => ask(table, key));
    await asked;
    await table.close();
    expect(await Promise.all(answers)).toEqual([unavailable, unavailable]);
    // Ends when no connection is left.
    await new Promise((resolve) => silent.close(resolve));
  }
});

test("what is said of a server names neither password nor query", async () => {
  await using tables = openSqlTables(folder.path);
  const hosts = "postgresql://someone:topsecret@127.0.0.1:1/mail, unix:/nowhere";
  const table = await tables.open("pgsql", { hosts, dbname: "mail", password: "topsecret", query });
  await expect(Promise.resolve(table.lookup("k"))).rejects.toThrow(/^table pgsql: (127\.0\.0\.1:1|\/nowhere:5432): /);
  await expect(Promise.resolve(table.lookup("k"))).rejects.not.toThrow(/topsecret|SELECT/);
});
