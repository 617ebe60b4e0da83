// memcache_table(5) with a real memcached, beside the real postmap on the same one; and what is left when it hangs, dies, comes back.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { randomFrom, sample, seed } from "../sampling.ts";
import { describeWith, startMemcached, temporaryFolder, type Memcached } from "../services/index.ts";
import { ask, createNetTables, Postmap, printAnswers, randomKeys, unavailable, type NetTables } from "./net-tables.ts";
import { lines, startNetServer } from "../../packages/plugin-maps-net/src/net-server.fixture.ts";

describeWith(["memcached", "postmap"], "memcache tables", () => {
  const folder = temporaryFolder();
  const postmap = new Postmap(folder.path);
  let tables: NetTables;
  let memcached: Memcached;
  beforeAll(async () => {
    tables = createNetTables(folder.path);
    memcached = await startMemcached({ folder: folder.path });
  });
  afterAll(async () => {
    await tables[Symbol.asyncDispose]();
    await memcached.stop();
    folder[Symbol.dispose]();
  });

  function writeCf(name: string, settings: Readonly<Record<string, string>>): string {
    const all = { memcache: `inet:127.0.0.1:${memcached.port}`, timeout: "60", ...settings };
    const path = join(folder.path, name);
    writeFileSync(
      path,
      Object.entries(all)
        .map(([key, value]) => `${key} = ${value}\n`)
        .join(""),
    );
    return `memcache:${path}`;
  }

  const set = (key: string, value: string) =>
    memcached.command(`set ${key} 0 0 ${Buffer.byteLength(value)}\r\n${value}`);

  /** Without the keys that Postfix sends and we do not: the protocol forbids control characters. */
  const withoutControls = (key: string) => !/[\x01-\x08\x0e-\x1f\x7f]/.test(key);

  test.for([
    { name: "plain.cf", settings: {} },
    { name: "prefix.cf", settings: { key_format: "mail:%s:%%" } },
    { name: "user.cf", settings: { key_format: "%d/%u" } },
    { name: "domain.cf", settings: { domain: "example.test, other.test" } },
  ])("generated keys: $name", async ({ name, settings }) => {
    const random = randomFrom(seed);
    const keys = randomKeys(random, sample(400, 5000)).filter(
      (key) => withoutControls(key) && Buffer.byteLength(key) < 230,
    );
    keys.push("a@example.test", "b@other.test", "c@sub.example.test", "@example.test", "example.test");
    for (const key of keys) {
      const stored = key.toLowerCase();
      const user = /^(.+)@([^@]+)$/.exec(stored);
      if (/\s/.test(stored) || random() < 0.3) continue;
      await set(stored, `plain ${stored}`);
      await set(`mail:${stored}:%`, `prefixed ${stored}`);
      if (user !== null) await set(`${user[2]}/${user[1]}`, `parts of ${stored}`);
    }
    const spec = writeCf(name, settings);
    const theirs = await postmap.print(spec, keys);
    expect(await printAnswers(await tables.open(spec), keys)).toBe(theirs);
    expect(theirs).not.toBe("");
  });

  test("keys that memcached cannot have", async () => {
    const table = await tables.open(writeCf("limits.cf", {}));
    const stranger = "x\r\nset forged 0 0 1\r\ny\r\nget forged";
    for (const key of ["a b", "a\tb", "a\0b", "\x01", stranger, ""]) expect(await ask(table, key)).toBeUndefined();
    expect(await memcached.command("get forged")).toBe("END\r\n");
    await set("k".repeat(250), "long");
    expect(await ask(table, "k".repeat(250))).toBe("long");
    expect(await ask(table, "k".repeat(251))).toBe(unavailable);
    expect(await ask(table, "ä".repeat(126))).toBe(unavailable);
    expect(await postmap.ask(writeCf("limits.cf", {}), "k".repeat(251))).toBe(unavailable);
    // It was the key's fault: nothing is shut for the others.
    for (let count = 0; count < 10; count++) await ask(table, `${count}`.padEnd(300, "k"));
    await set("after", "ok");
    expect(await ask(table, "after")).toBe("ok");
  });

  test("data_size_limit", async () => {
    await set("exact", "x".repeat(100));
    await set("over", "x".repeat(101));
    const spec = writeCf("size.cf", { data_size_limit: "100" });
    const table = await tables.open(spec);
    for (const key of ["exact", "over"]) expect(await ask(table, key)).toBe(await postmap.ask(spec, key));
    expect(await ask(table, "over")).toBe(unavailable);
  });

  test("the backup is asked and its answer stored, with flags and ttl, as Postfix does", async () => {
    writeFileSync(join(folder.path, "backup"), "Ours backup value\ntheirs backup value\nlong xxxxxxxxxxxxxxxxxxxx\n");
    const heard: string[] = [];
    await using server = await startNetServer(lines, (request, socket) => {
      heard.push(request);
      if (request.startsWith("get ")) socket.write("END\r\n");
      else if (request.startsWith("set ")) socket.write("STORED\r\n");
    });
    const settings = {
      backup: `texthash:${join(folder.path, "backup")}`,
      flags: "7",
      ttl: "60",
      data_size_limit: "15",
    };
    const spec = writeCf("backup.cf", { ...settings, memcache: `inet:127.0.0.1:${server.port}`, key_format: "p:%s" });
    const table = await tables.open(spec);
    expect(await ask(table, "oUrs")).toBe("backup value");
    await expect.poll(() => heard.length).toBe(3);
    expect(await postmap.ask(spec, "tHeirs")).toBe("backup value");
    const said = (name: string) => [`get p:${name}`, `set p:${name} 7 60 12`, "backup value"];
    expect(heard).toEqual([...said("ours"), ...said("theirs")]);
    expect(await ask(table, "long")).toBe("x".repeat(20));
    expect(await ask(table, "nobody")).toBeUndefined();
    expect(heard.slice(6)).toEqual(["get p:long", "get p:nobody"]);
    expect(tables.warnings.filter((text) => text.includes("data_size_limit = 15 and is not stored"))).toHaveLength(1);
  });

  test("the backup in a real memcached, and as an object", async () => {
    const table = await tables.open({
      type: "memcache",
      memcache: `127.0.0.1:${memcached.port}`,
      key_format: "obj:%s",
      backup: { "first@example.test": "from the backup" },
    });
    expect(await ask(table, "first@example.test")).toBe("from the backup");
    const stored = () => memcached.command("get obj:first@example.test");
    await expect.poll(stored).toBe("VALUE obj:first@example.test 0 15\r\nfrom the backup\r\nEND\r\n");
    await set("obj:first@example.test", "cached");
    expect(await ask(table, "first@example.test")).toBe("cached");
  });

  test("over a unix socket", async () => {
    await using other = await startMemcached({ folder: join(folder.path, "u"), unix: true });
    await other.command("set k 0 0 1\r\nv");
    const table = await tables.open(writeCf("unix.cf", { memcache: `unix:${other.socket}` }));
    expect(await ask(table, "k")).toBe("v");
  });

  test("may not name files, users or mailboxes; wrong parameters are said", async () => {
    await expect(tables.open(writeCf("t.cf", {}), { trustedOnly: true })).rejects.toThrow(/stranger/);
    await expect(tables.open(writeCf("w1.cf", { key_format: "%x" }))).rejects.toThrow(/%x/);
    await expect(tables.open(writeCf("w2.cf", { max_try: "0" }))).rejects.toThrow(/max_try/);
    await expect(tables.open(writeCf("w3.cf", { memcache: "nonsense:x:y" }))).rejects.toThrow(/nonsense/);
    await tables.open(writeCf("w4.cf", { time_out: "3" }));
    expect(tables.warnings.join()).toMatch(/unknown parameter "time_out".*timeout/);
  });

  test("hangs, dies and comes back under load: each answer right or unavailable, with a backup always right", async () => {
    const seedIt = async () => {
      for (let number = 0; number < 20; number++) await set(`load${number}`, `value${number}`);
    };
    await seedIt();
    writeFileSync(
      join(folder.path, "behind"),
      Array.from({ length: 20 }, (_, number) => `load${number} value${number}\n`).join(""),
    );
    const quick = { timeout: "1", retry_pause: "0" };
    const alone = await tables.open(writeCf("alone.cf", quick));
    const behind = await tables.open(
      writeCf("behind.cf", { ...quick, backup: `texthash:${join(folder.path, "behind")}` }),
    );
    let stop = false;
    const seen = { right: 0, unavailable: 0 };
    const asker = async (which: number) => {
      for (let round = which; !stop; round++) {
        const key = `load${round % 20}`;
        const right = `value${round % 20}`;
        const got = await ask(alone, key);
        if (got === right) seen.right++;
        else if (got === unavailable) seen.unavailable++;
        // A memcached that was started again has forgotten everything, which is an answer.
        else expect({ key, got }).toEqual({ key, got: undefined });
        expect(await ask(behind, key)).toBe(right);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const askers = Array.from({ length: 8 }, (_, which) => asker(which));
    const more = async (what: "right" | "unavailable") => {
      const now = seen[what];
      await expect.poll(() => seen[what]).toBeGreaterThan(now);
    };
    try {
      await more("right");
      await memcached.pause();
      await more("unavailable");
      memcached.resume();
      await more("right");
      const { port } = memcached;
      await memcached.kill();
      await more("unavailable");
      memcached = await startMemcached({ folder: folder.path, port });
      await seedIt();
      await more("right");
    } finally {
      stop = true;
      await Promise.all(askers);
    }
  });
});
