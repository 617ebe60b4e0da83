// Milters that asked for it hear of recipients whom the gateway refused (SMFIP_RCPT_REJ), as Postfix tells them; what they say of it changes nothing.
import { setTimeout as delay } from "node:timers/promises";
import { defer, definePlugin, reject, type Gateway } from "@postern/core";
import { createTestGateway, smtp, type TestGateway } from "@postern/testkit";
import { afterEach, expect, test } from "vitest";
import { z } from "zod";
import plugin from "../index.ts";
import { encodeResponse, steps, type Response } from "../protocol/index.ts";
import { mail, type Given } from "./gateway.fixture.ts";
import { poll } from "./poll.fixture.ts";
import {
  replies,
  startScriptedMilter,
  type Act,
  type ScriptedMilter,
  type ScriptedOptions,
} from "./scripted-milter.fixture.ts";

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each[Symbol.asyncDispose]();
});

const curious: NonNullable<ScriptedOptions["terms"]> = () => ({ steps: steps.refusedRecipients });

const other = (setup: (gateway: Gateway) => void) =>
  definePlugin({ name: "other", apiVersion: 1, options: z.strictObject({}), setup });

/** Puts off `later@`. */
const putsOff = other(({ hooks: { smtp: points } }) =>
  points.rcpt.tap(({ address }) => (address.startsWith("later@") ? defer("come back", "4.2.1", 450) : undefined)),
);
/** Has the last word about `last@`. */
const lastWord = other(({ hooks: { smtp: points } }) =>
  points.recipient.tap(({ address }) => (address.startsWith("last@") ? reject("the last word") : undefined)),
);

interface World {
  readonly gateway: TestGateway;
  readonly milters: readonly ScriptedMilter[];
}

async function start(scripts: readonly (ScriptedOptions & { readonly given?: Given })[], order = "before") {
  const milters = await Promise.all(scripts.map((script) => startScriptedMilter(script)));
  const entries = milters.map(({ address }, at) => ({
    address,
    name: `m${at}`,
    onError: "defer",
    ...scripts[at]?.given,
  }));
  const asked = [plugin, { milters: entries }] as const;
  const gateway = await createTestGateway(
    {
      domains: {
        relay: { domains: ["example.test"], recipients: { "b@example.test": "x", "last@example.test": "x" } },
      },
      networks: ["127.0.0.0/8"],
    },
    { plugins: order === "before" ? [putsOff, asked] : order === "last" ? [asked, lastWord] : [lastWord, asked] },
  );
  open.push(...milters, gateway);
  return { gateway, milters } satisfies World;
}

async function startOne(script: ScriptedOptions & { readonly given?: Given } = {}) {
  const { gateway, milters } = await start([{ terms: curious, ...script }]);
  return { gateway, milter: milters[0] as ScriptedMilter };
}

const recipients = ({ heard }: ScriptedMilter) => heard.filter((line) => line.startsWith("recipient"));
const begin = (gateway: TestGateway) => smtp(gateway).say("MAIL FROM:<a@example.net>").expect(/^250/);
const relayDenied = /^554 5\.7\.1 <x@elsewhere\.test>: Relay access denied$/;

