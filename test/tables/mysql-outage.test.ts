// A database that dies, hangs, comes back, moves to another server or talks rubbish, under the load of many lookups at once:
// every answer is the right one or "unavailable", never "not found", and it recovers by itself.
import { randomBytes } from "node:crypto";
import { createServer, connect } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { LookupTable } from "@postern/core";
import { randomFrom, sample, seed } from "../sampling.ts";
import { describeWith, startMariadb, temporaryFolder } from "../services/index.ts";
import type { Mariadb } from "../services/index.ts";
import { until } from "../e2e/until.ts";
import { mostHeld } from "../held-memory.ts";
import { undisturbed } from "../undisturbed.ts";
import { ask, mysqlTables, unavailable, whyUnavailable } from "./mysql-tables.ts";
import type { MysqlTables } from "./mysql-tables.ts";

const people = 200;

const sql = `
  CREATE DATABASE mail CHARACTER SET utf8mb4; USE mail;
  CREATE TABLE alias (address VARCHAR(254) PRIMARY KEY, goto VARCHAR(254));
  INSERT INTO alias SELECT CONCAT('user', seq, '@example.test'), CONCAT('box', seq) FROM seq_1_to_${people};
  CREATE USER mail@'%' IDENTIFIED BY 'secret'; GRANT ALL ON mail.* TO mail@'%';`;

/** A packet that is announced as the longest there is, and octets without end. */
function flood(client: Socket): void {
  const octets = Buffer.alloc(65_536, 10);
  const more = () => {
    if (!client.destroyed) client.write(octets, more);
  };
  client.write(Buffer.from([255, 255, 255, 0]));
  more();
}

/** Lookups without pause, many at once, counted; a wrong answer is kept. */
class Load {
  right = 0;
  unavailable = 0;
  readonly wrong: string[] = [];
  readonly #workers: Promise<void>[];
  #over = false;

  constructor(table: LookupTable, width = 20) {
    const next = randomFrom(7);
    this.#workers = Array.from({ length: width }, async () => {
      while (!this.#over) {
        const number = 1 + Math.floor(next() * people);
        const key = next() < 0.8 ? `user${number}@example.test` : `nobody${number}@example.test`;
        const expected = key.startsWith("user") ? `box${number}` : undefined;
        const answer = await ask(table, key);
        if (answer === unavailable) {
          this.unavailable += 1;
          await new Promise((resolve) => setTimeout(resolve, 5));
        } else if (answer === expected) this.right += 1;
        else this.wrong.push(`${key}: ${answer}`);
      }
    });
  }

  /** Waits for so many right answers more. */
  goOn(count: number): Promise<void> {
    const goal = this.right + count;
    return until(() => this.right >= goal);
  }

  fails(): Promise<void> {
    const before = this.unavailable;
    return until(() => this.unavailable > before);
  }

  /** The wrong answers. */
  async end(): Promise<readonly string[]> {
    this.#over = true;
    await Promise.all(this.#workers);
    return this.wrong;
  }
}

