// check_policy_service against services that answer, and that do everything else.
import type { Ask, CompileScope, Judge } from "@postern/core";
import { ConfigError } from "@postern/core";
import {
  createFakeClock,
  createTestGateway,
  fuzzAnswer,
  openPlugin,
  sampleMessage,
  sampleRecipient,
  sampleSession,
  sampleTransaction,
  smtp,
  testRestriction,
  type FakeClock,
} from "@postern/testkit";
import { expect, onTestFinished, test } from "vitest";
import policy from "./index.ts";
import { attributesOf, startPolicyService, type PolicyService, type Reaction } from "./policy-service.fixture.ts";

const atRcpt: Ask = {
  stage: "rcpt",
  session: sampleSession(),
  transaction: sampleTransaction(),
  recipient: sampleRecipient(),
  dry: false,
};

const scope = (clock: FakeClock): CompileScope => ({
  clock,
  stage: "rcpt",
  table: () => Promise.reject(new Error("no tables here")),
  addresses: { classOf: () => "default", isListed: () => true, recipientDelimiter: "" },
  compile: (text) =>
    text === "my_class" ? Promise.resolve(() => ({ kind: "permit" })) : Promise.reject(new ConfigError("unknown word")),
});

async function openWord(service: Readonly<Record<string, unknown>>, host: Readonly<Record<string, unknown>> = {}) {
  const clock = createFakeClock();
  const plugin = await openPlugin(policy, { services: { svc: service }, ...host }, { clock });
  onTestFinished(() => plugin.close());
  const word = plugin.restrictions.get("check_policy_service");
  if (word === undefined) throw new Error("no word");
  const judge: Judge = await word.compile(["svc"], scope(clock));
  /** Lets real I/O go on while time stands. */
  const ask = (given: Ask = atRcpt): Promise<unknown> => Promise.resolve(judge(given));
  return { clock, plugin, word, ask };
}

/** Moves time in small steps until the answer is there, and gives how long it took. */
async function whenAnswered(clock: FakeClock, answer: Promise<unknown>, stepMs = 100): Promise<number> {
  let open = true;
  void answer.finally(() => (open = false)).catch(() => undefined);
  const from = clock.monotonic();
  while (open) await clock.run(stepMs);
  return clock.monotonic() - from;
}

const serving = async (react: (question: string, number: number) => Reaction): Promise<PolicyService> => {
  const service = await startPolicyService(react);
  onTestFinished(() => service.close());
  return service;
};

const standing = {
  kind: "defer",
  reply: {
    code: 451,
    enhanced: "4.3.5",
    text: "<recipient@example.test>: Recipient address rejected: Server configuration problem",
  },
};

test.each([
  ["DUNNO", undefined],
  ["dunno", undefined],
  ["OK", { kind: "permit" }],
  [
    "550 5.7.26 no",
    {
      kind: "reject",
      reply: { code: 550, enhanced: "5.7.26", text: "<recipient@example.test>: Recipient address rejected: no" },
    },
  ],
  ["PREPEND X-Seen: yes", { kind: "prepend", name: "X-Seen", value: "yes" }],
  ["my_class", { kind: "permit" }],
])("the action %s is done", async (action, expected) => {
  const service = await serving(() => action);
  const { ask } = await openWord({ address: service.address });
  const answer = await ask();
  if (expected === undefined) expect(answer).toBeUndefined();
  else expect(answer).toMatchObject(expected);
});

