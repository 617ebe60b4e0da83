// The transport against scripted peers on loopback: what each failure means for each recipient, for the session and for the
// destination.
import { expect, test } from "vitest";
import {
  createStaticResolver,
  systemClock,
  type Blob,
  type Clock,
  type DeliveryReport,
  type Envelope,
  type Outcome,
  type Recipient,
  type StaticRecords,
  type Transport,
} from "@postern/core";
import { createFakeClock } from "@postern/testkit";
import { options as schema } from "./options.ts";
import { startPeer, type Act, type Script, type ScriptedPeer } from "./scripted-peer.fixture.ts";
import { createSmtpTransport } from "./smtp-transport.ts";

const small = "Subject: hello\r\n\r\nHello.\r\n";

function blob(...chunks: readonly (string | Buffer)[]): Blob {
  const buffers = chunks.map((chunk) => (typeof chunk === "string" ? Buffer.from(chunk, "latin1") : chunk));
  return {
    sizeBytes: buffers.reduce((sum, { length }) => sum + length, 0),
    chunks: buffers,
    async *read() {
      yield* buffers;
    },
    slice: () => blob(...buffers),
  };
}

/** As from a spool file: not in memory. */
function streamed(content: Blob, fault?: Error): Blob {
  return {
    ...content,
    chunks: undefined,
    async *read() {
      yield* content.read();
      if (fault !== undefined) throw fault;
    },
  };
}

interface Setup {
  readonly peer?: ScriptedPeer;
  readonly options?: object;
  readonly clock?: Clock;
  readonly dns?: Record<string, StaticRecords>;
  readonly relayhost?: string;
  readonly isOwnEndpoint?: (address: string, port: number) => boolean;
}

function transportFor(setup: Setup = {}): Transport {
  const { options = {}, clock = systemClock, dns = {}, relayhost, isOwnEndpoint = () => false } = setup;
  return createSmtpTransport(schema.parse(options), {
    name: "smtp",
    hostname: "gateway.test",
    clock,
    dns: createStaticResolver(dns),
    log: { debug: () => {} },
    random: () => 0,
    routing: { relayhost, isOwnAddress: (address) => address === "192.0.2.99", isOwnEndpoint },
  });
}

interface Delivery {
  readonly report: DeliveryReport;
  /** By address. */
  readonly outcomes: Record<string, Outcome>;
  readonly statuses: readonly string[];
}

interface Sending {
  readonly to?: readonly (string | Recipient)[];
  readonly content?: Blob;
  readonly envelope?: Partial<Omit<Envelope, "recipients">>;
  readonly nextHop: string;
  readonly signal?: AbortSignal;
}

async function send(transport: Transport, sending: Sending): Promise<Delivery> {
  const recipients = (sending.to ?? ["a@peer.test"]).map((to) =>
    typeof to === "string" ? { address: to, original: to } : to,
  );
  const settled: [string, Outcome][] = [];
  const report = await transport.deliver(
    {
      id: "M1",
      envelope: { sender: "from@gateway.test", body: "7bit", smtputf8: false, ...sending.envelope },
      recipients,
      route: { transport: "smtp", nextHop: sending.nextHop },
      content: sending.content ?? blob(small),
      more: false,
    },
    {
      settle: (recipient, outcome) => settled.push([recipient.address, outcome]),
      signal: sending.signal ?? new AbortController().signal,
    },
  );
  expect(settled.map(([address]) => address).toSorted()).toEqual(recipients.map(({ address }) => address).toSorted());
  const outcomes = Object.fromEntries(settled);
  return {
    report,
    outcomes,
    statuses: recipients.map(({ address }) => `${outcomes[address]?.status} ${outcomes[address]?.enhanced}`),
  };
}

const hop = ({ port }: ScriptedPeer): string => `[127.0.0.1]:${port}`;

async function sendTo(script: Script, sending: Partial<Sending> = {}, setup: Setup = {}) {
  const peer = await startPeer(script);
  const transport = transportFor(setup);
  try {
    return { peer, ...(await send(transport, { nextHop: hop(peer), ...sending })) };
  } finally {
    await transport.close();
    await peer.idle();
    await peer[Symbol.asyncDispose]();
  }
}

test("envelope and DATA go out in one write, and the reply is kept", async () => {
  const { peer, outcomes, report } = await sendTo({}, { to: ["a@peer.test", "b@peer.test"] });
  expect(peer.chunks[1]).toBe(
    `MAIL FROM:<from@gateway.test> SIZE=${small.length}\r\nRCPT TO:<a@peer.test>\r\nRCPT TO:<b@peer.test>\r\nDATA\r\n`,
  );
  expect(peer.contents.map(String)).toEqual([small]);
  expect(outcomes["a@peer.test"]).toEqual({
    status: "delivered",
    enhanced: "2.0.0",
    text: "250 2.0.0 queued as X1",
    inReplyTo: "end of DATA",
    remote: `127.0.0.1[127.0.0.1]:${peer.port}`,
    dsn: "passed",
  });
  expect(report).toEqual({ destination: "alive" });
});

