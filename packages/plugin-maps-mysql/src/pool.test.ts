// Which server is asked, when, and again: with servers and a clock moved by hand.
import { EventEmitter } from "node:events";
import { parseTemplate, TableUnavailable, type Clock } from "@postern/core";
import { beforeEach, describe, expect, test } from "vitest";
import type { Driver, DriverCallback } from "./driver.ts";
import { parseHost } from "./hosts.ts";
import { Pool } from "./pool.ts";
import { Query } from "./query.ts";

type Mood = "answers" | "refuses connections" | "hangs" | "answers nothing" | "refuses queries";

let now = 0;
let timers: { at: number; call: () => void }[] = [];
const clock: Clock = {
  now: () => now,
  monotonic: () => now,
  setTimer: (call, delayMs) => {
    const timer = { at: now + delayMs, call };
    timers.push(timer);
    return { cancel: () => (timers = timers.filter((other) => other !== timer)) };
  },
};
async function pass(ms: number): Promise<void> {
  const end = now + ms;
  await settle();
  for (;;) {
    const [due] = timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
    if (due === undefined) break;
    timers = timers.filter((other) => other !== due);
    now = due.at;
    due.call();
    await settle();
  }
  now = end;
  await settle();
}
/** Connecting, greeting and answering take a turn each. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** A server that does as its mood says; it answers each query with its own name. */
class FakeServer {
  mood: Mood = "answers";
  connects = 0;
  readonly open = new Set<FakeDriver>();
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
  hangUp(): void {
    for (const driver of Array.from(this.open)) driver.emit("end");
  }
  die(): void {
    this.mood = "refuses connections";
    this.hangUp();
  }
}

