// The resolver against a real UDP and TCP name server on loopback that is scripted by each case.
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { createServer, type Server } from "node:net";
import { decode, encode, TRUNCATED_RESPONSE, type Answer, type Packet } from "dns-packet";
import { afterEach, expect, test } from "vitest";
import { DnsUnavailable } from "../errors.ts";
import { systemClock, type Clock } from "../model/clock.ts";
import { undisturbed } from "../../../../test/undisturbed.ts";
import { createResolver, type ResolverOptions } from "./stub-resolver.ts";

type Script = (
  question: { name: string; type: string },
  packet: Packet,
  ask: number,
) => Partial<Packet> | Buffer | Buffer[] | undefined;

interface NameServerUnderTest {
  readonly address: string;
  readonly asked: string[];
}

const open: (Socket | Server)[] = [];
afterEach(() => {
  for (const server of open.splice(0)) server.close();
});

/** Answers by `udp`, and by `tcp` on the same port. `undefined` is silence. */
async function serve(udp: Script, tcp?: Script): Promise<NameServerUnderTest> {
  const asked: string[] = [];
  const socket = createSocket("udp4");
  open.push(socket);
  const respond = (script: Script, packet: Buffer): Buffer[] => {
    const query = decode(packet);
    const question = query.questions?.[0] ?? { name: "?", type: "A" as const };
    asked.push(`${question.type} ${question.name}`);
    const answer = script(question, query, asked.length);
    if (answer === undefined) return [];
    if (Buffer.isBuffer(answer)) return [answer];
    if (Array.isArray(answer)) return answer;
    return [encode({ type: "response", id: query.id ?? 0, questions: query.questions ?? [], ...answer })];
  };
  socket.on("message", (packet: Buffer, from: RemoteInfo) => {
    for (const answer of respond(udp, packet)) socket.send(answer, from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  const { port } = socket.address();
  if (tcp !== undefined) {
    const server = createServer((peer) => {
      peer.on("error", () => {});
      peer.on("data", (chunk) => {
        for (const answer of respond(tcp, chunk.subarray(2))) {
          const framed = Buffer.concat([Buffer.from([answer.length >> 8, answer.length & 255]), answer]);
          // In two pieces: a stream has no packets.
          peer.write(framed.subarray(0, 1));
          setImmediate(() => peer.end(framed.subarray(1)));
        }
      });
    });
    open.push(server);
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  }
  return { address: `127.0.0.1:${port}`, asked };
}

function resolverFor(server: NameServerUnderTest | readonly NameServerUnderTest[], options: ResolverOptions = {}) {
  const servers = [server].flat().map(({ address }) => address);
  return createResolver({ servers, timeoutMs: 60_000, deadlineMs: 90_000, attempts: 1, ...options });
}

const a = (name: string, data: string, ttl = 60): Answer => ({ type: "A", name, data, ttl });
const cname = (name: string, data: string): Answer => ({ type: "CNAME", name, data, ttl: 60 });
const soa = (minimum: number): Answer => ({
  type: "SOA",
  name: "test",
  ttl: 3600,
  data: { mname: "ns.test", rname: "root.test", serial: 1, refresh: 1, retry: 1, expire: 1, minimum },
});

test("reads each kind of record", async () => {
  const server = await serve(({ name, type }) => {
    const answers: Record<string, Answer[]> = {
      MX: [
        { type: "MX", name, ttl: 60, data: { preference: 20, exchange: "MX2.example.test" } },
        { type: "MX", name, ttl: 60, data: { preference: 10, exchange: "mx1.example.test" } },
      ],
      A: [a(name, "192.0.2.1")],
      AAAA: [{ type: "AAAA", name, ttl: 60, data: "2001:db8:0:0::1" }],
      PTR: [{ type: "PTR", name, ttl: 60, data: "Mail.Example.Test" }],
      NS: [{ type: "NS", name, ttl: 60, data: "NS1.Example.test" }],
      TXT: [{ type: "TXT", name, ttl: 60, data: ["v=spf1 ", "-all"] }],
    };
    return { answers: answers[type] ?? [] };
  });
  const resolver = resolverFor(server);
  expect(await resolver.mx("Example.TEST.")).toEqual([
    { priority: 10, exchange: "mx1.example.test" },
    { priority: 20, exchange: "mx2.example.test" },
  ]);
  expect(await resolver.a("example.test")).toEqual(["192.0.2.1"]);
  expect(await resolver.aaaa("bücher.test")).toEqual(["2001:db8::1"]);
  expect(await resolver.reverse("192.0.2.1")).toEqual(["mail.example.test"]);
  expect(await resolver.reverse("2001:db8::1")).toEqual(["mail.example.test"]);
  expect(await resolver.ns("example.test")).toEqual(["ns1.example.test"]);
  expect(await resolver.txt("_dmarc.example.test")).toEqual(["v=spf1 -all"]);
  expect(server.asked).toEqual([
    "MX example.test",
    "A example.test",
    "AAAA xn--bcher-kva.test",
    "PTR 1.2.0.192.in-addr.arpa",
    `PTR 1.${"0.".repeat(23)}8.b.d.0.1.0.0.2.ip6.arpa`,
    "NS example.test",
    "TXT _dmarc.example.test",
  ]);
});

test("a null MX is an empty exchange", async () => {
  const server = await serve(({ name }) => ({
    answers: [{ type: "MX", name, ttl: 60, data: { preference: 0, exchange: "." } }],
  }));
  expect(await resolverFor(server).mx("example.test")).toEqual([{ priority: 0, exchange: "" }]);
});

test("answers local names and literals without asking", async () => {
  const server = await serve(() => undefined);
  const resolver = resolverFor(server);
  expect(await resolver.a("localhost")).toEqual(["127.0.0.1"]);
  expect(await resolver.aaaa("LOCALHOST.")).toEqual(["::1"]);
  expect(await resolver.a("192.0.2.7")).toEqual(["192.0.2.7"]);
  expect(await resolver.aaaa("192.0.2.7")).toEqual([]);
  expect(await resolver.mx("192.0.2.7")).toEqual([]);
  expect(await resolver.ns("192.0.2.7")).toEqual([]);
  expect(await resolver.reverse("127.0.0.1")).toEqual(["localhost"]);
  expect(await resolver.a("")).toEqual([]);
  expect(await resolver.a(`${"x".repeat(64)}.test`)).toEqual([]);
  expect(await resolver.a("a..test")).toEqual([]);
  expect(server.asked).toEqual([]);
});

test("asks once for all who ask at the same time, and again after the TTL", async () => {
  let nowMs = 0;
  const clock: Clock = { ...systemClock, monotonic: () => nowMs };
  const server = await serve(({ name }) => ({ answers: [a(name, "192.0.2.1", 30)] }));
  const resolver = resolverFor(server, { clock });
  await Promise.all([resolver.a("one.test"), resolver.a("one.test"), resolver.a("ONE.test")]);
  nowMs = 29_999;
  await resolver.a("one.test");
  expect(server.asked).toHaveLength(1);
  nowMs = 30_000;
  await resolver.a("one.test");
  expect(server.asked).toHaveLength(2);
});

test("an empty answer is kept as long as the SOA says", async () => {
  let nowMs = 0;
  const clock: Clock = { ...systemClock, monotonic: () => nowMs };
  const server = await serve(() => ({ flags: 3, authorities: [soa(10)] }));
  const resolver = resolverFor(server, { clock });
  expect(await resolver.a("none.test")).toEqual([]);
  nowMs = 9_999;
  expect(await resolver.a("none.test")).toEqual([]);
  expect(server.asked).toHaveLength(1);
  nowMs = 10_000;
  await resolver.a("none.test");
  expect(server.asked).toHaveLength(2);
});

test("the cache is bounded", async () => {
  const server = await serve(({ name }) => ({ answers: [a(name, "192.0.2.1")] }));
  const resolver = resolverFor(server, { cacheEntries: 2 });
  for (const name of ["one.test", "two.test", "three.test", "three.test", "one.test"]) await resolver.a(name);
  expect(server.asked).toEqual(["A one.test", "A two.test", "A three.test", "A one.test"]);
});

test("follows aliases inside the packet and beyond it", async () => {
  const server = await serve(({ name }) =>
    name === "far.test"
      ? { answers: [a(name, "192.0.2.9")] }
      : { answers: [cname("near.test", "mid.test"), cname("mid.test", "far.test")] },
  );
  expect(await resolverFor(server).a("near.test")).toEqual(["192.0.2.9"]);
  expect(server.asked).toEqual(["A near.test", "A far.test"]);
});

test("aliases in a circle or without end are no answer", async () => {
  const circle = await serve(() => ({ answers: [cname("one.test", "two.test"), cname("two.test", "one.test")] }));
  await expect(resolverFor(circle).a("one.test")).rejects.toThrow(DnsUnavailable);
  const endless = await serve(({ name }) => ({ answers: [cname(name, `x.${name}`)] }));
  await expect(resolverFor(endless).a("one.test")).rejects.toThrow(DnsUnavailable);
  expect(endless.asked.length).toBeLessThanOrEqual(10);
});

test("a truncated answer is asked again over TCP", async () => {
  const many = Array.from({ length: 90 }, (_, index) => `192.0.2.${index}`);
  const server = await serve(
    () => ({ flags: TRUNCATED_RESPONSE }),
    ({ name }) => ({ answers: many.map((address) => a(name, address)) }),
  );
  expect(await resolverFor(server).a("many.test")).toEqual(many);
});

test("a server without EDNS is asked again in its own way", async () => {
  const server = await serve(({ name }, packet) =>
    (packet.additionals?.length ?? 0) > 0 ? { flags: 1 } : { answers: [a(name, "192.0.2.1")] },
  );
  expect(await resolverFor(server).a("old.test")).toEqual(["192.0.2.1"]);
});

const silent: readonly [string, Script][] = [
  ["silence", () => undefined],
  ["SERVFAIL", () => ({ flags: 2 })],
  ["REFUSED", () => ({ flags: 5 })],
  ["a referral", () => ({ flags: 0x80, authorities: [{ type: "NS", name: "test", ttl: 60, data: "ns.test" }] })],
  ["an empty answer of one who neither knows nor recurses", () => ({ flags: 0 })],
  ["TC without TCP behind it", () => ({ flags: TRUNCATED_RESPONSE })],
  ["garbage", () => Buffer.from("no packet")],
  [
    "another question",
    (_question, { id = 0 }) =>
      encode({
        type: "response",
        id,
        questions: [{ type: "A", name: "other.test" }],
        answers: [a("other.test", "192.0.2.66")],
      }),
  ],
  [
    "another id",
    ({ name }, { id = 0, questions = [] }) =>
      encode({ type: "response", id: id ^ 1, questions, answers: [a(name, "192.0.2.66")] }),
  ],
  [
    "a query in place of a response",
    ({ name }, { id = 0, questions = [] }) =>
      encode({ type: "query", id, questions, answers: [a(name, "192.0.2.66")] }),
  ],
];
test.each(silent)("%s is no answer, and the next server is asked", async (_what, script) => {
  const bad = await serve(script);
  const good = await serve(({ name }) => ({ answers: [a(name, "192.0.2.1")] }));
  await expect(resolverFor(bad, { timeoutMs: 100 }).a("name.test")).rejects.toThrow(DnsUnavailable);
  await undisturbed(async () =>
    expect(await resolverFor([bad, good], { timeoutMs: 100 }).a("name.test")).toEqual(["192.0.2.1"]),
  );
});

test("a forged datagram does not keep the true one out", async () => {
  const server = await serve(({ name }, { id = 0, questions = [] }) => [
    encode({ type: "response", id: id ^ 1, questions, answers: [a(name, "192.0.2.66")] }),
    Buffer.from([1, 2, 3]),
    encode({ type: "response", id, questions, answers: [a(name, "192.0.2.1")] }),
  ]);
  expect(await resolverFor(server).a("name.test")).toEqual(["192.0.2.1"]);
});

test("a failed question is not asked again for a moment, then anew", async () => {
  let nowMs = 0;
  const clock: Clock = { ...systemClock, monotonic: () => nowMs };
  const server = await serve(({ name }, _packet, ask) =>
    ask === 1 ? { flags: 2 } : { answers: [a(name, "192.0.2.1")] },
  );
  const resolver = resolverFor(server, { clock });
  await expect(resolver.a("name.test")).rejects.toThrow(DnsUnavailable);
  nowMs = 4_999;
  await expect(resolver.a("name.test")).rejects.toThrow(DnsUnavailable);
  expect(server.asked).toHaveLength(1);
  nowMs = 5_000;
  expect(await resolver.a("name.test")).toEqual(["192.0.2.1"]);
});

test.each<[what: string, ttl: number, bounds: Partial<ResolverOptions>, keptMs: number]>([
  ["a TTL of zero is not kept", 0, {}, 0],
  ["minTtl holds for a TTL of zero", 0, { minTtlMs: 7_000 }, 7_000],
  ["maxTtl holds for a TTL of ages", 1_000_000, { maxTtlMs: 9_000 }, 9_000],
  ["a TTL with the top bit is zero", 0x8000_0001, {}, 0],
])("%s", async (_what, ttl, bounds, keptMs) => {
  let nowMs = 0;
  const clock: Clock = { ...systemClock, monotonic: () => nowMs };
  const server = await serve(({ name }) => ({ answers: [a(name, "192.0.2.1", ttl)] }));
  const resolver = resolverFor(server, { clock, ...bounds });
  await resolver.a("one.test");
  nowMs = Math.max(keptMs - 1, 0);
  await resolver.a("one.test");
  expect(server.asked).toHaveLength(keptMs === 0 ? 2 : 1);
  nowMs = keptMs;
  await resolver.a("one.test");
  expect(server.asked).toHaveLength(keptMs === 0 ? 3 : 2);
});

test("that nothing is there is kept for the smallest of SOA, its minimum and the bound; hardly without an SOA", async () => {
  let nowMs = 0;
  const clock: Clock = { ...systemClock, monotonic: () => nowMs };
  const server = await serve(({ name }) => ({ flags: 0x400, authorities: name === "bare.test" ? [] : [soa(86_400)] }));
  const resolver = resolverFor(server, { clock, maxNegativeTtlMs: 100_000 });
  const askedAt = async (name: string, atMs: number) => {
    nowMs = atMs;
    expect(await resolver.a(name)).toEqual([]);
    return server.asked.length;
  };
  expect([await askedAt("a.test", 0), await askedAt("a.test", 99_999), await askedAt("a.test", 100_000)]).toEqual([
    1, 1, 2,
  ]);
  expect([await askedAt("bare.test", 0), await askedAt("bare.test", 4_999), await askedAt("bare.test", 5_000)]).toEqual(
    [3, 3, 4],
  );
});

test("one deadline holds for all servers, rounds and aliases", async () => {
  const server = await serve(({ name }) => (name === "far.test" ? undefined : { answers: [cname(name, "far.test")] }));
  let waitedMs = 0;
  // Time passes by timers alone: each that fires has waited to its end.
  const clock: Clock = {
    ...systemClock,
    monotonic: () => waitedMs,
    setTimer: (task, delayMs) =>
      systemClock.setTimer(() => {
        waitedMs += delayMs;
        task();
      }, 30),
  };
  const resolver = resolverFor([server, server], { clock, timeoutMs: 1_000, attempts: 100, deadlineMs: 2_500 });
  await expect(resolver.a("near.test")).rejects.toThrow(DnsUnavailable);
  expect(waitedMs).toBe(2_500);
});

test("who finds no place on the wire waits no longer than the deadline", async () => {
  const server = await serve(() => undefined);
  const resolver = resolverFor(server, { concurrency: 1, timeoutMs: 60_000, deadlineMs: 60 });
  const both = await Promise.allSettled([resolver.a("one.test"), resolver.a("two.test")]);
  expect(both.map((one) => (one.status === "rejected" ? one.reason : "answered"))).toEqual([
    expect.any(DnsUnavailable),
    expect.any(DnsUnavailable),
  ]);
});

test("questions on the wire are bounded, and all are answered", async () => {
  let most = 0;
  let now = 0;
  const socket = createSocket("udp4");
  open.push(socket);
  socket.on("message", (packet, from) => {
    most = Math.max(most, (now += 1));
    setImmediate(() => {
      now -= 1;
      const { id = 0, questions = [] } = decode(packet);
      const name = questions[0]?.name ?? "";
      socket.send(
        encode({ type: "response", id, questions, answers: [a(name, "192.0.2.1")] }),
        from.port,
        from.address,
      );
    });
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  const resolver = createResolver({ servers: [`127.0.0.1:${socket.address().port}`], concurrency: 3 });
  const answers = await Promise.all(Array.from({ length: 40 }, (_, index) => resolver.a(`n${index}.test`)));
  expect(answers.every(([address]) => address === "192.0.2.1")).toBe(true);
  expect(most).toBeLessThanOrEqual(3);
});

test("a wrong server in the config is one clear sentence", () => {
  for (const text of ["ns.example.test", "192.0.2.1:0", "[::1", "", "192.0.2.1:99999"]) {
    expect(() => createResolver({ servers: [text] })).toThrow(/dns\.servers: ".*" is no name server/);
  }
});