test("without PIPELINING, and with HELO alone, each command waits for its reply", async () => {
  const { peer, statuses } = await sendTo({ ehlo: "502 5.5.1 no" }, { to: ["a@peer.test", "b@peer.test"] });
  expect(peer.chunks).toEqual([
    "EHLO gateway.test\r\n",
    "HELO gateway.test\r\n",
    "MAIL FROM:<from@gateway.test>\r\n",
    "RCPT TO:<a@peer.test>\r\n",
    "RCPT TO:<b@peer.test>\r\n",
    "DATA\r\n",
    "QUIT\r\n",
  ]);
  expect(statuses).toEqual(["delivered 2.0.0", "delivered 2.0.0"]);
});

const contents: readonly [what: string, chunks: readonly string[], wire: string][] = [
  ["dots at line starts", [".\r\n..\r\n.x\r\n\r\n.\r\n"], "..\r\n...\r\n..x\r\n\r\n..\r\n"],
  ["dots elsewhere", ["a.b\r\na.\r\n"], "a.b\r\na.\r\n"],
  ["a dot at the start of a chunk after CRLF", ["a\r\n", ".b\r\n", "."], "a\r\n..b\r\n..\r\n"],
  ["a dot at the start of a chunk inside a line", ["a", ".b\r\n"], "a.b\r\n"],
  ["CR and LF in different chunks", ["a\r", "\n", ".b\r", "\n"], "a\r\n..b\r\n"],
  ["no final CRLF", ["a\r\nb"], "a\r\nb\r\n"],
  ["a final bare CR", ["a\r"], "a\r\r\n"],
  ["bare CR and bare LF elsewhere", ["a\rb\nc\r\r\nd\r\n"], "a\rb\nc\r\r\nd\r\n"],
  ["a smuggled end after a bare LF", ["a\n.\r\nMAIL FROM:<x>\r\n"], "a\n..\r\nMAIL FROM:<x>\r\n"],
  [
    "every octet",
    [
      Array.from({ length: 256 }, (_, octet) => String.fromCharCode(octet))
        .join("")
        .replace("\n", "") + "\r\n",
    ],
    "",
  ],
  ["nothing", [], ""],
];
test.each(contents)("content with %s", async (_what, chunks, wire) => {
  for (const content of [blob(...chunks), streamed(blob(...chunks))]) {
    const { peer, statuses } = await sendTo({}, { content });
    expect(peer.contents[0]?.toString("latin1")).toBe(wire === "" ? chunks.join("") : wire);
    expect(statuses).toEqual(["delivered 2.0.0"]);
  }
});

test("three megabytes with dots arrive whole, from memory and from a stream", async () => {
  const line = `${"x".repeat(70)}\r\n.${"y".repeat(70)}\r\n`;
  const text = line.repeat(22_000);
  const chunks: string[] = [];
  for (let at = 0; at < text.length; at += 65_521) chunks.push(text.slice(at, at + 65_521));
  for (const content of [blob(...chunks), streamed(blob(...chunks))]) {
    const { peer, statuses } = await sendTo({ ehlo: ["PIPELINING"] }, { content });
    expect(statuses).toEqual(["delivered 2.0.0"]);
    expect(peer.contents[0]?.toString().replaceAll("\r\n..", "\r\n.") === text).toBe(true);
  }
});

