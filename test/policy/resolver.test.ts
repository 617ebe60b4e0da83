// The resolver against a real name server, Knot DNS, and against what may stand in its place: nobody, a stopped process, rubbish.
import { createSocket, type Socket } from "node:dgram";
import { createResolver, type ResolverOptions } from "@postern/core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { undisturbed } from "../undisturbed.ts";
import { describeWith, freePort, startKnot, temporaryFolder, type Knot } from "../services/index.ts";

const many = Array.from({ length: 200 }, (_, index) => `10.9.0.${index}`);
const zones = {
  "example.test": [
    '@ MX 20 MX2\n@ MX 10 mx1\n@ TXT "v=spf1 " "-all"\n@ NS ns1\nns1 A 192.0.2.53\nmx1 A 192.0.2.1\nmx1 AAAA 2001:db8::1',
    "alias CNAME mx1\nfar CNAME mx.other.test.\ndangling CNAME nobody.other.test.\nloop CNAME loop",
    "nullmx MX 0 .\n*.wild A 192.0.2.7\nsub.deep A 192.0.2.8",
    ...many.map((address) => `many A ${address}`),
  ].join("\n"),
  "other.test": "mx A 192.0.2.3",
  "2.0.192.in-addr.arpa": "1 PTR mx1.example.test.\n9 PTR Two.Example.test.",
  "8.b.d.0.1.0.0.2.ip6.arpa": `1.${"0.".repeat(22)}0 PTR mx1.example.test.`,
} as const;

const unavailable = { name: "DnsUnavailable" };

