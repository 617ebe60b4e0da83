// redis tables with a real Redis: strings, hashes, sets, logins and TLS; and what is left when it hangs, dies, comes back.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { randomFrom, sample, seed } from "../sampling.ts";
import { describeWith, startRedis, temporaryFolder, type Redis } from "../services/index.ts";
import { undisturbed } from "../undisturbed.ts";
import { ask, createNetTables, randomKeys, unavailable, type NetTables } from "./net-tables.ts";
import { startNetServer } from "../../packages/plugin-maps-net/src/net-server.fixture.ts";

const folder = temporaryFolder();
let tables: NetTables;
beforeAll(() => {
  tables = createNetTables(folder.path);
});
afterAll(async () => {
  await tables[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

const open = (parameters: Readonly<Record<string, unknown>>) =>
  tables.open({ type: "redis", timeout: "60s", ...parameters });

describeWith(["redis-server", "redis-cli"], "redis tables", () => {
  let redis: Redis;
  beforeAll(async () => {
    redis = await startRedis({ folder: folder.path, persistent: true });
    redis.command("SET", "mail:alice@example.test", "alice/");
    redis.command("SET", "plain", "a value");
    redis.command("SET", "empty", "");
    redis.command("SET", "latin", "\\xff");
    redis.command("HSET", "virtual", "bob@example.test", "robert@example.test");
    redis.command("HSET", "users:example.test", "carol", "carol@inside.test");
    redis.command("SADD", "relay_domains", "example.test", "example.org");
    redis.command("SADD", "list:staff@example.test", "b@example.test", "a@example.test", "c@example.test");
    redis.command("-n", "3", "SET", "plain", "in database 3");
  });
  afterAll(() => redis.stop());

  const questions: readonly {
    readonly name: string;
    readonly parameters: Readonly<Record<string, unknown>>;
    readonly keys: Readonly<Record<string, string | undefined>>;
  }[] = [
    {
      name: "no query: the key itself",
      parameters: {},
      keys: { plain: "a value", PLAIN: "a value", other: undefined },
    },
    {
      name: "a key template",
      parameters: { query: "mail:%s" },
      keys: { "Alice@Example.test": "alice/", plain: undefined },
    },
    {
      name: "GET",
      parameters: { query: "get mail:%u@%d" },
      keys: { "alice@example.test": "alice/", alice: undefined },
    },
    {
      name: "HGET",
      parameters: { query: "HGET virtual %s" },
      keys: { "bob@example.test": "robert@example.test", "alice@example.test": undefined },
    },
    {
      name: "HGET with a template for the hash, as words of an array",
      parameters: { query: ["HGET", "users:%d", "%u"], domain: "example.test", result_format: "<%u> %d" },
      keys: { "carol@example.test": "<carol> inside.test", "carol@example.org": undefined, carol: undefined },
    },
    {
      name: "SISMEMBER gives the member",
      parameters: { query: "SISMEMBER relay_domains %s" },
      keys: { "example.test": "example.test", "example.net": undefined },
    },
    {
      name: "SISMEMBER with a word",
      parameters: { query: "SISMEMBER relay_domains %s", result_format: "OK" },
      keys: { "example.org": "OK", "example.net": undefined },
    },
    {
      name: "SMEMBERS in order",
      parameters: { query: "SMEMBERS list:%s", expansion_limit: 3 },
      keys: { "staff@example.test": "a@example.test,b@example.test,c@example.test", "x@example.test": undefined },
    },
    {
      name: "SMEMBERS over the limit",
      parameters: { query: "SMEMBERS list:%s", expansion_limit: 2 },
      keys: { "staff@example.test": unavailable },
    },
    { name: "another database", parameters: { database: 3 }, keys: { plain: "in database 3" } },
    {
      name: "values of the wrong kind",
      parameters: {},
      keys: { virtual: unavailable, empty: unavailable, relay_domains: unavailable, plain: "a value" },
    },
  ];
  test.for(questions)("$name", async ({ parameters, keys }) => {
    for (const hosts of [`127.0.0.1:${redis.port}`, `unix:${redis.socket}`]) {
      const table = await open({ hosts, ...parameters });
      const answers: Record<string, string | undefined> = {};
      for (const key of Object.keys(keys)) answers[key] = await ask(table, key);
      expect(answers).toEqual(keys);
    }
  });

  test("as a name, and from a file", async () => {
    writeFileSync(join(folder.path, "r.cf"), `hosts = 127.0.0.1:${redis.port}\nquery = HGET virtual %s\n`);
    const specs = [`redis:127.0.0.1:${redis.port}`, `redis:unix:${redis.socket}`];
    for (const spec of specs) expect(await ask(await tables.open(spec), "plain")).toBe("a value");
    for (const spec of ["redis:./r.cf", "redis:r.cf"]) {
      expect(await ask(await tables.open(spec), "bob@example.test")).toBe("robert@example.test");
    }
  });

  test("keys of strangers are one argument, whatever is in them", async () => {
    const keys = [
      ...randomKeys(randomFrom(seed), sample(300, 3000)),
      "x\r\nFLUSHALL\r\n",
      "*1\r\n$8\r\nFLUSHALL\r\n",
      "a b",
      "\0",
    ];
    const table = await open({ hosts: `127.0.0.1:${redis.port}`, query: "HGET strangers %s" });
    const before = redis.command("DBSIZE");
    for (const key of keys) expect(await ask(table, key)).toBeUndefined();
    expect(redis.command("DBSIZE")).toBe(before);
    const line = "x\r\nget plain";
    redis.command("HSET", "strangers", line, "its own");
    expect(await ask(table, line)).toBe("its own");
    expect(await ask(table, "\ud800")).toBeUndefined();
  });

  test.for([
    { parameters: { query: "SET %s x" }, says: /"SET" is not one of GET, HGET, SISMEMBER, SMEMBERS/ },
    { parameters: { query: "HGET %s" }, says: /HGET takes 2/ },
    { parameters: { query: "mail:%x" }, says: /%x/ },
    { parameters: { hosts: "a b:1" }, says: /no port|needs a port|no host/ },
    { parameters: { database: "x" }, says: /database/ },
    { parameters: { tls: "yes", tls_ca_file: "gone.pem" }, says: /gone\.pem/ },
  ])("$parameters is refused", async ({ parameters, says }) => {
    // "a b:1" is two servers, the first with the usual port; only its second is looked at here.
    const refused = "hosts" in parameters ? { hosts: "a:b" } : parameters;
    await expect(open(refused)).rejects.toThrow(says);
  });

  describe("logins", () => {
    let guarded: Redis;
    beforeAll(async () => {
      guarded = await startRedis({ folder: join(folder.path, "g"), password: "s3cret", tls: true });
      guarded.command("SET", "k", "v");
      guarded.command("ACL", "SETUSER", "reader", "on", ">reading", "~k", "+get");
    });
    afterAll(() => guarded.stop());

    test("password, user, TLS; without them it is unavailable, which is not 'not found'", async () => {
      writeFileSync(join(folder.path, "password"), "s3cret\n");
      const password = { file: "./password" };
      const tls = { tls: "yes", tls_ca_file: guarded.tls?.certificate ?? "" };
      const hosts = `127.0.0.1:${guarded.port}`;
      const secure = `localhost:${guarded.tls?.port}`;
      const cases: readonly { parameters: Record<string, unknown>; expect: string }[] = [
        { parameters: { hosts, password }, expect: "v" },
        { parameters: { hosts, username: "reader", password: "reading" }, expect: "v" },
        { parameters: { hosts: secure, password, ...tls }, expect: "v" },
        { parameters: { hosts: secure, password, tls: "yes", tls_verify_cert: "no" }, expect: "v" },
        { parameters: { hosts }, expect: unavailable },
        { parameters: { hosts, password: "wrong" }, expect: unavailable },
        { parameters: { hosts: secure, password, tls: "yes" }, expect: unavailable },
        { parameters: { hosts: secure, password, timeout: 1 }, expect: unavailable },
      ];
      for (const { parameters, expect: wanted } of cases) {
        expect({ parameters, got: await ask(await open(parameters), "k") }).toEqual({ parameters, got: wanted });
      }
      expect(tables.warnings).toEqual([]);
    });

    test("trusted with a password alone", async () => {
      const hosts = `127.0.0.1:${guarded.port}`;
      await expect(tables.open({ type: "redis", hosts }, { trustedOnly: true })).rejects.toThrow(/stranger/);
      const table = await tables.open({ type: "redis", hosts, password: "s3cret" }, { trustedOnly: true });
      expect(await ask(table, "k")).toBe("v");
    });
  });

  test("a connection that the server closes while idle is made again at once", async () => {
    const table = await open({ hosts: `127.0.0.1:${redis.port}`, name: "" });
    for (let round = 0; round < 5; round++) {
      expect(await ask(table, "plain")).toBe("a value");
      redis.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    }
  });

  test("hangs, dies and comes back under load: each answer right or unavailable", async () => {
    for (let number = 0; number < 20; number++) redis.command("SET", `load${number}`, `value${number}`);
    const table = await open({ hosts: `127.0.0.1:${redis.port}`, timeout: 1 });
    let stop = false;
    const seen = { right: 0, unavailable: 0 };
    const asker = async (which: number) => {
      for (let round = which; !stop; round++) {
        const got = await ask(table, round % 3 === 0 ? "nobody" : `load${round % 20}`);
        if (got === unavailable) seen.unavailable++;
        else {
          expect(got).toBe(round % 3 === 0 ? undefined : `value${round % 20}`);
          seen.right++;
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const askers = Array.from({ length: 20 }, (_, which) => asker(which));
    const more = async (what: "right" | "unavailable") => {
      const now = seen[what];
      await expect.poll(() => seen[what]).toBeGreaterThan(now);
    };
    try {
      await more("right");
      await redis.pause();
      await more("unavailable");
      redis.resume();
      await more("right");
      const { port } = redis;
      await redis.kill();
      await more("unavailable");
      redis = await startRedis({ folder: folder.path, port, persistent: true });
      await more("right");
      await redis.stop();
      redis = await startRedis({ folder: folder.path, port, persistent: true });
      await more("right");
    } finally {
      stop = true;
      await Promise.all(askers);
    }
  });

  test("the second server while the first is away, and the first again", async () => {
    await using first = await startRedis({ folder: join(folder.path, "f") });
    first.command("SET", "plain", "of the first");
    const table = await open({ hosts: [`127.0.0.1:${first.port}`, `127.0.0.1:${redis.port}`] });
    expect(await ask(table, "plain")).toBe("of the first");
    await first.kill();
    expect(await Promise.all(["plain", "other"].map((key) => ask(table, key)))).toEqual(["a value", undefined]);
  });
});

describe("a server that is no Redis", () => {
  const one = (bytes: string) => (bytes === "" ? undefined : { request: bytes, used: bytes.length });
  const argument = /\$\d+\r\n(k\d+|none\d+)\r\n/g;
  const reply = (key: string) => (key.startsWith("none") ? "$-1\r\n" : `$${key.length + 2}\r\nv-${key}\r\n`);

  const rubbish = ["x\r\n", "\xff\0\r\n", "$5\r\nabc", ":1\r\n", "*1\r\n$1\r\nx\r\n", "+OK\r\n+OK\r\n+OK\r\n"];
  rubbish.push("-ERR no\r\n", "$x\r\nx\r\n", "9".repeat(100_000));
  test.for(rubbish.map((text) => ({ text, name: JSON.stringify(text.slice(0, 20)) })))(
    "rubbish $name, and the next key is served afresh",
    async ({ text }) => {
      await undisturbed(async () => {
        let first = true;
        await using server = await startNetServer(one, (request, socket) => {
          for (const [, key = ""] of request.matchAll(argument)) {
            socket.write(first ? text : reply(key), "latin1");
            first = false;
          }
        });
        const table = await open({ hosts: `127.0.0.1:${server.port}`, timeout: "300ms" });
        expect(await ask(table, "k0")).toBe(unavailable);
        expect(await ask(table, "k1")).toBe("v-k1");
        expect(server.made).toBe(2);
      });
    },
  );

  test("after rubbish nothing more is believed", async () => {
    await using server = await startNetServer(one, (request, socket) => {
      for (const [, key = ""] of request.matchAll(argument)) {
        if (key !== "k0") socket.write(reply(key));
        else socket.write("x\r\n", () => setTimeout(() => socket.write("$6\r\nforged\r\n"), 20));
      }
    });
    const table = await open({ hosts: `127.0.0.1:${server.port}` });
    expect(await ask(table, "k0")).toBe(unavailable);
    expect(await ask(table, "k1")).toBe("v-k1");
  });

  test("closed under a lookup: asked once more, over a new connection", async () => {
    const used = new WeakSet<object>();
    let once = true;
    await using server = await startNetServer(one, (request, socket) => {
      for (const [, key = ""] of request.matchAll(argument)) {
        if (used.has(socket) || key === "k7" || (key === "k8" && once)) socket.destroy();
        else socket.write(reply(key));
        if (key === "k8") once = false;
        used.add(socket);
      }
    });
    const table = await open({ hosts: `127.0.0.1:${server.port}` });
    for (const key of ["k0", "k1", "k2"]) expect(await ask(table, key)).toBe(`v-${key}`);
    expect(server.made).toBe(3);
    expect(await ask(table, "k7")).toBe(unavailable);
    // The first thing that is asked over it.
    const other = await open({ hosts: `127.0.0.1:${server.port}`, database: 0 });
    expect(await ask(other, "k8")).toBe("v-k8");
  });

  test("a late answer is not that of the next key; silence ends", async () => {
    await undisturbed(async () => {
      let slow: (() => void) | undefined;
      await using server = await startNetServer(one, (request, socket) => {
        for (const [, key = ""] of request.matchAll(argument)) {
          if (key === "k0") slow = () => socket.write(reply(key));
          else {
            slow?.();
            setImmediate(() => socket.write(reply(key)));
          }
        }
      });
      const table = await open({ hosts: `127.0.0.1:${server.port}`, timeout: "200ms" });
      expect(await ask(table, "k0")).toBe(unavailable);
      expect(await ask(table, "k1")).toBe("v-k1");
      expect(server.made).toBe(2);
    });
  });

  test("it accepts and says nothing, also to the login", async () => {
    await using server = await startNetServer(one, () => undefined);
    const table = await open({ hosts: `127.0.0.1:${server.port}`, timeout: "200ms", password: "x", database: 2 });
    expect(await Promise.all(["k0", "k1"].map((key) => ask(table, key)))).toEqual([unavailable, unavailable]);
    await expect.poll(() => server.open).toBe(0);
  });
});
