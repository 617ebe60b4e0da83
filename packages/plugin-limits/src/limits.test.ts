// The limits in a whole gateway in memory: real sessions, a clock that is moved by hand, a state store that two gateways share.
import { checkConfig, createMemoryStateStore, definePlugin, resolveConfig, type StateStore } from "@postern/core";
import {
  createFakeClock,
  createTestGateway,
  instantiate,
  smtp,
  type FakeClock,
  type TestGateway,
} from "@postern/testkit";
import { afterEach, expect, test } from "vitest";
import { z } from "zod";
import limits from "./index.ts";
import { parseRate } from "./rate.ts";

const open: { readonly gateway: TestGateway; readonly clock: FakeClock }[] = [];
afterEach(async () => {
  const closed = Promise.all(open.map(({ gateway }) => gateway.close()));
  // Sessions that are still open are given no time.
  for (const { clock } of open.splice(0)) await clock.run(1);
  await closed;
});

const config = { domains: { relay: ["example.test"] } };

async function start(options: object, clock: FakeClock = createFakeClock(), stateStore?: StateStore, more = {}) {
  const plugins = [trusting, [limits, options]] as never;
  const gateway = await createTestGateway(
    { ...config, ...more },
    { plugins, clock, ...(stateStore !== undefined && { stateStore }) },
  );
  open.push({ gateway, clock });
  return gateway;
}

/** Everybody is whom it says to be. */
const trusting = definePlugin({
  name: "trusting",
  apiVersion: 1,
  options: z.strictObject({}),
  setup: (gateway) =>
    gateway.authenticator({
      name: "trusting",
      description: "Believes everybody.",
      verify: ({ identity }) => ({ kind: "ok", identity }),
    }),
});
const login = (user: string): string => `AUTH PLAIN ${Buffer.from(`\0${user}\0secret`).toString("base64")}`;

const mail = "MAIL FROM:<a@source.test>";
const rcpt = "RCPT TO:<b@example.test>";

test.each([
  ["100/1h", { most: 100, windowMs: 3_600_000 }],
  ["100/h", { most: 100, windowMs: 3_600_000 }],
  ["0 / 30s", { most: 0, windowMs: 30_000 }],
  ["100", undefined],
  ["100/0s", undefined],
  ["-1/1h", undefined],
  ["1/1y", undefined],
  ["1/100d", undefined],
])("rate %s", (text, expected) => expect(parseRate(text)).toEqual(expected));

test("messages and recipients of a client network are counted in a window, over all its sessions", async () => {
  const clock = createFakeClock();
  const gateway = await start({ clients: { messages: "2/1h", recipients: "3/1h" }, ipv4Prefix: 24 }, clock);
  const first = smtp(gateway);
  await first.say(mail).expect(/^250/).say(rcpt).expect(/^250/).say("RSET").say(mail).expect(/^250/).say("RSET");
  await smtp(gateway, { remoteAddress: "192.0.2.99" }).say(mail).expect("450 4.7.1 Too much mail from 192.0.2.99");
  await smtp(gateway, { remoteAddress: "192.0.3.1" }).say(mail).expect(/^250/);
  await clock.run(3_600_000);
  const again = smtp(gateway);
  for (let count = 0; count < 3; count++)
    again
      .say(count === 0 ? mail : "NOOP")
      .say(rcpt)
      .expect(/^250/);
  await again.say(rcpt).expect("450 4.7.1 Too many recipients from 192.0.2.1");
});

test("a sender and a recipient have limits of their own; the null sender has none", async () => {
  const gateway = await start({ senders: { messages: "1/1h" }, recipients: { messages: "2/1h" } });
  const session = smtp(gateway);
  await session.say(mail).expect(/^250/).say("RSET").say("MAIL FROM:<A@SOURCE.test>");
  await session.expect("450 4.7.1 Too much mail from <A@source.test>");
  await session.say("MAIL FROM:<>").expect(/^250/).say("RSET").say("MAIL FROM:<>").expect(/^250/);
  await session.say(rcpt).expect(/^250/).say(rcpt).expect(/^250/).say(rcpt);
  await session.expect("450 4.2.1 <b@example.test>: Too much mail for this recipient");
});

test("open sessions of one network: the next is refused with 421 until one ends", async () => {
  const gateway = await start({ clients: { sessions: 2 } });
  const one = smtp(gateway);
  const two = smtp(gateway);
  await one;
  await two;
  await smtp(gateway, { bare: true }).expect("421 4.7.0 Too many sessions from 192.0.2.1").closed();
  await smtp(gateway, { remoteAddress: "192.0.2.2" }).expect(/^250/);
  await one.say("QUIT").closed();
  await new Promise((resolve) => setImmediate(resolve));
  await smtp(gateway).expect(/^250/);
});