describeWith(["knotd", "kdig", "knotc"], "the resolver and a real name server", () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let knot: Knot;
  beforeAll(async () => {
    folder = temporaryFolder();
    knot = await startKnot({ folder: folder.path, zones, dead: ["dead.test"], lines: ["udp-max-payload: 1232"] });
  });
  afterAll(async () => {
    await knot?.stop();
    folder?.[Symbol.dispose]();
  });

  const resolverWith = (options: ResolverOptions = {}) =>
    createResolver({ servers: [knot.server], timeoutMs: 60_000, deadlineMs: 90_000, ...options });

  test("reads what a real server says, over TCP when it does not fit into a datagram", async () => {
    const dns = resolverWith();
    expect(await dns.mx("example.test")).toEqual([
      { priority: 10, exchange: "mx1.example.test" },
      { priority: 20, exchange: "mx2.example.test" },
    ]);
    expect(await dns.mx("nullmx.example.test")).toEqual([{ priority: 0, exchange: "" }]);
    expect(await dns.a("alias.example.test")).toEqual(["192.0.2.1"]);
    expect(await dns.a("far.example.test")).toEqual(["192.0.2.3"]);
    expect(await dns.aaaa("mx1.example.test")).toEqual(["2001:db8::1"]);
    expect(await dns.ns("example.test")).toEqual(["ns1.example.test"]);
    expect(await dns.txt("example.test")).toEqual(["v=spf1 -all"]);
    expect(await dns.reverse("192.0.2.9")).toEqual(["two.example.test"]);
    expect(await dns.reverse("2001:db8::1")).toEqual(["mx1.example.test"]);
    expect(await dns.a("a.b.wild.example.test")).toEqual(["192.0.2.7"]);
    // 200 records are more than one answer may bring.
    expect(await dns.a("many.example.test")).toHaveLength(100);
  });

  test.each([
    ["no such name", "nobody.example.test"],
    ["a name without such records", "example.test"],
    ["a name that only has others below it", "deep.example.test"],
    ["no such zone", "nowhere.invalid"],
    ["an alias of a name that is not there", "dangling.example.test"],
  ])("nothing is there: %s", async (_what, name) => {
    expect(await resolverWith().aaaa(name)).toEqual([]);
  });

  test.each([
    ["a zone that the server cannot load", "x.dead.test"],
    ["an alias of itself", "loop.example.test"],
  ])("nobody can say: %s", async (_what, name) => {
    await expect(resolverWith({ attempts: 1 }).a(name)).rejects.toMatchObject(unavailable);
  });

  test("a stopped server is never 'no such domain'; another answers in its place, and itself when it runs again", async () => {
    using other = temporaryFolder();
    await using second = await startKnot({ folder: other.path, zones });
    const alone = resolverWith({ timeoutMs: 150, attempts: 1, failureTtlMs: 0 });
    const both = () => resolverWith({ servers: [knot.server, second.server], timeoutMs: 150, attempts: 1 });
    await knot.pause();
    try {
      await expect(alone.a("mx1.example.test")).rejects.toMatchObject(unavailable);
      await expect(alone.a("nobody.example.test")).rejects.toMatchObject(unavailable);
      await undisturbed(async () => expect(await both().a("mx1.example.test")).toEqual(["192.0.2.1"]));
    } finally {
      knot.resume();
    }
    await expect.poll(() => alone.a("mx1.example.test").catch(String)).toEqual(["192.0.2.1"]);
    await undisturbed(async () => expect(await alone.a("nobody.example.test")).toEqual([]));
  });

  test("a dead server costs a deadline once a question, not once for all who ask, and not for each word", async () => {
    const port = await freePort();
    const dead = await openRubbish(port, () => undefined);
    try {
      const dns = createResolver({
        servers: [`127.0.0.1:${port}`],
        timeoutMs: 100,
        attempts: 2,
        failureTtlMs: 600_000,
      });
      const ten = Array.from({ length: 10 }, () => dns.a("example.test"));
      for (const one of await Promise.allSettled(ten)) expect(one.status).toBe("rejected");
      await expect(dns.a("example.test")).rejects.toMatchObject(unavailable);
      expect(dead.datagrams).toBe(2);
    } finally {
      dead.socket.close();
    }
  });

  test("a server without a process behind its port is passed over at once", async () => {
    const nobody = `127.0.0.1:${await freePort()}`;
    const dns = resolverWith({ servers: [nobody, knot.server], timeoutMs: 60_000, deadlineMs: 60_000 });
    expect(await dns.a("mx1.example.test")).toEqual(["192.0.2.1"]);
  });

  // Each takes a true question and spoils what would be its answer.
  const rubbish: readonly [string, (query: Buffer) => Buffer | undefined][] = [
    ["noise", () => Buffer.from(Array.from({ length: 300 }, (_, index) => (index * 7919) & 255))],
    ["an empty datagram", () => Buffer.alloc(0)],
    ["a header alone", (query) => answered(query).subarray(0, 12)],
    ["counts of records that are not there", (query) => withBytes(answered(query), 6, [0xff, 0xff, 0xff, 0xff])],
    ["names that point at themselves", (query) => withBytes(answered(query), 12, [0xc0, 0x0c])],
    ["another id", (query) => withBytes(answered(query), 0, [(query[0] ?? 0) ^ 1])],
    ["another name", (query) => withBytes(answered(query), 13, [0x7a])],
    ["TC and nobody on TCP", (query) => withBytes(answered(query), 2, [0x86])],
    [
      "NXDOMAIN under another id",
      (query) => withBytes(withBytes(answered(query), 3, [0x83]), 0, [(query[0] ?? 0) ^ 1]),
    ],
    ["NXDOMAIN for another name", (query) => withBytes(withBytes(answered(query), 3, [0x83]), 13, [0x7a])],
  ];
  test.each(rubbish)("rubbish is never 'no such domain': %s", async (_what, spoil) => {
    const port = await freePort();
    const { socket } = await openRubbish(port, spoil);
    try {
      const servers = [`127.0.0.1:${port}`];
      const alone = createResolver({ servers, timeoutMs: 100, attempts: 1 });
      await expect(alone.mx("example.test")).rejects.toMatchObject(unavailable);
      await undisturbed(async () => {
        const both = createResolver({ servers: [...servers, knot.server], timeoutMs: 100, attempts: 1 });
        expect(await both.a("mx1.example.test")).toEqual(["192.0.2.1"]);
      });
    } finally {
      socket.close();
    }
  });
});

/** The question as an authoritative answer without records, and without the EDNS record of the question. */
function answered(query: Buffer): Buffer {
  return withBytes(query, 2, [0x84, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
}

function withBytes(packet: Buffer, at: number, bytes: readonly number[]): Buffer {
  const copy = Buffer.from(packet);
  copy.set(bytes, at);
  return copy;
}

async function openRubbish(port: number, spoil: (query: Buffer) => Buffer | undefined) {
  const socket: Socket = createSocket("udp4");
  const state = { socket, datagrams: 0 };
  socket.on("message", (query, from) => {
    state.datagrams += 1;
    const answer = spoil(query);
    if (answer !== undefined) socket.send(answer, from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(port, "127.0.0.1", resolve));
  return state;
}