test("each is told in its place, with what it was refused with", async () => {
  const { gateway, milter } = await startOne();
  await begin(gateway)
    .say("RCPT TO:<x@elsewhere.test> NOTIFY=NEVER")
    .expect(relayDenied)
    .say("RCPT TO:<b@example.test>")
    .expect(/^250/)
    .say("RCPT TO:<nobody@example.test>")
    .expect(/^550 5\.1\.1 /)
    .say("RCPT TO:<later@example.test>")
    .expect(/^450 4\.2\.1 come back$/)
    // No recipients: a syntax error, and a parameter that is none.
    .say("RCPT TO:<b@example.test")
    .expect(/^501/)
    .say("RCPT TO:<b@example.test> FOO=bar")
    .expect(/^555/)
    .data(mail)
    .expect(/^250/);
  expect(recipients(milter)).toEqual([
    "recipient <x@elsewhere.test> NOTIFY=NEVER",
    "recipient <b@example.test>",
    "recipient <nobody@example.test>",
    "recipient <later@example.test>",
  ]);
  const macros = milter.commands.flatMap((each) => (each.kind === "macros" && each.of === "R" ? [each.macros] : []));
  const i = expect.any(String);
  expect(macros.map((each) => ({ ...each }))).toEqual([
    { i, "{rcpt_mailer}": "error", "{rcpt_host}": "5.7.1", "{rcpt_addr}": "Relay access denied" },
    { i, "{rcpt_mailer}": "relay", "{rcpt_host}": "example.test", "{rcpt_addr}": "b@example.test" },
    { i, "{rcpt_mailer}": "error", "{rcpt_host}": "5.1.1", "{rcpt_addr}": expect.stringMatching(/^[^<]*unknown/i) },
    { i, "{rcpt_mailer}": "error", "{rcpt_host}": "4.2.1", "{rcpt_addr}": "come back" },
  ]);
  expect((await gateway.delivered(1))[0]?.recipients).toEqual(["b@example.test"]);
});

test("who did not ask for it hears nothing, nor does one of an older version", async () => {
  const { gateway, milters } = await start([{}, { terms: curious, given: { protocol: 4 } }, { terms: curious }]);
  await begin(gateway).say("RCPT TO:<x@elsewhere.test>").expect(relayDenied);
  expect(milters.map(recipients)).toEqual([[], [], ["recipient <x@elsewhere.test>"]]);
  const macros = milters.map(({ commands }) => commands.filter((each) => each.kind === "macros" && each.of === "R"));
  expect(macros.map(({ length }) => length)).toEqual([0, 0, 1]);
});

test("a milter that asks for nothing but content is not even connected to for it", async () => {
  const envelope = steps.noConnect | steps.noHelo | steps.noMail | steps.noData;
  const { gateway, milter } = await startOne({ terms: () => ({ steps: envelope | steps.noRecipient }) });
  await begin(gateway).hangUp();
  expect(milter.connections).toBe(1);
  await begin(gateway).say("RCPT TO:<x@elsewhere.test>").expect(relayDenied).hangUp();
  expect(milter.connections).toBe(1);
});

test("one that wants nothing else before is connected to for it", async () => {
  const envelope = steps.noConnect | steps.noHelo | steps.noMail;
  const { gateway, milter } = await startOne({ terms: () => ({ steps: envelope | steps.refusedRecipients }) });
  for (const connections of [1, 2]) {
    await begin(gateway).say("RCPT TO:<x@elsewhere.test>").expect(relayDenied).hangUp();
    expect(milter.connections).toBe(connections);
    expect(recipients(milter)).toHaveLength(connections);
  }
});

test("a milter that asked for it once and does not any more hears nothing", async () => {
  const envelope = steps.noConnect | steps.noHelo | steps.noMail;
  let connections = 0;
  const { gateway, milter } = await startOne({
    terms: () => ({ steps: envelope | ((connections += 1) === 1 ? steps.refusedRecipients : 0) }),
  });
  for (let count = 0; count < 2; count += 1) {
    await begin(gateway).say("RCPT TO:<x@elsewhere.test>").expect(relayDenied).hangUp();
  }
  expect([connections, recipients(milter).length]).toEqual([2, 1]);
});