test("new sessions in a window, and whom the lists let pass", async () => {
  const gateway = await start({
    clients: { newSessions: "1/1m" },
    senders: { messages: "0/1m" },
    allow: { clients: ["198.51.100.0/24"], senders: ["@friend.test"] },
  });
  await smtp(gateway).say("MAIL FROM:<x@friend.test>").expect(/^250/);
  await smtp(gateway, { bare: true }).expect(/^421 4\.7\.0 Too many new sessions/);
  for (let count = 0; count < 3; count++) {
    await smtp(gateway, { remoteAddress: "198.51.100.7" }).say(mail).expect(/^250/);
    await smtp(gateway, { remoteAddress: "127.0.0.1" }).say(mail).expect(/^250/);
  }
});

test("a user is limited wherever it comes from, and not by its network", async () => {
  const listener = { name: "test", host: "127.0.0.1", port: 25, auth: "offered", authWithoutTls: true };
  const options = {
    clients: { messages: "0/1h" },
    users: { sessions: 2, messages: "2/1h" },
    allow: { users: ["root"] },
  };
  const gateway = await start(options, undefined, undefined, { listeners: [listener] });
  const one = smtp(gateway).say(login("ann")).expect(/^235/).say(mail).expect(/^250/).say("RSET");
  await one.say("RSET").say("MAIL FROM:<>").expect(/^250/);
  const two = smtp(gateway, { remoteAddress: "198.51.100.1" }).say(login("Ann")).expect(/^235/);
  await two.say(mail).expect("450 4.7.1 Too much mail from Ann");
  await smtp(gateway).say(login("ann")).expect("454 4.7.0 Too many sessions of this user");
  await smtp(gateway).say(login("bob")).expect(/^235/).say(mail).expect(/^250/);
  for (let count = 0; count < 3; count++)
    await smtp(gateway).say(login("root")).expect(/^235/).say(mail).expect(/^250/);
  await two.say("QUIT").closed();
  await new Promise((resolve) => setImmediate(resolve));
  await smtp(gateway).say(login("ann")).expect(/^235/);
});

test("gateways that share a state store know of each other's counts a second later, and of a dead one's not for long", async () => {
  const clock = createFakeClock();
  const store = createMemoryStateStore({ clock });
  const options = { clients: { sessions: 1, messages: "2/1h" } };
  const [here, there] = [await start(options, clock, store), await start(options, clock, store)];
  const client = smtp(here).say(mail).expect(/^250/).say("RSET").say(mail).expect(/^250/);
  await client;
  const other = smtp(there);
  await other.expect(/^250/);
  await clock.run(1000);
  await other.say(mail).expect(/^250/);
  await clock.run(1000);
  await other
    .say("RSET")
    .say(mail)
    .expect(/^450 4\.7\.1/);
  await smtp(there, { bare: true }).expect(/^421 4\.7\.0 Too many sessions/);
  // Both end; nobody holds anything open any more.
  await client.hangUp();
  await other.hangUp();
  await clock.run(20_000);
  await smtp(here).expect(/^250/);
});

test("a store that fails: limits count for this process alone, and the log says so once a minute", async () => {
  const clock = createFakeClock();
  const memory = createMemoryStateStore({ clock });
  const fail = (): never => {
    throw new Error("the disk is on fire");
  };
  const broken: StateStore = {
    ...memory,
    sweep: () => 0,
    close: () => undefined,
    space: (name) => ({ ...memory.space(name), increment: fail, put: fail, scan: fail, delete: fail, get: fail }),
  };
  const gateway = await start({ clients: { messages: "1/1h", sessions: 5 } }, clock, broken);
  const session = smtp(gateway);
  await session.say(mail).expect(/^250/).say("RSET");
  await clock.run(5000);
  await session.say(mail).expect(/^450 4\.7\.1 Too much mail/);
  const lines = () => gateway.log.filter((line) => line.includes("on fire"));
  expect(lines()).toHaveLength(1);
  expect(lines()[0]).toMatch(/^warn plugin limits: the state store cannot be asked/);
});

test("the tarpit: refusals after the free ones come later and later", async () => {
  const clock = createFakeClock();
  const gateway = await start({ tarpit: { after: 1, delay: "2s", longest: "3s" } }, clock);
  const session = smtp(gateway).say("WRONG").expect(/^500/);
  await session;
  for (const waitMs of [2000, 3000, 3000]) {
    let heard = "";
    const slow = session.say("WRONG").then((reply) => void (heard = reply));
    await clock.run(waitMs - 1);
    expect(heard).toBe("");
    await clock.run(1);
    await slow;
    expect(heard).toMatch(/^500/);
  }
  const trusted = smtp(gateway, { remoteAddress: "127.0.0.1" });
  for (let count = 0; count < 3; count++) await trusted.say("WRONG").expect(/^500/);
});

