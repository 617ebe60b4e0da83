// Four protocols over one pool, before servers that misbehave: each key gets its own answer or none.
import { systemClock, TableUnavailable, type LookupTable, type OpenTable, type TableScope } from "@postern/core";
import { createFakeClock } from "@postern/testkit";
import { afterEach, describe, expect, test } from "vitest";
import type { Socket } from "node:net";
import { randomFrom, sample, seed } from "../../../test/sampling.ts";
import { undisturbed } from "../../../test/undisturbed.ts";
import {
  commands,
  lines,
  netstring,
  netstrings,
  startNetServer,
  type Framing,
  type NetServer,
} from "./net-server.fixture.ts";
import { openMemcache } from "./memcache.ts";
import { openRedis } from "./redis.ts";
import { openSocketmap } from "./socketmap.ts";
import { openTcp } from "./tcp.ts";

interface Protocol {
  readonly open: OpenTable;
  readonly framing: Framing;
  /** The parameter that names the servers, and others that are needed. */
  readonly parameters: (servers: readonly string[]) => Record<string, unknown>;
  keyOf(request: string): string;
  found(key: string, value: string): string;
  notFound: string;
  /** Answers that are none. */
  readonly rubbish: readonly string[];
}

const protocols: Readonly<Record<string, Protocol>> = {
  tcp: {
    open: openTcp,
    framing: lines,
    parameters: (hosts) => ({ hosts }),
    keyOf: (request) => request.slice("get ".length),
    found: (_, value) => `200 ${value}\n`,
    notFound: "500 no\n",
    rubbish: [
      "x\n",
      "200\n",
      "300 x\n",
      "200 %4\n",
      "200 a\0b\n",
      "\xff\xfe\0\n",
      "\n",
      "x".repeat(5000),
      "200 ".padEnd(5000, "y") + "\n",
    ],
  },
  socketmap: {
    open: openSocketmap,
    framing: netstrings,
    parameters: (hosts) => ({ hosts, map: "m" }),
    keyOf: (request) => request.slice("m ".length),
    found: (_, value) => netstring(`OK ${value}`),
    notFound: netstring("NOTFOUND "),
    rubbish: [
      "OK x\n",
      "4:OK x;",
      ":",
      "x",
      "-1:,",
      "007:OK abcd,",
      "100001:",
      "999999999999",
      "\0\0\0\0",
      netstring("OK"),
      netstring("OKAY x"),
      netstring(""),
    ],
  },
  memcache: {
    open: openMemcache,
    framing: lines,
    parameters: (hosts) => ({ memcache: hosts, max_try: 1 }),
    keyOf: (request) => request.slice("get ".length),
    found: (key, value) => `VALUE ${key} 0 ${value.length}\r\n${value}\r\nEND\r\n`,
    notFound: "END\r\n",
    rubbish: [
      "ERROR\r\n",
      "SERVER_ERROR out of memory\r\n",
      "CLIENT_ERROR no\r\n",
      "\r\n",
      "VALUE other 0 1\r\nx\r\nEND\r\n",
      "VALUE k0 0 -1\r\n",
      "VALUE k0 0 99999999\r\n",
      "VALUE k0 0 1\r\nxEND\r\n\r\n\r\n",
      "VALUE k0 0 1\r\nx\r\nEMD\r\n",
      "VALUE k0 x 1\r\nx\r\nEND\r\n",
      "x".repeat(3000),
    ],
  },
  redis: {
    open: openRedis,
    framing: commands,
    parameters: (hosts) => ({ hosts }),
    keyOf: (request) => request.slice("GET ".length),
    found: (_, value) => `$${value.length}\r\n${value}\r\n`,
    notFound: "$-1\r\n",
    rubbish: [
      "x\r\n",
      "$5\n",
      "$x\r\nx\r\n",
      "$-2\r\n",
      "$1\r\nxy\r\n",
      "$99999999\r\n",
      "$99999999999\r\n",
      ":1\r\n",
      "+OK\r\n",
      "*-1\r\n",
      "*1\r\n$1\r\nx\r\n",
      "*1\r\n*1\r\n",
      "*2\r\n:1\r\n",
      "-ERR no\r\n",
      "-".padEnd(5000, "x"),
    ],
  },
};

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const scope: TableScope = {
  directory: "/nonexistent",
  clock: systemClock,
  purpose: {},
  warn: (message) => {
    throw new Error(message);
  },
  open: () => Promise.reject(new Error("no table inside")),
};

async function start(protocol: Protocol, answer: (key: string, socket: Socket) => void): Promise<NetServer> {
  const server = await startNetServer(protocol.framing, (request, socket) => answer(protocol.keyOf(request), socket));
  cleanups.push(() => server.close());
  return server;
}

async function openTable(protocol: Protocol, ports: readonly number[], more: Record<string, unknown> = {}) {
  const servers = ports.map((port) => `inet:127.0.0.1:${port}`);
  const table = await protocol.open("", scope, { ...protocol.parameters(servers), ...more });
  cleanups.push(() => table.close());
  return table;
}

