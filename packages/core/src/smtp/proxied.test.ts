// Who the client is when somebody else says so: PROXY before the greeting, XCLIENT after it.
import { describe, expect, test } from "vitest";
import { createFakeClock } from "@postern/testkit";
import { createFront, sayWord, type Front } from "./front.fixture.ts";
import { parseProxyHeader } from "./proxy-header.ts";
import { permit, reject, type Session } from "../model/index.ts";
import type { Restriction } from "../policy/restriction.ts";

const signature = Buffer.from("\r\n\r\n\0\r\nQUIT\n");

function v2(command: number, family: number, body: Buffer): Buffer {
  const fixed = Buffer.from([0x20 | command, family, body.length >> 8, body.length & 255]);
  return Buffer.concat([signature, fixed, body]);
}
const v2Ipv4 = v2(1, 0x11, Buffer.from([203, 0, 113, 7, 192, 0, 2, 25, 0x30, 0x39, 0, 25]));
const v2Ipv6 = v2(
  1,
  0x21,
  Buffer.concat([
    Buffer.from("20010db8000000000000000000000007", "hex"),
    Buffer.alloc(16, 1),
    Buffer.from([0x30, 0x39, 0, 25]),
  ]),
);
const ipv4Client = { address: "203.0.113.7", port: 12345 };

describe("PROXY header", () => {
  const valid: [string, Buffer, { address: string; port: number } | undefined][] = [
    ["v1 TCP4", Buffer.from("PROXY TCP4 203.0.113.7 192.0.2.25 12345 25\r\n"), ipv4Client],
    [
      "v1 TCP6",
      Buffer.from("PROXY TCP6 2001:DB8::7 2001:db8::25 12345 25\r\n"),
      { address: "2001:db8::7", port: 12345 },
    ],
    ["v1 UNKNOWN", Buffer.from("PROXY UNKNOWN ffff:: whatever\r\n"), undefined],
    ["v2 over IPv4", v2Ipv4, ipv4Client],
    ["v2 over IPv6", v2Ipv6, { address: "2001:db8::7", port: 12345 }],
    ["v2 LOCAL", v2(0, 0, Buffer.from("anything")), undefined],
    ["v2 UNSPEC", v2(1, 0, Buffer.alloc(0)), undefined],
    ["v2 with TLVs", v2(1, 0x11, Buffer.concat([v2Ipv4.subarray(16), Buffer.alloc(100)])), ipv4Client],
  ];
  test.each(valid)("%s, whole and at every cut", (_, octets, client) => {
    const whole = Buffer.concat([octets, Buffer.from("EHLO x\r\n")]);
    const header = parseProxyHeader(whole);
    expect(header).toMatchObject({ kind: "header", length: octets.length });
    expect(header.kind === "header" ? header.client?.source : undefined).toEqual(client);
    for (let length = 0; length < octets.length; length += 1) {
      expect(parseProxyHeader(octets.subarray(0, length))).toEqual({ kind: "incomplete" });
    }
  });

  test.each([
    ["a command", "EHLO client.test\r\n"],
    ["a wrong family", "PROXY TCP5 203.0.113.7 192.0.2.25 1 25\r\n"],
    ["a name for an address", "PROXY TCP4 evil.test 192.0.2.25 1 25\r\n"],
    ["IPv6 for IPv4", "PROXY TCP4 ::1 ::1 1 25\r\n"],
    ["a port too high", "PROXY TCP4 203.0.113.7 192.0.2.25 65536 25\r\n"],
    ["too few words", "PROXY TCP4 203.0.113.7 192.0.2.25 1\r\n"],
    ["too many words", "PROXY TCP4 203.0.113.7 192.0.2.25 1 25 x\r\n"],
    ["no end", `PROXY TCP4 ${"1".repeat(200)}`],
    ["v2, of a wrong version", Buffer.concat([signature, Buffer.from([0x31, 0x11, 0, 12]), Buffer.alloc(12)])],
    ["v2, of a wrong command", v2(2, 0x11, v2Ipv4.subarray(16))],
    ["v2 over UDP", v2(1, 0x12, v2Ipv4.subarray(16))],
    ["v2 over a Unix socket", v2(1, 0x31, Buffer.alloc(216))],
    ["v2, too short for its addresses", v2(1, 0x11, Buffer.alloc(11))],
    ["v2, too long", Buffer.concat([signature, Buffer.from([0x21, 0x11, 0xff, 0xff])])],
  ])("invalid: %s", (_, octets) => {
    expect(parseProxyHeader(Buffer.from(octets)).kind).toBe("invalid");
  });

  const proxy = { listener: { proxy: ["198.51.100.0/24"] } } as const;
  const proxyPeer = { remoteAddress: "198.51.100.1" };

  test.each(["whole", "bytewise"])("the session is the client's, not the proxy's; %s", async (how) => {
    const front = await createFront({ ...proxy, networks: ["198.51.100.0/24"] });
    const talk = front.connect(proxyPeer);
    if (how === "whole") talk.send(v2Ipv4);
    else for (const octet of v2Ipv4) talk.send(Buffer.from([octet]));
    expect(await talk.reply()).toMatch(/^220 /);
    await talk.say("EHLO client.test");
    await talk.say("MAIL FROM:<a@there.test>");
    expect(await talk.say("RCPT TO:<x@elsewhere.test>")).toMatch(/^554 5\.7\.1 /);
    expect(sessionOf(front)).toMatchObject({
      client: { address: "203.0.113.7", port: 12345, inNetworks: false },
      server: { address: "192.0.2.25", port: 25 },
    });
  });

  test.each([["EHLO client.test\r\n"], ["PROXY TCP4 nonsense\r\n"]])(
    "a listed peer that says %j is dropped",
    async (said) => {
      const front = await createFront(proxy);
      const talk = front.connect(proxyPeer);
      talk.send(said);
      expect(await talk.rest()).toBe("");
      expect(front.lines()).toEqual(["NOQUEUE: turned away: 198.51.100.1: no valid PROXY header"]);
      expect(front.held).toBe(0);
    },
  );

  test("a listed peer that says nothing is dropped in time", async () => {
    const clock = createFakeClock();
    const front = await createFront({ ...proxy, clock });
    const talk = front.connect(proxyPeer);
    await clock.run(10_000);
    expect(await talk.rest()).toBe("");
  });

  test("from others it is no command", async () => {
    const talk = await (await createFront(proxy)).greeted();
    expect(await talk.say("PROXY TCP4 127.0.0.1 127.0.0.1 1 25")).toMatch(/^500 5\.5\.1 /);
  });
});