test.each<[string, RegExp, Reaction]>([
  ["closes", /it closed the connection/, (socket) => socket.end()],
  ["resets", /it closed the connection/, (socket) => socket.resetAndDestroy()],
  ["closes in the middle", /it closed the connection/, (socket) => socket.end("action=OK\n")],
  ["answers nothing but a blank line", /malformed answer ""/, { raw: "\n" }],
  ["answers rubbish", /malformed answer "HTTP/, { raw: "HTTP/1.1 400 Bad Request\n\n" }],
  ["answers without an action", /an answer without an action/, { raw: "verdict=OK\n\n" }],
  ["answers an empty action", /action "": the value is empty/, { raw: "action=\n\n" }],
  ["answers without end", /more than 32768 octets/, { raw: "a=b\n".repeat(20_000) }],
  ["ends lines as in SMTP", /no answer within 2000 ms/, { raw: "action=OK\r\n\r\n" }],
  ["has an unknown action", /action "FROBNICATE now": unknown word/, "FROBNICATE now"],
  ["has an action that needs more", /PREPEND needs a header/, "PREPEND"],
  ["never answers", /no answer within 2000 ms/, () => undefined],
  ["never ends", /no answer within 2000 ms/, { raw: "action=OK\n" }],
])("a service that %s: the default action, in the time of its tries", async (_, why, reaction) => {
  const service = await serving(() => reaction);
  const { ask, clock, plugin } = await openWord({ address: service.address, timeout: "2s", tryLimit: 2 });
  const answer = ask();
  const took = await whenAnswered(clock, answer);
  expect(await answer).toMatchObject(standing);
  expect(took).toBeLessThanOrEqual(5_200);
  expect(service.heard.length).toBeLessThanOrEqual(2);
  expect(plugin.log).toEqual([
    expect.stringMatching(/^warn policy: policy service svc: .*; its default action "451 4\.3\.5 Server/),
  ]);
  expect(plugin.log[0]).toMatch(why);
  await plugin.close();
  expect(clock.pending).toBe(0);
});

test("several actions: the first; octets behind the answer end the connection, and other attributes are passed over", async () => {
  const service = await serving((_, number) =>
    number === 1 ? { raw: "x=y\naction=OK\naction=REJECT\n\nleft over" } : "DUNNO",
  );
  const { ask } = await openWord({ address: service.address });
  expect(await ask()).toEqual({ kind: "permit" });
  expect(await ask()).toBeUndefined();
  expect(service.made).toBe(2);
});

test("a connection is kept, and a new one made at once when it was closed meanwhile", async () => {
  let drop = false;
  const service = await serving(() => {
    if (!drop) return "DUNNO";
    drop = false;
    return (socket) => socket.destroy();
  });
  const { ask, clock, plugin } = await openWord({ address: service.address, tryLimit: 1 });
  for (let count = 0; count < 5; count++) await ask();
  expect(service.made).toBe(1);
  drop = true;
  expect(await ask()).toBeUndefined();
  expect(service.made).toBe(2);
  service.hangUp();
  await expect.poll(() => service.open).toBe(0);
  expect(await ask()).toBeUndefined();
  expect(plugin.log).toEqual([]);
  expect(clock.monotonic()).toBe(0);
});

test("an answer that was cut is not asked for again beyond the limit of tries", async () => {
  const service = await serving((_, number) => (number === 1 ? "DUNNO" : (socket) => socket.end("action=O")));
  const { ask } = await openWord({ address: service.address, tryLimit: 1 });
  await ask();
  expect(await ask()).toMatchObject(standing);
  expect(service.heard).toHaveLength(2);
});

test("idle time and number of questions end a connection", async () => {
  const service = await serving(() => "DUNNO");
  const { ask, clock } = await openWord({ address: service.address, requestLimit: 3, maxIdle: "10s" });
  for (const made of [1, 1, 1, 2]) {
    await ask();
    expect(service.made).toBe(made);
  }
  clock.advance(9_999);
  expect(service.open).toBe(1);
  clock.advance(1);
  await expect.poll(() => service.open).toBe(0);
  await ask();
  expect(service.made).toBe(3);
});

test("no connection gets older than it may", async () => {
  const service = await serving(() => "DUNNO");
  const { ask, clock } = await openWord({ address: service.address, maxIdle: "10s", maxTtl: "25s" });
  for (const made of [1, 1, 1, 2]) {
    await ask();
    expect(service.made).toBe(made);
    clock.advance(9_000);
  }
});

test("one question at a time over a connection, so many connections, and the others wait", async () => {
  const held: (() => void)[] = [];
  const service = await serving(() => (socket) => void held.push(() => socket.write("action=DUNNO\n\n")));
  const { ask } = await openWord({ address: service.address, connections: 2 });
  const all = Array.from({ length: 5 }, () => ask());
  await service.asked(2);
  await new Promise((resolve) => setImmediate(resolve));
  expect(service.heard).toHaveLength(2);
  for (let count = 1; count <= 5; count++) {
    await service.asked(Math.min(count + 1, 5));
    held.shift()?.();
  }
  expect(await Promise.all(all)).toEqual(Array.from({ length: 5 }, () => undefined));
  expect(service.made).toBe(2);
});

test("who waits for a connection waits no longer than for an answer", async () => {
  const service = await serving(() => () => undefined);
  const { ask, clock } = await openWord({ address: service.address, connections: 1, timeout: "3s", tryLimit: 1 });
  const both = Promise.all([ask(), ask()]);
  await service.asked(1);
  expect(await whenAnswered(clock, both)).toBeLessThanOrEqual(3_200);
  expect(await both).toMatchObject([standing, standing]);
});

test("the entry's deadline bounds all tries together", async () => {
  const service = await serving(() => () => undefined);
  const { ask, clock } = await openWord({ address: service.address, timeout: "60s" }, { deadline: "5s" });
  const answer = ask();
  await service.asked(1);
  expect(await whenAnswered(clock, answer)).toBeLessThanOrEqual(5_100);
  expect(await answer).toMatchObject(standing);
});

test("an outage is one line in a minute, with a number, and its end another", async () => {
  let dead = true;
  const service = await serving(() => (dead ? (socket) => socket.destroy() : "DUNNO"));
  const { ask, clock, plugin } = await openWord({ address: service.address, tryLimit: 1 });
  for (let count = 0; count < 50; count++) await ask();
  expect(plugin.log).toHaveLength(1);
  clock.advance(60_000);
  await ask();
  expect(plugin.log).toHaveLength(2);
  expect(plugin.log[1]).toMatch(/ \(and 49 more since the last such line\)$/);
  dead = false;
  await ask();
  await ask();
  expect(plugin.log.slice(2)).toEqual(["info policy: policy service svc: answers again, after 51 questions without"]);
});

test("a service that fails every other time fills no log", async () => {
  const service = await serving((_, number) => (number % 2 === 0 ? (socket) => socket.end("action") : "DUNNO"));
  const { ask, clock, plugin } = await openWord({ address: service.address, tryLimit: 1 });
  for (let count = 0; count < 40; count++) {
    await ask();
    clock.advance(2_000);
  }
  expect(plugin.log.map((line) => line.slice(0, 5))).toEqual(["warn ", "info ", "warn ", "info "]);
});

test.each([
  [undefined, ""],
  ["<>", ""],
  ["me+2Btoo@there.test", "me+2Btoo@there.test"],
])("who submitted the message, %s, is sasl_sender %j", async (submitter, expected) => {
  const service = await serving(() => "DUNNO");
  const { ask } = await openWord({ address: service.address });
  await ask({ ...atRcpt, transaction: sampleTransaction(submitter === undefined ? {} : { submitter }) });
  expect(service.heard.map((question) => attributesOf(question)["sasl_sender"])).toEqual([expected]);
});

test("no attribute brings another with it", async () => {
  const service = await serving(() => "DUNNO");
  const { ask } = await openWord({ address: service.address });
  const evil = 'x\naction=OK\r\nsasl_username=admin\u0000\n\nrequest=a"b';
  const asked = fuzzAnswer(async (hostile) => {
    for (const text of [hostile, evil]) {
      await ask({
        ...atRcpt,
        session: sampleSession({
          client: { name: text, reverseName: text, address: text },
          helo: { verb: "EHLO", name: text },
          auth: { identity: "me", mechanism: text },
        }),
        transaction: sampleTransaction({ sender: text }),
        recipient: sampleRecipient(text),
      });
    }
    return undefined;
  });
  await asked;
  expect(service.heard.length).toBeGreaterThan(10);
  for (const question of service.heard) {
    expect(question.split("\n")).toHaveLength(31);
    expect(question).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f]/);
    expect(attributesOf(question)["sasl_username"]).toBe("me");
  }
});