class FakeDriver extends EventEmitter implements Driver {
  readonly stream = Object.assign(new EventEmitter(), { destroy: () => this.#gone() });
  readonly #server: FakeServer;
  constructor(server: FakeServer) {
    super();
    this.#server = server;
    server.connects += 1;
    server.open.add(this);
    setImmediate(() => {
      if (server.mood === "refuses connections") this.emit("error", new Error("ECONNREFUSED"));
      else if (server.mood !== "hangs") this.emit("connect");
    });
  }
  query(_sql: string, done: DriverCallback): void {
    setImmediate(() => done(null, [[""]], []));
  }
  prepare(_sql: string, done: Parameters<Driver["prepare"]>[1]): void {
    done(null, {
      execute: (_values, answer) => {
        const { mood, name } = this.#server;
        if (mood === "answers") setImmediate(() => answer(null, [[name]], []));
        if (mood === "refuses queries") {
          setImmediate(() => answer(Object.assign(new Error("no such table"), { errno: 1146, sqlState: "42S02" })));
        }
      },
    });
  }
  end(): void {
    this.#gone();
  }
  destroy(): void {
    this.#gone();
  }
  #gone(): void {
    this.#server.open.delete(this);
    setImmediate(() => this.stream.emit("close"));
  }
}

const query = new Query(parseTemplate("SELECT '%s'", "mysql:t"), "mysql:t");

function createPool(hosts: string, random = () => 0, connections = 3) {
  const servers = new Map<string, FakeServer>();
  const addresses = hosts.split(" ").map((word) => {
    const address = parseHost(word, { port: 3306, socket: "/s" });
    if (address === undefined) throw new Error(word);
    servers.set(word, new FakeServer(word));
    return address;
  });
  const server = (name: string): FakeServer => servers.get(name) ?? new FakeServer("nobody");
  const settings = {
    hosts: addresses,
    login: { user: "", password: "", database: "d", collation: "UTF8MB4_GENERAL_CI" },
    connections,
    idleMs: 60_000,
    retryMs: 60_000,
    connectMs: 2000,
    queryMs: 4000,
  };
  const pool = new Pool(settings, clock, ({ text }) => new FakeDriver(server(text)), random);
  const ask = (): Promise<string | TableUnavailable> =>
    new Promise((resolve) => {
      pool.ask({
        query,
        key: "k",
        values: ["k"],
        label: "mysql:t",
        answered: (result) => resolve(String((result as string[][])[0]?.[0])),
        failed: resolve,
      });
    });
  return { pool, ask, server };
}

beforeEach(() => {
  now = 1000;
  timers = [];
});

describe("pool", () => {
  test("unix sockets before TCP, among equals by chance", async () => {
    const { ask, server } = createPool("a b unix:/u", () => 0.99);
    expect(await ask()).toBe("unix:/u");
    server("unix:/u").die();
    expect(await ask()).toBe("b");
    const other = createPool("a b unix:/u", () => 0);
    other.server("unix:/u").mood = "refuses connections";
    expect(await other.ask()).toBe("a");
  });

  test("a failed host rests for retry_interval while another answers", async () => {
    const { ask, server } = createPool("a b", () => 0);
    server("a").mood = "refuses connections";
    expect(await ask()).toBe("b");
    server("a").mood = "answers";
    await pass(59_000);
    server("b").die();
    expect(await Promise.all([ask(), ask()])).toEqual(["a", "a"]);
  });

  test("a failed host is not asked for a connection before retry_interval is over", async () => {
    const { ask, server } = createPool("a b", () => 0, 1);
    server("a").mood = "refuses connections";
    expect(await ask()).toBe("b");
    for (let round = 0; round < 20; round++) {
      server("b").hangUp();
      await pass(2900);
      expect(await ask()).toBe("b");
    }
    expect(server("a").connects).toBe(1);
    server("b").hangUp();
    await pass(3000);
    expect(await ask()).toBe("b");
    expect(server("a").connects).toBe(2);
  });

  test("the only host is asked again at once", async () => {
    const { ask, server } = createPool("a");
    server("a").mood = "refuses connections";
    expect(await ask()).toBeInstanceOf(TableUnavailable);
    server("a").mood = "answers";
    expect(await ask()).toBe("a");
  });

  test("when all are down they are asked again within a second, not before", async () => {
    const { ask, server } = createPool("a b");
    for (const name of ["a", "b"]) server(name).mood = "refuses connections";
    expect(await ask()).toBeInstanceOf(TableUnavailable);
    for (let round = 0; round < 5; round++) expect(await ask()).toBeInstanceOf(TableUnavailable);
    expect(server("a").connects + server("b").connects).toBe(2);
    for (const name of ["a", "b"]) server(name).mood = "answers";
    await pass(1000);
    expect(await ask()).toMatch(/^[ab]$/);
  });

  test("a host that hangs costs one connection and one connect time-out, then the other is asked", async () => {
    const { ask, server } = createPool("a b", () => 0);
    server("a").mood = "hangs";
    const answers = Promise.all([ask(), ask(), ask()]);
    await pass(2000);
    expect(await answers).toEqual(["b", "b", "b"]);
    expect(server("a").connects).toBe(1);
  });

  test("a query without an answer is asked elsewhere after query_timeout; with no other host it fails", async () => {
    const { ask, server } = createPool("a b", () => 0);
    expect(await ask()).toBe("a");
    server("a").mood = "answers nothing";
    const late = ask();
    await pass(4000);
    expect(await late).toBe("b");
    const single = createPool("a");
    single.server("a").mood = "answers nothing";
    const never = single.ask();
    await pass(4000);
    expect(await never).toMatchObject({ onlyThisKey: false, message: expect.stringMatching(/no answer in time/) });
  });

  test("a broken connection is not noticed: the question is asked again over a new one", async () => {
    const { ask, server } = createPool("a");
    expect(await ask()).toBe("a");
    server("a").mood = "answers nothing";
    const answer = ask();
    server("a").mood = "answers";
    server("a").hangUp();
    expect(await answer).toBe("a");
  });

  test("a refused query is asked of the other host, and then is this key's alone", async () => {
    const { ask, server } = createPool("a b", () => 0);
    server("a").mood = "refuses queries";
    expect(await ask()).toBe("b");
    server("b").mood = "refuses queries";
    expect(await ask()).toMatchObject({ onlyThisKey: true, message: expect.stringMatching(/no such table/) });
    server("a").mood = "answers";
    expect(await ask()).toBe("a");
  });

  test("no more connections than allowed; those not needed close when idle", async () => {
    const { ask, server, pool } = createPool("a");
    expect(new Set(await Promise.all(Array.from({ length: 50 }, ask)))).toEqual(new Set(["a"]));
    expect(server("a").connects).toBe(3);
    for (let round = 0; round < 10; round++) {
      await pass(20_000);
      expect(await ask()).toBe("a");
    }
    expect(server("a").open.size).toBe(1);
    await pass(120_000);
    expect(server("a").open.size).toBe(0);
    expect(timers).toEqual([]);
    expect(await ask()).toBe("a");
    await pool.close();
    expect(server("a").open.size).toBe(0);
    expect(await ask()).toBeInstanceOf(TableUnavailable);
  });

  test("close fails those that wait", async () => {
    const { ask, server, pool } = createPool("a");
    server("a").mood = "answers nothing";
    const answers = Promise.all(Array.from({ length: 10 }, ask));
    await settle();
    await pool.close();
    for (const answer of await answers) expect(answer).toBeInstanceOf(TableUnavailable);
    expect(timers).toEqual([]);
  });
});