describe("XCLIENT", () => {
  const options = { listener: { xclient: ["198.51.100.1"] }, networks: ["10.0.0.0/8"] } as const;
  const proxyPeer = { remoteAddress: "198.51.100.1" };

  test("another client, greeted and judged anew", async () => {
    const connects: string[] = [];
    const front = await createFront({
      ...options,
      lists: { connect: ["mind"] },
      delayReject: false,
      words: [
        {
          ...sayWord("mind", undefined),
          compile: () => (ask) => {
            connects.push(ask.session.client.address ?? "nobody");
            return ask.session.client.address === "203.0.113.66" ? reject("not you") : undefined;
          },
        },
      ],
    });
    const talk = front.connect(proxyPeer);
    await talk.reply();
    expect(await talk.say("EHLO proxy.test")).toMatch(
      /\n250 XCLIENT NAME ADDR PORT PROTO HELO REVERSE_NAME LOGIN DESTADDR DESTPORT$/,
    );
    expect(await talk.say("XCLIENT NAME=spike.test ADDR=10.0.0.9 PORT=99 DESTADDR=192.0.2.3 DESTPORT=587")).toMatch(
      /^220 /,
    );
    expect(await talk.say("MAIL FROM:<a@there.test>")).toMatch(/^503 /);
    await talk.say("EHLO client.test");
    await talk.say("MAIL FROM:<a@there.test>");
    expect(await talk.say("RCPT TO:<x@elsewhere.test>")).toMatch(/^250 /);
    expect(await talk.say("XCLIENT ADDR=1.2.3.4")).toMatch(/^503 5\.5\.1 /);
    await talk.say("RSET");
    expect(sessionOf(front)).toMatchObject({
      client: { address: "10.0.0.9", port: 99, name: "spike.test", nameStatus: "ok", inNetworks: true },
      server: { address: "192.0.2.3", port: 587 },
    });
    expect(await talk.say("XCLIENT ADDR=203.0.113.66 NAME=[UNAVAILABLE]")).toBe("550 5.7.1 not you");
    expect(await talk.rest()).toBe("");
    expect(connects).toEqual(["198.51.100.1", "10.0.0.9", "203.0.113.66"]);
    const ids = front.events.flatMap((event) => (event.kind === "connected" ? [event.session.id] : []));
    expect(new Set(ids).size).toBe(3);
  });

  test("LOGIN stands in place of AUTH, and only with the session it was given with", async () => {
    const front = await createFront(options);
    const talk = await front.greeted(proxyPeer);
    expect(await talk.say("XCLIENT LOGIN=user+40example.test")).toMatch(/^220 /);
    expect(sessionOf(front).auth).toEqual({ identity: "user@example.test", mechanism: "XCLIENT" });
    expect(await talk.say("XCLIENT LOGIN=[UNAVAILABLE]")).toMatch(/^220 /);
    expect(sessionOf(front).auth).toBeUndefined();
    await talk.say("XCLIENT LOGIN=user");
    await talk.say("XCLIENT ADDR=192.0.2.9");
    expect(sessionOf(front).auth).toBeUndefined();
  });

  test.each([
    ["NAME=[UNAVAILABLE]", { name: "unknown", nameStatus: "permanent" }],
    ["NAME=[TEMPUNAVAIL]", { name: "unknown", nameStatus: "temporary" }],
    ["ADDR=[UNAVAILABLE]", { address: undefined, name: "unknown", inNetworks: false }],
    [
      "ADDR=IPV6:2001:DB8::1 NAME=a.test REVERSE_NAME=b.test",
      { address: "2001:db8::1", name: "a.test", reverseName: "b.test" },
    ],
    ["ADDR=::ffff:10.1.1.1 NAME=a.test", { address: "10.1.1.1", inNetworks: true }],
    ["ADDR=10.1.1.1", { address: "10.1.1.1", port: undefined, name: "unknown" }],
    ["name=s+70ike.test", { name: "spike.test" }],
    ["PORT=[UNAVAILABLE]", { port: undefined }],
  ])("%s", async (attributes, client) => {
    const front = await createFront(options);
    const talk = await front.greeted(proxyPeer);
    expect(await talk.say(`XCLIENT ${attributes}`)).toMatch(/^220 /);
    expect(sessionOf(front).client).toMatchObject(client);
  });

  test.each([
    "",
    "FOO=bar",
    "LOGIN=a+0D+0Ab",
    "ADDR=nowhere",
    "PORT=70000",
    "NAME=a+0D+0Ab",
    "NAME=a+zz",
    "PROTO=LMTP",
    "ADDR",
    "HELO=a+20b",
  ])("refused: %j", async (attributes) => {
    const front = await createFront(options);
    const talk = await front.greeted(proxyPeer);
    expect(await talk.say(`XCLIENT ${attributes}`)).toMatch(/^501 5\.5\.4 /);
    expect(sessionOf(front).client.address).toBe("198.51.100.1");
  });

  test("HELO said by the proxy is the client's, and judged like it", async () => {
    const front = await createFront({
      ...options,
      taps: ({ smtp }) => smtp.helo.tap((name) => (name === "bad.test" ? reject("bad name") : undefined)),
    });
    const talk = await front.greeted(proxyPeer);
    expect(await talk.say("XCLIENT HELO=bad.test")).toBe("550 5.7.1 bad name");
    expect(await talk.say("XCLIENT HELO=good.test PROTO=SMTP")).toMatch(/^220 /);
    expect(await talk.say("MAIL FROM:<a@there.test>")).toMatch(/^250 /);
    await talk.say("RCPT TO:<b@ours.test>");
    await talk.say("DATA");
    await talk.say("x: y\r\n.");
    expect(front.queue[0]?.text).toMatch(/^Received: from good\.test .*\r\n\tby mx\.ours\.test with SMTP id/);
  });

  test("the right to it is the connection's, whatever it said", async () => {
    const front = await createFront(options);
    const talk = await front.greeted(proxyPeer);
    expect(await talk.say("XCLIENT ADDR=203.0.113.1")).toMatch(/^220 /);
    expect(await talk.say("EHLO x.test")).toContain("XCLIENT");
    expect(await talk.say("XCLIENT ADDR=203.0.113.2")).toMatch(/^220 /);
    const stranger = await front.greeted();
    expect(stranger.transcript).not.toContain("XCLIENT");
    expect(await stranger.say("XCLIENT ADDR=198.51.100.1")).toMatch(/^550 5\.7\.0 /);
  });

  test("ADDR without NAME asks for the name of that address", async () => {
    const front = await createFront({
      ...options,
      resolver: {
        reverse: (address) => Promise.resolve(address === "203.0.113.9" ? ["real.test"] : ["proxy.test"]),
        a: (name) => Promise.resolve(name === "real.test" ? ["203.0.113.9"] : []),
        aaaa: () => Promise.resolve([]),
      },
    });
    const talk = await front.greeted(proxyPeer);
    expect(sessionOf(front).client).toMatchObject({
      name: "unknown",
      reverseName: "proxy.test",
      nameStatus: "permanent",
    });
    await talk.say("XCLIENT ADDR=203.0.113.9");
    expect(sessionOf(front).client).toMatchObject({ name: "real.test", nameStatus: "ok" });
  });
});