type Case = [what: string, ruling: Response, data: RegExp, heardAfterwards: readonly string[]];
const whole = ["recipient", "data", "header", "header", "header", "endOfHeaders", "body", "endOfMessage"];
test.each<Case>([
  ["continue", replies.continue, /^250/, whole],
  ["reject", replies.reject, /^250/, whole],
  ["tempfail", replies.tempfail, /^250/, whole],
  ["its own reply", { kind: "replyCode", text: "550 5.7.1 go away" }, /^250/, whole],
  ["its own 421", { kind: "replyCode", text: "421 4.7.0 goodbye" }, /^250/, whole],
  ["accept", replies.accept, /^250/, ["abort"]],
  ["discard", replies.discard, /^250/, ["abort"]],
  ["skip", replies.skip, /^250/, whole.slice(1)],
])("the refusal stands, and nobody else suffers from the answer: %s", async (_, ruling, data, heardAfterwards) => {
  const { gateway, milter } = await startOne({
    script: { recipient: (__, count) => [count === 1 ? ruling : replies.continue] },
  });
  const dialogue = begin(gateway).say("RCPT TO:<x@elsewhere.test>").expect(relayDenied);
  await dialogue;
  const before = milter.heard.length;
  await dialogue.say("RCPT TO:<b@example.test>").expect(/^250/).data(mail).expect(data);
  await poll(() => gateway.deliveries.length).toBe(1);
  await poll(() => milter.heard.slice(before).map((line) => line.split(" ")[0])).toEqual(heardAfterwards);
  // The next message is told whole.
  await dialogue.say("MAIL FROM:<a@example.net>").say("RCPT TO:<b@example.test>").data(mail).expect(/^250/);
  expect(milter.heard.slice(before + heardAfterwards.length).map((line) => line.split(" ")[0])).toEqual([
    "mail",
    ...whole,
  ]);
});

test("a milter that shuts the session down does so at the next command", async () => {
  const { gateway } = await startOne({ script: { recipient: () => [{ kind: "shutdown" }] } });
  await begin(gateway)
    .say("RCPT TO:<x@elsewhere.test>")
    .expect(relayDenied)
    .say("RCPT TO:<b@example.test>")
    .expect(/^421 4\.7\.0/)
    .closed();
});