/** The value, "none", or "unavailable". */
async function result(table: LookupTable, key: string): Promise<string> {
  try {
    return (await table.lookup(key)) ?? "none";
  } catch (error) {
    if (error instanceof TableUnavailable) return "unavailable";
    throw error;
  }
}

/** Resolves when it holds; the test's own time limit is the only one. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

describe.for(Object.entries(protocols))("%s", ([, protocol]) => {
  const reply = (key: string) => (key.startsWith("none") ? protocol.notFound : protocol.found(key, `value-of-${key}`));
  const expected = (key: string) => (key.startsWith("none") ? "none" : `value-of-${key}`);

  test("one connection serves one lookup after the other", async () => {
    const server = await start(protocol, (key, socket) => socket.write(reply(key)));
    const table = await openTable(protocol, [server.port]);
    for (const key of ["a", "none", "b"]) expect(await result(table, key)).toBe(expected(key));
    expect(server.made).toBe(1);
  });

  test("an answer in pieces of one octet", async () => {
    const server = await start(protocol, (key, socket) => {
      const octets = reply(key).split("");
      const next = () => {
        const octet = octets.shift();
        if (octet !== undefined) socket.write(octet, () => setImmediate(next));
      };
      next();
    });
    const table = await openTable(protocol, [server.port]);
    for (const key of ["a", "none", "b"]) expect(await result(table, key)).toBe(expected(key));
  });

  test.for(protocol.rubbish.map((text) => ({ text })))(
    "rubbish $text, and the next key is served afresh",
    async ({ text }) => {
      let first = true;
      const server = await start(protocol, (key, socket) => {
        socket.write(first ? text : reply(key), "latin1");
        first = false;
      });
      const table = await openTable(protocol, [server.port]);
      expect(await result(table, "k0")).toBe("unavailable");
      expect(await result(table, "k1")).toBe(expected("k1"));
      expect(server.made).toBe(2);
      await until(() => server.open === 1);
    },
  );

  test("an answer without an end is cut off, not collected", async () => {
    let written = 0;
    const server = await start(protocol, (key, socket) => {
      if (key !== "k0") {
        socket.write(reply(key));
        return;
      }
      const flood = () => {
        written += 65_536;
        if (!socket.destroyed) socket.write("9".repeat(65_536), flood);
      };
      flood();
    });
    const table = await openTable(protocol, [server.port]);
    expect(await result(table, "k0")).toBe("unavailable");
    expect(await result(table, "k1")).toBe(expected("k1"));
    await until(() => server.open === 1);
    expect(written).toBeLessThan(50_000_000);
  });

  test("what nobody asked for is not the answer to what is asked next", async () => {
    const forged = protocol.found("b", "forged");
    let unasked: (() => void) | undefined;
    const server = await start(protocol, (key, socket) => {
      unasked = () => socket.write(forged);
      socket.write(reply(key));
      if (key === "double") socket.write(forged);
    });
    const table = await openTable(protocol, [server.port]);
    expect(await result(table, "a")).toBe(expected("a"));
    unasked?.();
    await until(() => server.open === 0);
    expect(await result(table, "b")).toBe(expected("b"));
    expect(await result(table, "double")).toBe(expected("double"));
    await until(() => server.open === 0);
    expect(await result(table, "b")).toBe(expected("b"));
    const made = server.made;
    // In one piece with the answer: there is no time in between.
    const doubled = await start(protocol, (key, socket) => {
      socket.write(reply(key) + (key === "a" ? protocol.found("b", "forged") : ""));
    });
    const other = await openTable(protocol, [doubled.port]);
    expect([await result(other, "a"), await result(other, "b")]).toEqual([expected("a"), expected("b")]);
    expect([made, doubled.made]).toEqual([3, 2]);
  });

  test("a late answer is not that of the next key", async () => {
    let slow: (() => void) | undefined;
    const server = await start(protocol, (key, socket) => {
      if (key === "slow") slow = () => socket.write(reply(key));
      else {
        slow?.();
        setImmediate(() => socket.write(reply(key)));
      }
    });
    const table = await openTable(protocol, [server.port], { timeout: "200ms", connections: 1 });
    await undisturbed(async () => {
      slow = undefined;
      expect(await result(table, "slow")).toBe("unavailable");
      expect(await result(table, "b")).toBe(expected("b"));
    });
  });

  test("a connection that was closed while idle is made again at once; one closed twice without a word is trouble", async () => {
    let mute = false;
    const server = await start(protocol, (key, socket) => {
      if (mute) socket.end();
      else socket.end(reply(key));
    });
    const table = await openTable(protocol, [server.port]);
    for (const key of ["a", "b", "none", "c"]) expect(await result(table, key)).toBe(expected(key));
    mute = true;
    expect(await result(table, "d")).toBe("unavailable");
    mute = false;
    expect(await result(table, "e")).toBe(expected("e"));
  });

  test("closed in the middle of an answer: asked once more", async () => {
    let cut = true;
    const server = await start(protocol, (key, socket) => {
      socket.end(cut ? reply(key).slice(0, -2) : reply(key));
      cut = !cut;
    });
    const table = await openTable(protocol, [server.port]);
    for (const key of ["a", "b"]) expect(await result(table, key)).toBe(expected(key));
  });

  test("connections and the queue before them are bounded", async () => {
    const held: (() => void)[] = [];
    const server = await start(protocol, (key, socket) => held.push(() => socket.write(reply(key))));
    const table = await openTable(protocol, [server.port], { connections: 2, max_waiting: 3 });
    const keys = Array.from({ length: 7 }, (_, number) => `k${number}`);
    const results = keys.map((key) => result(table, key));
    expect(await Promise.all(results.slice(5))).toEqual(["unavailable", "unavailable"]);
    let answered = 0;
    while (answered < 5) {
      await until(() => held.length > 0);
      held.shift()?.();
      answered++;
    }
    expect(await Promise.all(results.slice(0, 5))).toEqual(keys.slice(0, 5).map(expected));
    expect(server.made).toBe(2);
  });

  test("the second server while the first is away", async () => {
    const gone = await start(protocol, () => undefined);
    await gone.close();
    const server = await start(protocol, (key, socket) => socket.write(reply(key)));
    const table = await openTable(protocol, [gone.port, server.port]);
    expect(await Promise.all(["a", "b", "none"].map((key) => result(table, key)))).toEqual(
      ["a", "b", "none"].map(expected),
    );
    const alone = await openTable(protocol, [gone.port]);
    expect(await result(alone, "a")).toBe("unavailable");
  });

  test("after close() nothing is asked, and what is under way ends", async () => {
    const server = await start(protocol, () => undefined);
    const table = await openTable(protocol, [server.port], { connections: 1 });
    const pending = [result(table, "a"), result(table, "b")];
    await until(() => server.heard.length === 1);
    await table.close();
    expect(await Promise.all(pending)).toEqual(["unavailable", "unavailable"]);
    expect(await result(table, "c")).toBe("unavailable");
    await until(() => server.open === 0);
  });

  test("a connection that is not used, or is old, is closed", async () => {
    const clock = createFakeClock();
    const server = await start(protocol, (key, socket) => socket.write(reply(key)));
    const servers = [`inet:127.0.0.1:${server.port}`];
    const table = await protocol.open("", { ...scope, clock }, protocol.parameters(servers));
    expect(await result(table, "a")).toBe(expected("a"));
    clock.advance(9_999);
    expect(server.open).toBe(1);
    clock.advance(1);
    await until(() => server.open === 0);
    for (let age = 0; age <= 110_000; age += 5_000) {
      expect(await result(table, "a")).toBe(expected("a"));
      clock.advance(5_000);
    }
    expect(server.made).toBe(3);
    await table.close();
    expect(clock.pending).toBe(0);
  });

  test("who stops waiting frees the place", async () => {
    const server = await start(protocol, (key, socket) => {
      if (key !== "hang") socket.write(reply(key));
    });
    const table = await openTable(protocol, [server.port], { connections: 1 });
    const controller = new AbortController();
    const hanging = Promise.resolve(table.lookup("hang", { signal: controller.signal })).catch(
      (error: unknown) => error,
    );
    const next = result(table, "b");
    await until(() => server.heard.length === 1);
    controller.abort();
    expect(await hanging).toBeInstanceOf(TableUnavailable);
    expect(await next).toBe(expected("b"));
  });

  test("thousands of lookups before a server that does anything: right or unavailable, never another's", async () => {
    const random = randomFrom(seed);
    const pick = (below: number) => Math.floor(random() * below);
    const server = await start(protocol, (key, socket) => {
      const whole = reply(key);
      const cut = 1 + pick(whole.length - 1);
      const deeds: (() => void)[] = [
        () => socket.write(protocol.rubbish[pick(protocol.rubbish.length)] ?? "", "latin1"),
        () => socket.destroy(),
        () => socket.end(whole.slice(0, cut)),
        () => socket.write(whole + protocol.found("k1", "forged")),
        () => socket.write(whole + whole.slice(0, cut)),
        () => undefined,
        () => setTimeout(() => socket.write(whole), 150),
        () => socket.end(whole),
      ];
      const deed = random() < 0.2 ? deeds[pick(deeds.length)] : undefined;
      if (deed !== undefined) deed();
      else if (random() < 0.5) socket.write(whole);
      else {
        socket.write(whole.slice(0, cut));
        setImmediate(() => socket.write(whole.slice(cut)));
      }
    });
    const table = await openTable(protocol, [server.port], { timeout: "100ms", connections: 8 });
    const keys = Array.from(
      { length: sample(1000, 20_000) },
      (_, number) => `${random() < 0.3 ? "none" : "k"}${number}`,
    );
    let right = 0;
    const asker = async () => {
      for (let key = keys.pop(); key !== undefined; key = keys.pop()) {
        const got = await result(table, key);
        if (got === expected(key)) right++;
        else expect({ key, got, seed }).toEqual({ key, got: "unavailable", seed });
      }
    };
    await Promise.all(Array.from({ length: 16 }, asker));
    expect(right).toBeGreaterThan(sample(1000, 20_000) / 2);
  });
});