/** Two recipients; the expected statuses, and how the destination fared. */
const failures: readonly [
  what: string,
  script: Script,
  statuses: readonly string[],
  destination: string,
  text?: RegExp,
][] = [
  ["greeting 421", { greeting: "421 4.3.2 too busy" }, ["deferred 4.3.2", "deferred 4.3.2"], "throttled"],
  [
    "greeting 554",
    { greeting: "554 5.7.1 go away" },
    ["deferred 4.7.1", "deferred 4.7.1"],
    "dead",
    /^554 5\.7\.1 go away$/,
  ],
  ["close before the greeting", { greeting: "close" }, ["deferred 4.4.2", "deferred 4.4.2"], "dead"],
  ["garbage for a greeting", { greeting: "hello there" }, ["deferred 4.4.2", "deferred 4.4.2"], "dead"],
  [
    "EHLO and HELO refused for good",
    { ehlo: "550 5.7.0 no", helo: "550 5.7.0 no" },
    ["bounced 5.7.0", "bounced 5.7.0"],
    "alive",
  ],
  [
    "EHLO and HELO refused for now",
    { ehlo: "450 no", helo: "450 4.7.0 no" },
    ["deferred 4.7.0", "deferred 4.7.0"],
    "throttled",
  ],
  ["close after EHLO", { ehlo: "close" }, ["deferred 4.4.2", "deferred 4.4.2"], "dead"],
  ["MAIL 550", { mail: () => "550 5.1.8 no sender" }, ["bounced 5.1.8", "bounced 5.1.8"], "alive"],
  ["MAIL 451", { mail: () => "451 later" }, ["deferred 4.0.0", "deferred 4.0.0"], "alive"],
  ["MAIL 421", { mail: () => "421 4.7.0 bye" }, ["deferred 4.7.0", "deferred 4.7.0"], "throttled"],
  [
    "MAIL answered by a close",
    { mail: () => "close" },
    ["deferred 4.4.2", "deferred 4.4.2"],
    "alive",
    /lost connection .* while sending MAIL FROM$/,
  ],
  [
    "first RCPT 550",
    { rcpt: (_, nth) => (nth === 1 ? "550-5.1.1 nobody\n550 5.1.1 at home" : "250 ok") },
    ["bounced 5.1.1", "delivered 2.0.0"],
    "alive",
    /^550 5\.1\.1 nobody at home$/,
  ],
  [
    "second RCPT 450",
    { rcpt: (_, nth) => (nth === 2 ? "450 4.2.0 greylisted" : "250 ok") },
    ["delivered 2.0.0", "deferred 4.2.0"],
    "alive",
  ],
  [
    "every RCPT 550",
    { rcpt: () => "550 5.1.1 nobody", data: "554 5.5.1 no valid recipients" },
    ["bounced 5.1.1", "bounced 5.1.1"],
    "alive",
  ],
  [
    "every RCPT 550 and 354 all the same",
    { rcpt: () => "550 5.1.1 nobody" },
    ["bounced 5.1.1", "bounced 5.1.1"],
    "alive",
  ],
  ["enhanced code of the wrong class", { rcpt: () => "550 4.1.1 odd" }, ["bounced 5.0.0", "bounced 5.0.0"], "alive"],
  [
    "second RCPT 421",
    { rcpt: (_, nth) => (nth === 2 ? { raw: "421 4.7.0 bye\r\n", close: true } : "250 ok") },
    ["deferred 4.4.2", "deferred 4.7.0"],
    "throttled",
  ],
  [
    "close at the second RCPT",
    { rcpt: (_, nth) => (nth === 2 ? "close" : "550 5.1.1 nobody") },
    ["bounced 5.1.1", "deferred 4.4.2"],
    "alive",
  ],
  ["DATA 554", { data: "554 5.7.1 no" }, ["bounced 5.7.1", "bounced 5.7.1"], "alive"],
  ["DATA 451", { data: "451 4.3.0 later" }, ["deferred 4.3.0", "deferred 4.3.0"], "alive"],
  ["DATA 250", { data: "250 what" }, ["deferred 4.0.0", "deferred 4.0.0"], "alive"],
  ["close at DATA", { data: "close" }, ["deferred 4.4.2", "deferred 4.4.2"], "alive", /while sending DATA$/],
  ["dot 554", { end: () => "554 5.6.0 spam" }, ["bounced 5.6.0", "bounced 5.6.0"], "alive", /^554 5\.6\.0 spam$/],
  ["dot 452", { end: () => "452 4.3.1 full" }, ["deferred 4.3.1", "deferred 4.3.1"], "alive"],
  ["dot 421", { end: () => "421 4.3.2 bye" }, ["deferred 4.3.2", "deferred 4.3.2"], "throttled"],
  [
    "close after the dot",
    { end: () => "close" },
    ["deferred 4.4.2", "deferred 4.4.2"],
    "alive",
    /sending end of data -- message may be sent more than once$/,
  ],
  ["reset after the dot", { end: () => "reset" }, ["deferred 4.4.2", "deferred 4.4.2"], "alive"],
  ["garbage after the dot", { end: () => "bravo" }, ["deferred 4.5.0", "deferred 4.5.0"], "alive"],
  ["a code of 700", { mail: () => "700 what" }, ["deferred 4.5.0", "deferred 4.5.0"], "alive"],
  [
    "garbage at MAIL",
    { mail: () => ({ raw: Buffer.from([0xff, 0x00, 0x0a]) }) },
    ["deferred 4.5.0", "deferred 4.5.0"],
    "alive",
  ],
  [
    "lines without end at RCPT",
    { rcpt: () => ({ raw: "250-more\r\n".repeat(600) }) },
    ["deferred 4.5.0", "deferred 4.5.0"],
    "alive",
  ],
  [
    "an unasked reply with the 354",
    { data: "354 go\n250 2.0.0 queued" },
    ["deferred 4.5.0", "deferred 4.5.0"],
    "alive",
  ],
];
test.each(failures)("%s", async (_what, script, statuses, destination, text) => {
  const delivery = await sendTo(script, { to: ["a@peer.test", "b@peer.test"] });
  expect(delivery.statuses).toEqual(statuses);
  expect(delivery.report.destination).toBe(destination);
  if (text !== undefined) expect(delivery.outcomes["a@peer.test"]?.text).toMatch(text);
});