test("DNS that does not answer delays the greeting for a bounded time, and is temporary", async () => {
  const clock = createFakeClock();
  const hanging = (): Promise<never> => new Promise(() => {});
  const front = await createFront({ clock, resolver: { reverse: hanging, a: hanging, aaaa: hanging } });
  const talk = front.connect();
  await clock.run(10_000);
  expect(await talk.reply()).toMatch(/^220 /);
  expect(sessionOf(front).client).toMatchObject({ name: "unknown", nameStatus: "temporary" });
});

describe("no open relay", () => {
  const permitAll: Restriction = sayWord("permit", permit);
  const lists = [
    {},
    { rcpt: ["permit"] },
    { relay: ["permit"], rcpt: ["permit"] },
    { connect: ["permit"], mail: ["permit"] },
  ];
  const ways = {
    directly: { remoteAddress: "192.0.2.1", say: undefined, header: undefined },
    "by PROXY": { remoteAddress: "198.51.100.2", say: undefined, header: v2Ipv4 },
    "by XCLIENT": { remoteAddress: "198.51.100.1", say: "XCLIENT ADDR=203.0.113.7", header: undefined },
  };
  test.each(
    lists.flatMap((list) =>
      Object.entries(ways).map(([name, way]) => [JSON.stringify(list), name, list, way] as const),
    ),
  )("%s, %s", async (_list, _name, list, { remoteAddress, say, header }) => {
    const front = await createFront({
      listener: { xclient: ["198.51.100.1"], proxy: ["198.51.100.2"] },
      networks: ["10.0.0.0/8", "198.51.100.0/24"],
      lists: list,
      words: [permitAll],
      taps: ({ smtp }) => smtp.rcpt.tap(() => permit as never),
      owner: { onError: "skip" },
    });
    const talk = front.connect({ remoteAddress });
    if (header !== undefined) talk.send(header);
    await talk.reply();
    if (say !== undefined) expect(await talk.say(say)).toMatch(/^220 /);
    await talk.say("EHLO client.test");
    await talk.say("MAIL FROM:<a@there.test>");
    for (const recipient of [
      "x@elsewhere.test",
      "x%elsewhere.test@ours.test",
      '"x@elsewhere.test"@ours.test',
      "@ours.test:x@elsewhere.test",
    ]) {
      expect([recipient, await talk.say(`RCPT TO:<${recipient}>`)]).toEqual([
        recipient,
        expect.stringMatching(/^554 5\.7\.1 /),
      ]);
    }
  });
});

/** Of the last connection. */
function sessionOf(front: Front): Session {
  const last = front.events.findLast((event) => event.kind === "connected");
  if (last === undefined) throw new Error("nobody is connected");
  return last.session;
}