test("what is told at each stage", async () => {
  const service = await serving(() => "DUNNO");
  const { ask } = await openWord({ address: service.address, context: "in" });
  const [a, b] = [sampleRecipient('"a b"@example.test'), sampleRecipient("b@example.test")];
  const session = sampleSession();
  const transaction = sampleTransaction({ recipients: [a], declaredSizeBytes: 99 });
  const cases: [Ask, Readonly<Record<string, string>>][] = [
    [
      { stage: "connect", session, dry: false },
      { protocol_state: "CONNECT", helo_name: "", protocol_name: "SMTP" },
    ],
    [
      { stage: "helo", session, dry: false },
      { protocol_state: "EHLO", helo_name: "client.example.net" },
    ],
    [
      { stage: "connect", session, transaction, recipient: b, dry: false },
      { protocol_state: "RCPT", helo_name: "client.example.net" },
    ],
    [
      { stage: "rcpt", session, transaction, recipient: b, dry: false },
      { recipient: "b@example.test", queue_id: "TRANSACTION", recipient_count: "0" },
    ],
    [
      { stage: "data", session, transaction, dry: false },
      { recipient: "a b@example.test", recipient_count: "1", size: "99" },
    ],
    [
      { stage: "data", session, transaction: { ...transaction, recipients: [a, b] }, dry: false },
      { recipient: "", recipient_count: "2" },
    ],
    [
      { stage: "message", session, transaction, message: sampleMessage("a: b\r\n\r\nc\r\n"), dry: false },
      { protocol_state: "END-OF-MESSAGE", size: "11", policy_context: "in" },
    ],
  ];
  for (const [given] of cases) await ask(given);
  expect(service.heard.map(attributesOf)).toMatchObject(cases.map(([, expected]) => expected));
});