test("the same failures without PIPELINING", async () => {
  for (const [what, script, statuses, destination] of failures) {
    if (script.ehlo !== undefined || script.greeting !== undefined) continue;
    const delivery = await sendTo({ ehlo: ["DSN"], ...script }, { to: ["a@peer.test", "b@peer.test"] });
    expect([what, delivery.report.destination, ...delivery.statuses]).toEqual([what, destination, ...statuses]);
  }
});

test("a port that is closed", async () => {
  const peer = await startPeer();
  await peer[Symbol.asyncDispose]();
  const { outcomes, report } = await send(transportFor(), { nextHop: hop(peer) });
  expect(outcomes["a@peer.test"]).toEqual({
    status: "deferred",
    enhanced: "4.4.1",
    text: `connect to 127.0.0.1[127.0.0.1]:${peer.port}: Connection refused`,
    remote: `127.0.0.1[127.0.0.1]:${peer.port}`,
  });
  expect(report.destination).toBe("dead");
});

test("several next-hops: each in turn, until one takes what is left", async () => {
  await using first = await startPeer({ rcpt: (_line, nth) => (nth === 1 ? "450 4.2.1 later" : "550 5.1.1 no") });
  await using second = await startPeer({});
  await using third = await startPeer({});
  await using gone = await startPeer({});
  const nobody = hop(gone);
  await gone[Symbol.asyncDispose]();
  const transport = transportFor();
  const { statuses, outcomes, report } = await send(transport, {
    nextHop: `${nobody}, ${hop(first)}, ${hop(second)}, ${hop(third)}`,
    to: ["late@peer.test", "bad@peer.test"],
  });
  expect(statuses).toEqual(["delivered 2.0.0", "bounced 5.1.1"]);
  expect(outcomes["late@peer.test"]?.remote).toBe(`127.0.0.1[127.0.0.1]:${second.port}`);
  expect([first, second, third].map(({ connections }) => connections)).toEqual([1, 1, 0]);
  expect(report.destination).toBe("alive");
  await transport.close();
});

const hopFailures: readonly [
  what: string,
  nextHop: (alive: string, dead: string) => string,
  status: string,
  text: RegExp,
][] = [
  ["not found, then dead", (_, dead) => `[none.test], ${dead}`, "deferred 4.4.1", /Connection refused/],
  // A name that is not found must not bounce what a host may take later.
  ["dead, then not found", (_, dead) => `${dead}, [none.test]`, "deferred 4.4.1", /Connection refused/],
  ["not found now, then not found", () => "[late.test], [none.test]", "deferred 4.4.3", /not found for now/],
  ["none is found", () => "[none.test], [nowhere.test]", "bounced 5.4.4", /name=nowhere.test/],
  ["a loop ends the list", (alive) => `[192.0.2.98]:2525, ${alive}`, "bounced 5.4.6", /loops back to myself/],
];
test.each(hopFailures)("several next-hops: %s", async (_what, nextHop, status, text) => {
  await using alive = await startPeer({});
  const gone = await startPeer({});
  await gone[Symbol.asyncDispose]();
  const transport = transportFor({
    dns: { "late.test": { a: "unavailable", aaaa: "unavailable" } },
    isOwnEndpoint: (address) => address === "192.0.2.98",
  });
  const { statuses, outcomes } = await send(transport, { nextHop: nextHop(hop(alive), hop(gone)) });
  expect(statuses).toEqual([status]);
  expect(outcomes["a@peer.test"]?.text).toMatch(text);
  expect(alive.connections).toBe(0);
});

test.each([
  ["[none.test]", /Host not found/],
  ["[192.0.2.98]:2525", /loops back to myself/],
])("what is wrong with the relayhost %s is the operator's to mend: the mail waits", async (relayhost, text) => {
  const isOwnEndpoint = (address: string): boolean => address === "192.0.2.98";
  const transport = transportFor({ relayhost, isOwnEndpoint });
  const { statuses, outcomes } = await send(transport, { nextHop: relayhost });
  expect(statuses).toEqual(["deferred 4.3.5"]);
  expect(outcomes["a@peer.test"]?.text).toMatch(text);
});