const misdeeds: readonly [what: string, acts: readonly Act[]][] = [
  ["says nothing", []],
  ["closes", ["close"]],
  ["resets the connection", ["reset"]],
  ["half a packet", [Buffer.from([0, 0, 0, 2, 0x79]), "close"]],
  ["rubbish", [Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")]],
  ["a reply that accepts", [{ kind: "replyCode", text: "250 2.1.5 taken after all" }]],
  ["a change of the envelope", [{ kind: "addRecipient", address: "<x@elsewhere.test>" }]],
  ["two answers", [Buffer.concat([encodeResponse(replies.continue), encodeResponse(replies.continue)])]],
  ["answers without end", Array.from({ length: 2_000 }, () => replies.progress)],
];
test.each(misdeeds)("one that misbehaves there: %s; its onError stands from the next command on", async (_, acts) => {
  for (const onError of ["defer", "skip"]) {
    const { gateway, milter } = await startOne({
      script: { recipient: () => acts },
      given: { onError, commandTimeout: "60ms" },
    });
    const dialogue = begin(gateway).say("RCPT TO:<x@elsewhere.test>").expect(relayDenied);
    await dialogue;
    if (onError === "defer") await dialogue.say("RCPT TO:<b@example.test>").expect(/^451 4\.7\.1/);
    else {
      await dialogue.say("RCPT TO:<b@example.test>").expect(/^250/).data(mail).expect(/^250/);
      const [delivery] = await gateway.delivered(1);
      expect(delivery?.recipients).toEqual(["b@example.test"]);
    }
    await dialogue.hangUp();
    await poll(() => milter.open).toBe(0);
  }
});

test("no answer is waited for where none was agreed on", async () => {
  const { gateway, milter } = await startOne({
    terms: () => ({ steps: steps.refusedRecipients | steps.noReplyToRecipient }),
    script: { recipient: () => [] },
  });
  await begin(gateway)
    .say("RCPT TO:<x@elsewhere.test>")
    .expect(relayDenied)
    .say("RCPT TO:<b@example.test>")
    .expect(/^250/)
    .data(mail)
    .expect(/^250/);
  expect(recipients(milter)).toEqual(["recipient <x@elsewhere.test>", "recipient <b@example.test>"]);
});

test("one command after the other: nothing is told before the answer is there, and the client waits for it", async () => {
  const { gateway, milter } = await startOne({ script: { recipient: () => [] } });
  const pipelined = smtp(gateway).pipeline(
    "MAIL FROM:<a@example.net>",
    "RCPT TO:<x@elsewhere.test>",
    "RCPT TO:<b@example.test>",
    "RCPT TO:<y@elsewhere.test>",
    "RSET",
  );
  let isOver = false;
  void pipelined.then(() => (isOver = true));
  const told = ["recipient <x@elsewhere.test>", "recipient <b@example.test>", "recipient <y@elsewhere.test>"];
  for (let count = 1; count <= told.length; count += 1) {
    await poll(() => recipients(milter)).toEqual(told.slice(0, count));
    await delay(5);
    expect([isOver, milter.heard.length]).toEqual([false, 3 + count]);
    milter.answer(replies.continue);
  }
  await pipelined;
  await poll(() => milter.heard.at(-1)).toBe("abort");
});

test.each<[what: string, ruling: Response, second: number]>([
  ["continue", replies.continue, 1],
  ["accept", replies.accept, 1],
  ["reject", replies.reject, 0],
  ["discard", replies.discard, 0],
])("of two the one behind hears of it unless the first objects: %s", async (_, ruling, second) => {
  const { gateway, milters } = await start([
    { terms: curious, script: { recipient: (__, count) => [count === 1 ? ruling : replies.continue] } },
    { terms: curious },
  ]);
  await begin(gateway).say("RCPT TO:<x@elsewhere.test>").expect(relayDenied);
  expect(milters.map((milter) => recipients(milter).length)).toEqual([1, second]);
});

test("whom a milter itself refused nobody tells it of", async () => {
  const { gateway, milter } = await startOne({ script: { recipient: () => [replies.reject] } });
  await begin(gateway)
    .say("RCPT TO:<b@example.test>")
    .expect(/^550 5\.7\.1 Command rejected/);
  expect(recipients(milter)).toHaveLength(1);
});

test.each(["last", "first"])("nor of one whom another plugin refused when it was asked: %s", async (order) => {
  const { gateway, milters } = await start([{ terms: curious }], order);
  await begin(gateway)
    .say("RCPT TO:<last@example.test>")
    .expect(/the last word$/);
  expect(recipients(milters[0] as ScriptedMilter)).toEqual(["recipient <last@example.test>"]);
});

test("behind a DATA that was refused those who were refused are not told anew", async () => {
  const { gateway, milter } = await startOne({
    script: {
      data: (_, count) => [count === 1 ? replies.tempfail : replies.continue],
      recipient: (command) => [
        command.kind === "recipient" && command.args[0] === "<B@Example.test>" ? replies.reject : replies.continue,
      ],
    },
  });
  await begin(gateway)
    .say("RCPT TO:<b@example.test>")
    .expect(/^250/)
    .say("RCPT TO:<x@elsewhere.test>")
    .expect(relayDenied)
    .say("RCPT TO:<B@Example.test>")
    .expect(/^550 5\.7\.1 Command rejected/)
    .say("DATA")
    .expect(/^451/)
    .say("RCPT TO:<y@elsewhere.test>")
    .expect(/^554/)
    .say("RCPT TO:<b@example.test>")
    .expect(/^250/)
    .data(mail)
    .expect(/^250/);
  const again = milter.heard.slice(milter.heard.indexOf("data") + 1);
  expect(again.slice(0, 6)).toEqual([
    "abort",
    "mail <a@example.net>",
    "recipient <b@example.test>",
    "recipient <y@elsewhere.test>",
    "recipient <b@example.test>",
    "data",
  ]);
});