test("Postfix's form, and what is wrong about an argument", async () => {
  const service = await serving(() => () => undefined);
  const { clock, word, plugin } = await openWord({ address: "unix:./absent" });
  const form = `${service.address}, timeout=1, try_limit=1, { default_action = 421 4.7.0 {come} back }, policy_context=x`;
  const judge = await word.compile([form], scope(clock));
  const answer = Promise.resolve(judge(atRcpt));
  await service.asked(1);
  expect(await whenAnswered(clock, answer)).toBeLessThanOrEqual(1_100);
  expect(await answer).toMatchObject({
    kind: "defer",
    reply: { code: 421, enhanced: "4.7.0", text: /\{come\} back$/ },
  });
  expect(attributesOf(service.heard[0] ?? "")["policy_context"]).toBe("x");
  expect(plugin.log).toHaveLength(1);
  await testRestriction(word, {
    clock,
    cases: [
      {
        name: "a socket that is not there",
        args: ["{ unix:./absent, try_limit=1, default_action=DUNNO }"],
        expect: "none",
      },
      { name: "no service", args: ["postgray"], expect: /^config: "postgray" is no service .*; known are svc$/ },
      { name: "no port", args: ["inet:localhost"], expect: /^config: address: expected an address/ },
      { name: "unknown setting", args: ["inet:localhost:1 tiemout=3s"], expect: /^config: "tiemout=3s" is no setting/ },
      { name: "no number", args: ["inet:localhost:1 try_limit=x"], expect: /^config: try_limit: / },
      { name: "no duration", args: ["inet:localhost:1 timeout=soon"], expect: /^config: timeout: expected a duration/ },
      {
        name: "no action",
        args: ["inet:localhost:1 default_action={PREPEND}"],
        expect: /^config: default action "PREPEND": /,
      },
      { name: "settings of a named one", args: ["svc timeout=3s"], expect: /^config: settings of "svc" stand in/ },
    ],
  });
});

test("a service that names its own word, and a default action that does, come to an end", async () => {
  const service = await serving(() => "check_policy_service svc");
  const config = { domains: { relay: ["example.test"] }, policy: { rcpt: ["check_policy_service svc"] } };
  const own = { address: service.address, tryLimit: 1 };
  const start = (more: object) =>
    createTestGateway(config, { plugins: [[policy, { services: { svc: { ...own, ...more } } }]] as never });
  const gateway = await start({});
  onTestFinished(() => gateway.close());
  await smtp(gateway)
    .say("MAIL FROM:<a@b.test>")
    .say("RCPT TO:<c@example.test>")
    .expect(/^451 4\.3\.5 /);
  expect(service.heard.length).toBeLessThan(20);
  expect(gateway.log.join("\n")).toMatch(/restrictions name each other more than 10 times over/);
  await expect(start({ defaultAction: "check_policy_service svc" })).rejects.toThrow(/name each other more than 10/);
});

test("a gateway that closes waits for no service whose answer is nobody's any more", async () => {
  const service = await serving(() => () => undefined);
  const config = { domains: { relay: ["example.test"] }, policy: { rcpt: ["check_policy_service svc"] } };
  const clock = createFakeClock();
  const plugins = [[policy, { services: { svc: { address: service.address } } }]] as never;
  const gateway = await createTestGateway(config, { plugins, clock });
  await smtp(gateway).say("MAIL FROM:<a@b.test>").raw("RCPT TO:<c@example.test>\r\n");
  await service.asked(1);
  const closed = gateway.close();
  for (let seconds = 0; seconds < 5; seconds += 1) await clock.run(1_000);
  await closed;
});