/** More than the system holds between two ends of a connection. */
const large = blob(...(Array.from({ length: 512 }).fill(Buffer.alloc(65_536, "x")) as Buffer[]));
const midway: readonly [string, Script, string, RegExp][] = [
  [
    "a close",
    { during: { after: 200_000, act: "close" } },
    "deferred 4.4.2",
    /lost connection .* while sending message body$/,
  ],
  ["a reset", { during: { after: 200_000, act: "reset" } }, "deferred 4.4.2", /while sending message body$/],
  ["an early no", { during: { after: 200_000, act: "552 5.3.4 too big" } }, "bounced 5.3.4", /^552 5\.3\.4 too big$/],
  [
    "an early no and a close",
    { during: { after: 200_000, act: { raw: "452 4.3.1 full\r\n", close: true } } },
    "deferred 4.3.1",
    /full$/,
  ],
  ["an early yes", { during: { after: 200_000, act: "250 2.0.0 thanks" } }, "deferred 4.5.0", /protocol error/],
];
test.each(midway)("%s in the middle of the content", async (_what, script, status, text) => {
  for (const content of [large, streamed(large)]) {
    const { peer, statuses, outcomes } = await sendTo({ ehlo: ["PIPELINING"], ...script }, { content });
    expect(statuses).toEqual([status]);
    expect(outcomes["a@peer.test"]?.text).toMatch(text);
    expect(peer.contents).toEqual([]);
  }
});

test("a content that cannot be read to its end is never ended with a dot", async () => {
  const { peer, statuses } = await sendTo({}, { content: streamed(blob(small), new Error("read failed")) });
  expect(statuses).toEqual(["deferred 4.3.0"]);
  expect(peer.contents).toEqual([]);
});

