// tcp_table(5) beside the real postmap: the same octets on the wire, the same answers.
import { afterAll, beforeAll, expect, test } from "vitest";
import { randomFrom, sample, seed } from "../sampling.ts";
import { describeWith, temporaryFolder } from "../services/index.ts";
import { ask, createNetTables, Postmap, printAnswers, randomKeys, unavailable, type NetTables } from "./net-tables.ts";
import { lines, startNetServer } from "../../packages/plugin-maps-net/src/net-server.fixture.ts";

/** Every octet but the harmless may be coded, in any case. */
function encodeSomehow(value: string, random: () => number): string {
  return [...Buffer.from(value)]
    .map((octet) => {
      const code = octet.toString(16).padStart(2, "0");
      if (octet === 0x25 || octet === 0x0a || random() < 0.3) return `%${random() < 0.5 ? code : code.toUpperCase()}`;
      return String.fromCharCode(octet);
    })
    .join("");
}

describeWith(["postmap"], "tcp tables and postmap", () => {
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

  test("generated keys and values", async () => {
    const random = randomFrom(seed);
    const keys = randomKeys(random, sample(1000, 10_000));
    const values = randomKeys(random, keys.length);
    const replies = new Map<string, string>();
    await using server = await startNetServer(lines, (request, socket) => {
      let reply = replies.get(request);
      if (reply === undefined) {
        const value = values[Math.floor(random() * values.length)] ?? "x";
        reply = random() < 0.3 ? "500 nothing %\n".replace("%", "%25") : `200 ${encodeSomehow(value, random)}\n`;
        replies.set(request, reply);
      }
      socket.write(reply, "latin1");
    });
    const spec = `tcp:127.0.0.1:${server.port}`;
    const theirs = await postmap.print(spec, keys);
    const said = server.heard.splice(0);
    const ours = await printAnswers(await tables.open(spec), keys);
    expect(server.heard).toEqual(said);
    expect(ours).toBe(theirs);
    expect(ours.split("\n").length).toBeGreaterThan(keys.length / 2);
  });

  const replies: readonly { reply: string; expect: string | undefined; theirs?: string | undefined }[] = [
    { reply: "200 x y\n", expect: "x y" },
    { reply: "200  x \n", expect: " x " },
    { reply: "200\tx\n", expect: "x" },
    { reply: "299 x\n", expect: "x" },
    { reply: "200 x\r\n", expect: "x\r" },
    { reply: "200 a%20b%0A%25\n", expect: "a b\n%" },
    { reply: "200 %c3%A4\n", expect: "ä" },
    { reply: "500 x\n", expect: undefined },
    { reply: "500 \n", expect: undefined },
    { reply: "550 x\n", expect: undefined },
    { reply: "400 later\n", expect: unavailable },
    { reply: "499 later\n", expect: unavailable },
    { reply: "500\n", expect: unavailable },
    { reply: "200\n", expect: unavailable },
    { reply: "200x y\n", expect: unavailable },
    { reply: "100 x\n", expect: unavailable },
    { reply: "700 x\n", expect: unavailable },
    { reply: "2 x\n", expect: unavailable },
    { reply: "hello\n", expect: unavailable },
    { reply: "\n", expect: unavailable },
    { reply: "200 %\n", expect: unavailable },
    { reply: "200 %4\n", expect: unavailable },
    { reply: "200 %zz\n", expect: unavailable },
    { reply: "500 %zz\n", expect: unavailable },
    { reply: "200 %ff\n", expect: unavailable },
    { reply: "200 \xff\n", expect: unavailable },
    { reply: `200 ${"x".repeat(4091)}\n`, expect: "x".repeat(4091) },
    // An empty value and one cut at a NUL are no answers here.
    { reply: "200 \n", expect: unavailable, theirs: "" },
    { reply: "200 a%00b\n", expect: unavailable, theirs: "a" },
  ];
  // All at once: after an error postmap rests for a second.
  test("each form of a reply", async () => {
    const got = await Promise.all(
      replies.map(async ({ reply }) => {
        await using server = await startNetServer(lines, (_, socket) => socket.write(reply, "latin1"));
        const spec = `tcp:127.0.0.1:${server.port}`;
        return { reply, ours: await ask(await tables.open(spec), "key"), theirs: await postmap.ask(spec, "key") };
      }),
    );
    const wanted = replies.map(({ reply, expect: ours, ...other }) => ({ reply, ours, theirs: ours, ...other }));
    expect(got).toEqual(wanted);
  });

  test("one octet more than Postfix takes", async () => {
    await using server = await startNetServer(lines, (_, socket) => socket.write(`200 ${"x".repeat(4092)}\n`));
    const table = await tables.open(`tcp:127.0.0.1:${server.port}`);
    expect(await ask(table, "key")).toBe(unavailable);
  });

  test("may not name files, users or mailboxes", async () => {
    await expect(tables.open("tcp:127.0.0.1:1", { trustedOnly: true })).rejects.toThrow(/stranger/);
    expect((await tables.open("tcp:localhost:1")).kind).toBe("pattern");
  });

  test.for(["tcp:", "tcp:host", "tcp:host:0", "tcp:host:x", "tcp:a b:1", "tcp:host:65536"])(
    "%s is refused",
    async (spec) => {
      await expect(tables.open(spec)).rejects.toThrow(/table/);
    },
  );
});
