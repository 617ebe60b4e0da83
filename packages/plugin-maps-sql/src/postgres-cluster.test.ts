// Which of several hosts is asked, in what order, and what their errors mean. The hosts are stand-ins, the clock is moved by hand.
import { TableUnavailable } from "@postern/core";
import { expect, test } from "vitest";
import { PostgresCluster } from "./postgres-cluster.ts";
import { parseHost, type Login } from "./postgres-host.ts";
import { ServerTimeout, type PostgresServer } from "./postgres-server.ts";

const ssl = { sslmode: "disable", sslrootcert: undefined, sslcert: undefined, sslkey: undefined } as const;
const login: Login = { user: "u", password: "p", database: "d", ssl };

const refused = () => Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
const sqlError = (code: string) => Object.assign(new Error("select - no"), { code, severity: "ERROR" });

function openCluster(hosts: readonly string[]) {
  const asked: string[] = [];
  const failures = new Map<string, (() => Error)[]>();
  let now = 0;
  const members = hosts.map((word) => {
    const host = parseHost(word, login);
    const query = (): Promise<readonly string[]> => {
      asked.push(word);
      const failure = failures.get(word)?.shift();
      return failure === undefined ? Promise.resolve([word]) : Promise.reject(failure());
    };
    return { host, server: { query, close: () => Promise.resolve() } as unknown as PostgresServer };
  });
  const cluster = new PostgresCluster(members, {
    retryMs: 60_000,
    clock: { now: () => now, monotonic: () => now, setTimer: () => ({ cancel: () => undefined }) },
    random: () => 0.5,
  });
  return {
    asked,
    fail: (word: string, ...errors: (() => Error)[]) => failures.set(word, errors),
    pass: (ms: number) => (now += ms),
    ask: () => cluster.query("pgsql:x", "select", []).catch((error: unknown) => error),
    takeAsked: () => asked.splice(0).join(" "),
  };
}

test("unix sockets first; one that answers is kept; one that fails is left alone for retry_interval", async () => {
  const { fail, pass, ask, takeAsked } = openCluster(["a:1", "b:2", "/c"]);
  await ask();
  expect(takeAsked()).toBe("/c");
  fail("/c", refused, refused);
  fail("a:1", refused);
  expect(await ask()).toEqual(["b:2"]);
  expect(takeAsked()).toBe("/c /c a:1 b:2");
  await ask();
  pass(60_000);
  await ask();
  expect(takeAsked()).toBe("b:2 b:2");
  fail("b:2", refused, refused);
  expect(await ask()).toEqual(["/c"]);
  expect(takeAsked()).toBe("b:2 b:2 /c");
});

test("when all have failed all are tried, those that failed a short while ago too", async () => {
  const { fail, ask, takeAsked } = openCluster(["a:1", "b:2"]);
  fail("a:1", refused, refused);
  fail("b:2", refused);
  expect(await ask()).toBeInstanceOf(TableUnavailable);
  expect(await ask()).toEqual(["b:2"]);
  expect(takeAsked()).toBe("a:1 b:2 a:1 b:2");
});

test("no more than a thousand wait", async () => {
  const { ask } = openCluster(["a:1"]);
  const answers = await Promise.all(Array.from({ length: 1005 }, ask));
  expect(answers.filter((answer) => answer instanceof TableUnavailable)).toHaveLength(5);
  expect(await ask()).toEqual(["a:1"]);
});

test("a server that stands still is not asked twice for one key", async () => {
  const { fail, ask, takeAsked } = openCluster(["a:1"]);
  await ask();
  fail("a:1", () => new ServerTimeout("late"));
  expect(await ask()).toBeInstanceOf(TableUnavailable);
  expect(takeAsked()).toBe("a:1 a:1");
});

test.for([
  { state: "22P02", onlyThisKey: true, asked: "a:1" },
  { state: "42P01", onlyThisKey: false, asked: "a:1 b:2" },
  { state: "57P03", onlyThisKey: false, asked: "a:1 b:2" },
])("SQLSTATE $state", async ({ state, onlyThisKey, asked }) => {
  const { fail, ask, takeAsked } = openCluster(["a:1", "b:2"]);
  fail("a:1", () => sqlError(state));
  fail("b:2", () => sqlError(state));
  expect(await ask()).toMatchObject({ onlyThisKey, message: expect.stringMatching(/^table pgsql:x: .:\d: no$/) });
  expect(takeAsked()).toBe(asked);
});

test.for([
  ["host", { unix: false, host: "host", port: 5432 }],
  ["inet:host:1", { unix: false, host: "host", port: 1 }],
  ["[::1]:7", { unix: false, host: "::1", port: 7 }],
  ["unix:/a/b", { unix: true, host: "/a/b", port: 5432 }],
  ["unix:", { unix: true, host: "/var/run/postgresql", port: 5432 }],
  [
    "postgresql://x%40y:p%2Fw@h:9/db",
    { host: "h", port: 9, login: { user: "x@y", password: "p/w", database: "db", ssl } },
  ],
  ["postgres:///?host=/s&port=9", { unix: true, host: "/s", port: 9, login }],
  [
    "postgresql://m@/db?sslmode=require",
    { unix: true, login: { ...login, user: "m", database: "db", ssl: { ...ssl, sslmode: "require" } } },
  ],
] as const)("host %s", ([word, parsed]) => {
  expect(parseHost(word, login)).toMatchObject(parsed);
  expect(parseHost(word, login).text).not.toContain("p/w");
});