const waits: readonly [what: string, script: Script, waitMs: number, status: string, text: RegExp][] = [
  ["greeting", { greeting: "silence" }, 300_000, "deferred 4.4.2", /initial server greeting/],
  ["EHLO", { ehlo: "silence" }, 300_000, "deferred 4.4.2", /HELO handshake/],
  ["MAIL", { mail: () => "silence" }, 300_000, "deferred 4.4.2", /timed out while sending MAIL FROM$/],
  ["RCPT", { rcpt: () => "silence" }, 300_000, "deferred 4.4.2", /timed out while sending RCPT TO$/],
  ["DATA", { data: "silence" }, 120_000, "deferred 4.4.2", /timed out while sending DATA$/],
  [
    "the final dot",
    { end: () => "silence" },
    600_000,
    "deferred 4.4.2",
    /timed out while sending end of data -- message may/,
  ],
  [
    "room for the content",
    { deaf: true, ehlo: ["PIPELINING"] },
    180_000,
    "deferred 4.4.2",
    /timed out while sending message body$/,
  ],
];
test.each(waits)("the wait for %s has an end", async (what, script, waitMs, status, text) => {
  const clock = createFakeClock();
  const peer = await startPeer(script);
  let over = false;
  const content = what === "room for the content" ? large : blob(small);
  const sending = send(transportFor({ clock }), { nextHop: hop(peer), content }).finally(() => (over = true));
  // The clock is moved only when the peer has what it will not answer, and the wait has begun.
  const asked = { greeting: /^$/, EHLO: /^EHLO/, MAIL: /^DATA/, RCPT: /^DATA/, DATA: /^DATA/ }[what] ?? /^DATA/;
  await until(() => (what === "greeting" ? peer.connections > 0 : peer.commands.some((line) => asked.test(line))));
  if (what === "the final dot") await until(() => peer.contents.length > 0);
  await settle();
  await clock.run(waitMs - 1_000);
  expect(over).toBe(false);
  await clock.run(2_000);
  const { statuses, outcomes } = await sending;
  expect(statuses).toEqual([status]);
  expect(outcomes["a@peer.test"]?.text).toMatch(text);
  expect(clock.pending).toBe(0);
  await peer[Symbol.asyncDispose]();
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

/** Lets what is on its way through loopback arrive. */
async function settle(): Promise<void> {
  for (let round = 0; round < 30; round += 1) await new Promise((resolve) => setTimeout(resolve, 2));
}

test("STARTTLS is taken when offered, and said so", async () => {
  const { peer, outcomes } = await sendTo({ ehlo: ["PIPELINING", "STARTTLS"] });
  expect(outcomes["a@peer.test"]).toMatchObject({ status: "delivered", tls: expect.stringMatching(/^TLSv1\.3 TLS_/) });
  expect(peer.commands.map((line) => line.slice(0, 4))).toEqual([
    "EHLO",
    "STAR",
    "EHLO",
    "MAIL",
    "RCPT",
    "DATA",
    "QUIT",
  ]);
});

const brokenTls: readonly [string, Script, number][] = [
  ["a handshake that fails", { brokenTls: true }, 2],
  ["a close after STARTTLS", { starttls: "close" }, 2],
  ["STARTTLS refused", { starttls: "454 4.7.0 not now" }, 1],
];
test.each(brokenTls)("%s is followed by delivery in clear", async (_what, script, connections) => {
  const { peer, outcomes } = await sendTo({ ehlo: ["PIPELINING", "STARTTLS"], ...script });
  expect(outcomes["a@peer.test"]?.status).toBe("delivered");
  expect(outcomes["a@peer.test"]?.tls).toBeUndefined();
  expect(peer.connections).toBe(connections);
});

test("with tls none STARTTLS is not even asked", async () => {
  const { peer } = await sendTo({ ehlo: ["STARTTLS"] }, {}, { options: { tls: "none", helo: "other.test" } });
  expect(peer.commands.slice(0, 2)).toEqual(["EHLO other.test", "MAIL FROM:<from@gateway.test>"]);
});

const dsnRecipient = {
  address: "a@peer.test",
  original: "a@peer.test",
  orcpt: "rfc822;a+2B@old.test",
  notify: ["success", "failure"],
} as const;
const needs: readonly [
  what: string,
  ehlo: readonly string[],
  sending: Partial<Sending>,
  commands: readonly string[],
  statuses: readonly string[],
][] = [
  [
    "DSN parameters for each recipient, when offered",
    ["DSN"],
    {
      to: [dsnRecipient, { address: "b@peer.test", original: "b@peer.test", notify: ["never"] }],
      envelope: { ret: "hdrs", envid: "id+2B1" },
    },
    [
      "MAIL FROM:<from@gateway.test> RET=HDRS ENVID=id+2B1",
      "RCPT TO:<a@peer.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a+2B@old.test",
      "RCPT TO:<b@peer.test> NOTIFY=NEVER",
    ],
    ["delivered 2.0.0", "delivered 2.0.0"],
  ],
  [
    "no DSN parameters when not offered",
    ["8BITMIME"],
    { to: [dsnRecipient], envelope: { ret: "full" } },
    ["MAIL FROM:<from@gateway.test>", "RCPT TO:<a@peer.test>"],
    ["delivered 2.0.0"],
  ],
  [
    "BODY when declared and offered",
    ["8BITMIME"],
    { envelope: { body: "8bitmime" } },
    ["MAIL FROM:<from@gateway.test> BODY=8BITMIME"],
    ["delivered 2.0.0"],
  ],
  [
    "no BODY for what is 7-bit after all",
    [],
    { envelope: { body: "8bitmime" } },
    ["MAIL FROM:<from@gateway.test>"],
    ["delivered 2.0.0"],
  ],
  [
    "8-bit content that cannot be carried",
    [],
    { envelope: { body: "8bitmime" }, content: blob("a: b\r\n\r\n\xfc\r\n") },
    [],
    ["bounced 5.6.3"],
  ],
  [
    "undeclared 8-bit content as it is",
    [],
    { content: blob("a: b\r\n\r\n\xfc\r\n") },
    ["MAIL FROM:<from@gateway.test>"],
    ["delivered 2.0.0"],
  ],
  ["a message beyond the peer's SIZE", ["SIZE 10"], {}, [], ["bounced 5.3.4"]],
  ["SIZE without a limit", ["SIZE"], {}, [`MAIL FROM:<from@gateway.test> SIZE=${small.length}`], ["delivered 2.0.0"]],
  [
    "SMTPUTF8 when asked and offered",
    ["SMTPUTF8"],
    { envelope: { smtputf8: true } },
    ["MAIL FROM:<from@gateway.test> SMTPUTF8"],
    ["delivered 2.0.0"],
  ],
  [
    "UTF-8 addresses when offered",
    ["SMTPUTF8"],
    { to: ["jürgen@bücher.test"] },
    ["MAIL FROM:<from@gateway.test> SMTPUTF8", "RCPT TO:<jürgen@bücher.test>"],
    ["delivered 2.0.0"],
  ],
  [
    "a U-label domain by its A-labels",
    [],
    { to: ["a@bücher.test"], envelope: { sender: "from@bücher.test", smtputf8: true } },
    ["MAIL FROM:<from@xn--bcher-kva.test>", "RCPT TO:<a@xn--bcher-kva.test>"],
    ["delivered 2.0.0"],
  ],
  [
    "a local part that needs SMTPUTF8, and one that does not",
    [],
    { to: ["jürgen@peer.test", "a@peer.test"] },
    ["MAIL FROM:<from@gateway.test>", "RCPT TO:<a@peer.test>"],
    ["bounced 5.6.7", "delivered 2.0.0"],
  ],
  [
    "UTF-8 in the header",
    [],
    { envelope: { smtputf8: true }, content: blob("Subject: \xc3\xbc\r\n\r\n") },
    [],
    ["bounced 5.6.7"],
  ],
  [
    "UTF-8 in the body alone",
    [],
    { envelope: { smtputf8: true }, content: blob("Subject: u\r", "\n\r\n\xc3\xbc\r\n") },
    ["MAIL FROM:<from@gateway.test>"],
    ["delivered 2.0.0"],
  ],
  [
    "a null sender and odd quoting",
    [],
    { to: ['"a>b c"@peer.test'], envelope: { sender: "" } },
    ["MAIL FROM:<>", 'RCPT TO:<"a>b c"@peer.test>'],
    ["delivered 2.0.0"],
  ],
  ["an address with a line end", [], { to: ["a\r\nQUIT@peer.test"] }, [], ["bounced 5.1.3"]],
  ["a sender with a line end", [], { envelope: { sender: "a\r\nQUIT@peer.test" } }, [], ["bounced 5.1.7"]],
];
test.each(needs)("%s", async (_what, ehlo, sending, commands, statuses) => {
  for (const extensions of [ehlo, ["PIPELINING", ...ehlo]]) {
    const delivery = await sendTo({ ehlo: extensions }, sending);
    expect(delivery.statuses).toEqual(statuses);
    expect(delivery.peer.commands.slice(1, 1 + commands.length)).toEqual(commands);
    if (commands.length === 0) expect(delivery.peer.commands.slice(1)).toEqual(["QUIT"]);
  }
});

test("a session is kept for the next message, and closed when idle or old", async () => {
  const clock = createFakeClock();
  await using peer = await startPeer();
  const transport = transportFor({ clock });
  for (let round = 0; round < 3; round += 1) await send(transport, { nextHop: hop(peer) });
  expect(peer.connections).toBe(1);
  expect(peer.contents).toHaveLength(3);
  await clock.run(6_300);
  await until(() => peer.commands.at(-1) === "QUIT");
  await send(transport, { nextHop: hop(peer) });
  expect(peer.connections).toBe(2);
  for (let round = 0; round < 80; round += 1) {
    await clock.run(4_000);
    await send(transport, { nextHop: hop(peer) });
  }
  expect(peer.connections).toBe(3);
  await transport.close();
  await until(() => peer.commands.at(-1) === "QUIT");
});

test("refused recipients do not cost the session, and nothing is left of their transaction", async () => {
  for (const ehlo of [["PIPELINING"], []]) {
    await using peer = await startPeer({
      ehlo,
      rcpt: (line) => (line.includes("bad") ? "550 5.1.1 no" : "250 ok"),
      data: (nth) => (nth === 1 ? "554 5.5.1 nobody" : "354 go"),
    });
    const transport = transportFor();
    expect((await send(transport, { nextHop: hop(peer), to: ["bad@peer.test"] })).statuses).toEqual(["bounced 5.1.1"]);
    expect((await send(transport, { nextHop: hop(peer) })).statuses).toEqual(["delivered 2.0.0"]);
    expect(peer.connections).toBe(1);
    expect(peer.commands.filter((line) => line === "RSET")).toHaveLength(1);
    await transport.close();
  }
});

test("a kept session that the peer has closed is replaced without a word", async () => {
  const deaths: readonly ((nth: number) => Act | undefined)[] = [
    (nth) => (nth === 2 ? "close" : undefined),
    (nth) => (nth === 2 ? "reset" : undefined),
    (nth) => (nth === 2 ? { raw: "421 4.4.2 idle too long\r\n", close: true } : undefined),
  ];
  for (const death of deaths) {
    await using peer = await startPeer({ mail: (_line, nth) => death(nth) ?? "250 ok" });
    const transport = transportFor();
    await send(transport, { nextHop: hop(peer) });
    const { statuses, report } = await send(transport, { nextHop: hop(peer) });
    expect(statuses).toEqual(["delivered 2.0.0"]);
    expect(report.destination).toBe("alive");
    expect(peer.connections).toBe(2);
    await transport.close();
  }
});

test("a kept session closed while idle is forgotten", async () => {
  await using peer = await startPeer();
  const transport = transportFor();
  await send(transport, { nextHop: hop(peer) });
  peer.hangUp();
  await settle();
  expect((await send(transport, { nextHop: hop(peer) })).statuses).toEqual(["delivered 2.0.0"]);
  await transport.close();
});

test("a message that a kept session may have taken is not sent again in the same delivery", async () => {
  await using peer = await startPeer({ end: (nth) => (nth === 2 ? "close" : "250 ok") });
  const transport = transportFor();
  await send(transport, { nextHop: hop(peer) });
  expect((await send(transport, { nextHop: hop(peer) })).statuses).toEqual(["deferred 4.4.2"]);
  expect(peer.contents).toHaveLength(2);
  await transport.close();
});

test("the next host is tried for whoever the first one puts off, and for nobody else", async () => {
  await using second = await startPeer();
  // Another address of loopback with the same port.
  const first = await startOn("127.0.0.2", second.port, {
    rcpt: (line) => (line.includes("late") ? "450 4.2.0 later" : line.includes("bad") ? "550 5.1.1 no" : "250 ok"),
  });
  const dns = {
    "peer.test": {
      mx: [
        [10, "mx1.test"],
        [20, "mx2.test"],
      ] as const,
    },
    "mx1.test": { a: ["127.0.0.2"] },
    "mx2.test": { a: ["127.0.0.1"] },
  };
  const transport = transportFor({ dns, options: { port: second.port } });
  const { statuses } = await send(transport, {
    nextHop: "peer.test",
    to: ["ok@peer.test", "late@peer.test", "bad@peer.test"],
  });
  expect(statuses).toEqual(["delivered 2.0.0", "delivered 2.0.0", "bounced 5.1.1"]);
  expect(second.commands.filter((line) => line.startsWith("RCPT"))).toEqual(["RCPT TO:<late@peer.test>"]);
  await transport.close();
  await first.close();
});

test.each([
  ["refuses the connection", undefined],
  ["greets with 554", { greeting: "554 no" }],
  ["greets with 421", { greeting: "421 busy" }],
  ["refuses HELO", { ehlo: "550 no", helo: "550 no" }],
  ["closes in the content", { data: "354 go\n421 bye" }],
] as readonly [string, Script | undefined][])(
  "a first host that %s is followed by the second",
  async (_what, script) => {
    await using second = await startPeer();
    const first = script === undefined ? undefined : await startOn("127.0.0.2", second.port, script);
    const dns = {
      "peer.test": {
        mx: [
          [10, "mx1.test"],
          [20, "mx2.test"],
        ] as const,
      },
      "mx1.test": { a: ["127.0.0.2"] },
      "mx2.test": { a: ["127.0.0.1"] },
    };
    const transport = transportFor({ dns, options: { port: second.port } });
    const { statuses, report } = await send(transport, { nextHop: "peer.test" });
    expect(statuses).toEqual(["delivered 2.0.0"]);
    expect(report.destination).toBe("alive");
    await transport.close();
    await first?.close();
  },
);

test("a message that the first host may have taken is not offered to the second", async () => {
  await using second = await startPeer();
  const first = await startOn("127.0.0.2", second.port, { end: () => "close" });
  const dns = {
    "peer.test": {
      mx: [
        [10, "mx1.test"],
        [20, "mx2.test"],
      ] as const,
    },
    "mx1.test": { a: ["127.0.0.2"] },
    "mx2.test": { a: ["127.0.0.1"] },
  };
  const transport = transportFor({ dns, options: { port: second.port } });
  expect((await send(transport, { nextHop: "peer.test" })).statuses).toEqual(["deferred 4.4.2"]);
  expect(second.connections).toBe(0);
  await transport.close();
  await first.close();
});

async function startOn(address: string, port: number, script: Script): Promise<{ close(): Promise<void> }> {
  const peer = await startPeer(script, port, address);
  return { close: async () => peer[Symbol.asyncDispose]() };
}

test("an aborted delivery ends at once, but not after the final dot", async () => {
  for (const [script, expected] of [
    [{ greeting: "silence" }, "deferred 4.3.2"],
    [{ mail: () => "silence" }, "deferred 4.4.2"],
  ] as readonly [Script, string][]) {
    await using peer = await startPeer(script);
    const controller = new AbortController();
    const sending = send(transportFor(), { nextHop: hop(peer), signal: controller.signal });
    await until(() => peer.connections > 0 && (script.greeting !== undefined || peer.commands.length > 1));
    controller.abort();
    const { statuses } = await sending;
    expect(statuses[0]?.slice(0, 8)).toBe(expected.slice(0, 8));
  }
  let answer = (): void => {};
  await using peer = await startPeer({
    end: () => {
      setTimeout(() => answer(), 20);
      return "silence";
    },
  });
  const controller = new AbortController();
  answer = () => {
    controller.abort();
    peer.say("250 2.0.0 at last");
  };
  expect((await send(transportFor(), { nextHop: hop(peer), signal: controller.signal })).statuses).toEqual([
    "delivered 2.0.0",
  ]);
});

test("an address that is none of a name's is deferred or bounced by what DNS says", async () => {
  const cases: readonly [nextHop: string, dns: Record<string, StaticRecords>, status: string][] = [
    ["none.test", {}, "bounced 5.1.2"],
    ["down.test", { "down.test": { mx: "unavailable" } }, "deferred 4.4.3"],
    ["null.test", { "null.test": { mx: [[0, ""]] } }, "bounced 5.1.10"],
    ["[none.test]", {}, "bounced 5.4.4"],
    ["[none.test", {}, "bounced 5.4.4"],
    ["a:b:c", {}, "bounced 5.4.4"],
  ];
  for (const [nextHop, dns, status] of cases) {
    const { statuses, report } = await send(transportFor({ dns }), { nextHop });
    const destination = status.startsWith("deferred") ? "dead" : "alive";
    expect([nextHop, report.destination, ...statuses]).toEqual([nextHop, destination, status]);
  }
});