test("a client that hangs up in the tarpit leaves nothing behind", async () => {
  const clock = createFakeClock();
  const gateway = await start({ tarpit: { after: 0, delay: "20s" } }, clock);
  const session = smtp(gateway).raw("WRONG\r\n");
  await session;
  await clock.run(1000);
  await session.hangUp();
  await clock.run(1);
  expect(gateway.log.at(-1)).toMatch(/disconnect from/);
  expect(gateway.runtime.status().generation.users).toBe(0);
});

test("an error before DATA in one packet does not take the deadline from the message", async () => {
  const clock = createFakeClock();
  const limits = { dataTimeout: "5m" };
  const gateway = await start({ tarpit: { after: 0, delay: "2s" } }, clock, undefined, { limits });
  const session = smtp(gateway).raw(`${mail}\r\n${rcpt}\r\nWRONG\r\nDATA\r\n`);
  await session;
  await clock.run(2000);
  await session.read().read().read().read().expect(/^354/);
  await clock.run(300_000);
  await session
    .read()
    .expect(/^421 4\.4\.2/)
    .closed();
});

test("the greet pause: who speaks first is turned away, who waits is greeted and waits only once", async () => {
  const clock = createFakeClock();
  const gateway = await start({ greetPause: { delay: "4s" } }, clock);
  const eager = gateway.connect({ remoteAddress: "192.0.2.1" });
  let heard = "";
  eager.on("data", (octets: Buffer) => (heard += octets.toString()));
  await clock.run(1000);
  eager.write("EHLO spam.test\r\n");
  await clock.run(1000);
  expect(heard).toBe("554 5.5.0 Client spoke before the greeting\r\n");
  expect(gateway.log.join("\n")).toMatch(/reject: CONNECT from .*: 554 5\.5\.0 Client spoke before the greeting/);
  await clock.run(4000);
  const gone = gateway.connect({ remoteAddress: "192.0.2.1" });
  await clock.run(1000);
  gone.end();
  await clock.run(1000);
  await clock.run(4000);
  // Neither of them has waited.
  const patient = gateway.connect({ remoteAddress: "192.0.2.1" });
  heard = "";
  patient.on("data", (octets: Buffer) => (heard += octets.toString()));
  await clock.run(3999);
  expect(heard).toBe("");
  await clock.run(1);
  expect(heard).toMatch(/^220/);
  await smtp(gateway, { bare: true }).expect(/^220/);
  await smtp(gateway, { bare: true, remoteAddress: "127.0.0.1" }).expect(/^220/);
});

test("a greet pause whose store fails: everybody waits, and nobody is turned away", async () => {
  const clock = createFakeClock();
  const memory = createMemoryStateStore({ clock });
  const fail = (): never => {
    throw new Error("the disk is on fire");
  };
  const space = (name: string) => ({ ...memory.space(name), get: fail, put: fail }) as never;
  const broken: StateStore = { ...memory, sweep: () => 0, close: () => undefined, space };
  const gateway = await start({ greetPause: { delay: "4s" } }, clock, broken);
  for (let count = 0; count < 2; count++) {
    const patient = smtp(gateway, { bare: true }).expect(/^220/);
    await clock.run(4000);
    await patient;
  }
});

test("who is in the greet pause or in the tarpit when the gateway closes is told so at once", async () => {
  const clock = createFakeClock();
  const gateway = await start({ greetPause: { delay: "4s" }, tarpit: { after: 0, delay: "20s" } }, clock);
  const slow = smtp(gateway, { bare: true }).expect(/^220/);
  await clock.run(4000);
  await slow.raw("WRONG\r\n");
  const fresh = smtp(gateway, { bare: true, remoteAddress: "192.0.2.2" });
  await clock.run(100);
  const closed = gateway.runtime.close("asked", 60_000);
  await fresh.expect(/^421 4\.3\.2/).closed();
  await slow
    .read()
    .expect(/^500/)
    .read()
    .expect(/^421 4\.3\.2/)
    .closed();
  await closed;
});

test("a tarpit whose longest wait is shorter than its first is refused", async () => {
  await expect(start({ tarpit: { delay: "30s" } })).rejects.toThrow(/expected no less than the delay/);
});

test("a pause that the deadline would cut short is refused", async () => {
  const tooLong = { greetPause: { delay: "30s" } };
  await expect(start(tooLong)).rejects.toThrow(/greetPause\.delay must be shorter/);
  // And before the start, by `postern check`.
  const written = {
    hostname: "mx.example.test",
    listeners: [{ host: "127.0.0.1", port: 25 }],
    queue: { directory: "./queue" },
  };
  const resolved = resolveConfig(written, { file: "/postern.config.json" });
  const instances = [await instantiate(limits, tooLong)];
  await expect(checkConfig(resolved, { instances })).rejects.toThrow(/greetPause\.delay must be shorter/);
  await start({ greetPause: { delay: "30s" }, deadline: "40s" });
});
