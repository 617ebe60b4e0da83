// socketmap_table(5) beside the real postmap: the same octets on the wire, the same answers.
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { randomFrom, sample, seed } from "../sampling.ts";
import { describeWith, temporaryFolder } from "../services/index.ts";
import { ask, createNetTables, Postmap, printAnswers, randomKeys, unavailable, type NetTables } from "./net-tables.ts";
import { netstring, netstrings, startNetServer } from "../../packages/plugin-maps-net/src/net-server.fixture.ts";

describeWith(["postmap"], "socketmap tables and postmap", () => {
  const folder = temporaryFolder();
  const postmap = new Postmap(folder.path);
  let tables: NetTables;
  beforeAll(() => {
    tables = createNetTables(folder.path);
  });
  afterAll(async () => {
    await tables[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
  });

  test.for(["inet", "unix"])("generated keys and values over %s", async (family) => {
    const random = randomFrom(seed);
    const keys = randomKeys(random, sample(1000, 10_000));
    const replies = new Map<string, string>();
    const where = family === "unix" ? join(folder.path, "map.sock") : 0;
    await using server = await startNetServer(
      netstrings,
      (request, socket) => {
        let reply = replies.get(request);
        if (reply === undefined) {
          const value = Buffer.from(keys[Math.floor(random() * keys.length)] ?? "x").toString("latin1");
          reply = random() < 0.3 ? "NOTFOUND " : `OK ${value}`;
          replies.set(request, reply);
        }
        socket.write(netstring(reply), "latin1");
      },
      where,
    );
    const spec = `socketmap:${family === "unix" ? `unix:${where}` : `inet:127.0.0.1:${server.port}`}:virtual`;
    const theirs = await postmap.print(spec, keys);
    const said = server.heard.splice(0);
    const ours = await printAnswers(await tables.open(spec), keys);
    expect(server.heard).toEqual(said);
    expect(ours).toBe(theirs);
    expect(ours.split("\n").length).toBeGreaterThan(keys.length / 2);
  });

  const replies: readonly { reply: string; expect: string | undefined; theirs?: string | undefined }[] = [
    { reply: netstring("OK x y"), expect: "x y" },
    { reply: netstring("OK  x "), expect: " x " },
    { reply: netstring("OK \xc3\xa4\n"), expect: "ä\n" },
    { reply: netstring("NOTFOUND "), expect: undefined },
    { reply: netstring("NOTFOUND x"), expect: undefined },
    { reply: netstring("NOTFOUND"), expect: undefined },
    { reply: netstring("TEMP later"), expect: unavailable },
    { reply: netstring("TIMEOUT x"), expect: unavailable },
    { reply: netstring("PERM x"), expect: unavailable },
    { reply: netstring("PERM"), expect: unavailable },
    { reply: netstring("OKAY x"), expect: unavailable },
    { reply: netstring("ok x"), expect: unavailable },
    { reply: netstring(""), expect: unavailable },
    { reply: netstring("OK \xff"), expect: unavailable },
    { reply: "4:OK x;", expect: unavailable },
    { reply: "x:OK x,", expect: unavailable },
    { reply: "100001:", expect: unavailable },
    { reply: "9".repeat(200), expect: unavailable },
    { reply: netstring(`OK ${"x".repeat(99_997)}`), expect: "x".repeat(99_997) },
    // Without a blank it is no OK; a zero before the length is no netstring; an empty value and one with a NUL are no answers here.
    { reply: netstring("OK"), expect: unavailable, theirs: undefined },
    { reply: "04:OK x,", expect: unavailable, theirs: "x" },
    { reply: netstring("OK "), expect: unavailable, theirs: "" },
    { reply: netstring("OK a\0b"), expect: unavailable, theirs: "a" },
  ];
  // All at once: after an error postmap rests for a second.
  test("each form of a reply", async () => {
    const got = await Promise.all(
      replies.map(async ({ reply }) => {
        await using server = await startNetServer(netstrings, (_, socket) => socket.write(reply, "latin1"));
        const spec = `socketmap:inet:127.0.0.1:${server.port}:virtual`;
        return { reply, ours: await ask(await tables.open(spec), "key"), theirs: await postmap.ask(spec, "key") };
      }),
    );
    const wanted = replies.map(({ reply, expect: ours, ...other }) => ({ reply, ours, theirs: ours, ...other }));
    expect(got).toEqual(wanted);
  });

  test("may not name files, users or mailboxes", async () => {
    await expect(tables.open("socketmap:unix:x:m", { trustedOnly: true })).rejects.toThrow(/stranger/);
    expect((await tables.open("socketmap:unix:x:m")).kind).toBe("pattern");
  });

  test.for([
    "socketmap:",
    "socketmap:inet:host:1",
    "socketmap:inet:host:1:",
    "socketmap:host:1:m",
    "socketmap:unix::m",
    "socketmap:inet:host:x:m",
  ])("%s is refused", async (spec) => {
    await expect(tables.open(spec)).rejects.toThrow(/table/);
  });
});