/** A server in front of one, which does to the bytes what the test says. */
async function startBetween(serve: (client: Socket) => void): Promise<AsyncDisposable & { readonly port: number }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((client) => {
    sockets.add(client);
    client.on("error", () => client.destroy());
    serve(client);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describeWith(["mariadbd", "mariadb-install-db"], "mysql tables and servers that fail", () => {
  const folder = temporaryFolder();
  let one: Mariadb;
  let two: Mariadb;
  let tables: MysqlTables;

  beforeAll(async () => {
    [one, two] = [
      await startMariadb({ folder: folder.path, name: "one", sql }),
      await startMariadb({ folder: folder.path, name: "two", sql }),
    ];
    tables = mysqlTables(folder.path);
  });
  afterAll(async () => {
    await tables?.[Symbol.asyncDispose]();
    await Promise.all([one?.stop(), two?.stop()]);
    folder[Symbol.dispose]();
  });

  let count = 0;
  /** Connections of its own for each test, by a setting that nothing else has. */
  const open = (hosts: string, more: Record<string, unknown> = {}): Promise<LookupTable> =>
    tables.open({
      type: "mysql",
      hosts,
      user: "mail",
      password: "secret",
      dbname: "mail",
      idle_interval: 600 + count++,
      query_timeout: "60s",
      connect_timeout: "60s",
      query: "SELECT goto FROM alias WHERE address = '%s'",
      ...more,
    });

  /** Where somebody is mute, and that must end. */
  const hasty = { query_timeout: "300ms", connect_timeout: "300ms" };

  const restart = async (server: Mariadb, name: string) =>
    startMariadb({ folder: folder.path, name, port: server.port });

  test("killed and started again", async () => {
    const load = new Load(await open(`127.0.0.1:${one.port}`));
    await load.goOn(500);
    await one.kill();
    await load.fails();
    one = await restart(one, "one");
    await load.goOn(500);
    expect(await load.end()).toEqual([]);
  });

  test("shut down and started again, over the unix socket", async () => {
    const load = new Load(await open(`unix:${one.socket}`));
    await load.goOn(500);
    await one.stop();
    await load.fails();
    one = await restart(one, "one");
    await load.goOn(500);
    expect(await load.end()).toEqual([]);
  });

  test("stopped in the middle, and going on", async () => {
    const load = new Load(await open(`127.0.0.1:${one.port}`, hasty));
    await load.goOn(500);
    await one.pause();
    await load.fails();
    one.resume();
    await load.goOn(500);
    expect(await load.end()).toEqual([]);
  });

  test("connections killed one by one are not noticed by anybody", async () => {
    const load = new Load(await open(`127.0.0.1:${one.port}`));
    for (let round = 0; round < 10; round++) {
      await load.goOn(100);
      const ids = one.query("SELECT id FROM information_schema.processlist WHERE user = 'mail'").trim().split("\n");
      for (const id of ids.slice(0, 3)) one.query(`KILL ${id}`);
    }
    expect(await load.end()).toEqual([]);
    expect(load.unavailable).toBe(0);
  });

  test("a connection that died while it was idle is not noticed either", async () => {
    const table = await open(`127.0.0.1:${one.port}`);
    expect(await ask(table, "user1@example.test")).toBe("box1");
    one
      .query("SELECT CONCAT('KILL ', id, ';') FROM information_schema.processlist WHERE user = 'mail'")
      .trim()
      .split("\n")
      .forEach((kill) => one.query(kill));
    expect(await ask(table, "user1@example.test")).toBe("box1");
  });

  test("one of two dies, then the other", async () => {
    const load = new Load(await open(`127.0.0.1:${one.port}, 127.0.0.1:${two.port}`));
    await load.goOn(500);
    await one.kill();
    await load.goOn(500);
    // Nobody noticed, but for those whom the kill met twice.
    expect(load.unavailable).toBeLessThan(20);
    await two.kill();
    await load.fails();
    two = await restart(two, "two");
    await load.goOn(500);
    one = await restart(one, "one");
    await load.goOn(100);
    expect(await load.end()).toEqual([]);
  });

  test("one of two hangs: after one time-out the other is asked", async () => {
    await undisturbed(async () => {
      const load = new Load(await open(`127.0.0.1:${one.port}, 127.0.0.1:${two.port}`, hasty));
      await load.goOn(500);
      await one.pause();
      try {
        await load.goOn(2000);
        // Those asked of the one that hangs, too.
        expect(await load.end()).toEqual([]);
        expect(load.unavailable).toBe(0);
      } finally {
        one.resume();
      }
    });
  });

  test("unix sockets come first", async () => {
    const table = await open(`127.0.0.1:${one.port} unix:${two.socket}`, {
      query: "SELECT @@port, '%s'",
      result_format: "%s",
    });
    for (let round = 0; round < 5; round++) expect(await ask(table, "x")).toBe(`${two.port},x`);
    const afterwards = await open(`127.0.0.1:${one.port} unix:${folder.path}/nobody`, { query: "SELECT @@port, '%s'" });
    expect(await ask(afterwards, "x")).toBe(`${one.port},x`);
  });

  test("a slow query is nobody's fault but its own", async () => {
    const query = "SELECT IF('%u' = 'slow', SLEEP(2), '%u')";
    const table = await open(`127.0.0.1:${one.port}`, { ...hasty, query });
    await undisturbed(async () => {
      const [slow, ...quick] = await Promise.all([
        whyUnavailable(table, "slow@example.test"),
        ...Array.from({ length: 50 }, (_, at) =>
          new Promise((resolve) => setTimeout(resolve, at * 10)).then(() => ask(table, `u${at}@example.test`)),
        ),
      ]);
      expect(slow).toMatchObject({ onlyThisKey: true });
      expect(quick).toEqual(Array.from({ length: 50 }, (_, at) => `u${at}`));
    });
  });

  test("a result without end costs neither memory nor the other lookups", async () => {
    const query = "SELECT REPEAT('x', 1000) FROM seq_1_to_100000000 WHERE '%u' = 'all' UNION ALL SELECT '%u'"; // prettier-ignore
    const table = await open(`127.0.0.1:${one.port}`, { query });
    const held = await mostHeld(async () => {
      for (let round = 0; round < 3; round++) {
        const [endless, ...others] = await Promise.all([
          whyUnavailable(table, "all@example.test"),
          ...Array.from({ length: 20 }, (_, at) => ask(table, `u${at}@example.test`)),
        ]);
        expect(endless).toMatchObject({ onlyThisKey: true, message: expect.stringMatching(/longer than 4194304/) });
        expect(others).toEqual(Array.from({ length: 20 }, (_, at) => `u${at}`));
      }
    });
    expect(held).toBeLessThan(40_000_000);
  });

  test("rubbish in place of a server", async () => {
    const kinds: readonly ((client: Socket) => void)[] = [
      (client) => client.end("HTTP/1.1 400 Bad Request\r\n\r\n"),
      (client) => client.end(),
      (client) => client.resetAndDestroy(),
      (client) => client.write(randomBytes(200)),
      flood,
      (client) => client.write(Buffer.concat([Buffer.from([60, 0, 0, 0, 10]), randomBytes(60)])),
      () => {},
    ];
    for (const serve of kinds) {
      await using between = await startBetween(serve);
      const table = await open(`127.0.0.1:${between.port}`, hasty);
      expect(await ask(table, "user1@example.test")).toBe(unavailable);
      await undisturbed(async () => {
        const withAnother = await open(`127.0.0.1:${between.port} 127.0.0.1:${two.port}`, hasty);
        expect(await ask(withAnother, "user1@example.test")).toBe("box1");
      });
    }
  });

  test("bytes cut off or broken on the way back", async () => {
    const next = randomFrom(seed);
    let broken = 0;
    await using between = await startBetween((client) => {
      const server = connect(two.port, "127.0.0.1");
      server.on("error", () => client.destroy());
      client.on("close", () => server.destroy());
      server.on("close", () => client.destroy());
      client.pipe(server);
      const mischief = next();
      let left = Math.floor(next() * 1500);
      server.on("data", (data) => {
        left -= data.length;
        if (left > 0) return void client.write(data);
        broken += 1;
        if (mischief < 0.5) return void client.destroy();
        // The length of a packet, so that what follows is out of step.
        data[0] = Math.floor(next() * 256);
        data[1] = Math.floor(next() * 4);
        client.write(data);
      });
    });
    const table = await open(`127.0.0.1:${between.port}`, hasty);
    const answers = new Map<string, string | undefined>();
    for (let round = 0; round < sample(40, 2000); round++) {
      const numbers = [1, 2, 3, 4].map((at) => ((round * 4 + at) % people) + 1);
      const settled = await Promise.all(numbers.map((number) => ask(table, `user${number}@example.test`)));
      numbers.forEach((number, at) => {
        if (settled[at] !== unavailable) answers.set(`box${number}`, settled[at]);
      });
    }
    expect(broken).toBeGreaterThan(1);
    expect([...answers.keys()]).toEqual([...answers.values()]);
  });
});
