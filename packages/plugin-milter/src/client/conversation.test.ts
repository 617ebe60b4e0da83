// One milter that does not come to an end, or comes to one when nobody waits for it any more.
import { systemClock, type Clock, type OnError } from "@postern/core";
import { sampleRecipient, sampleSession, sampleTransaction } from "@postern/testkit";
import { describe, expect, test } from "vitest";
import { parseAddress } from "./address.ts";
import { Conversation } from "./conversation.ts";
import { connectCommand, mailCommand, recipientCommand } from "./esmtp.ts";
import { MacroBook } from "./macros.ts";
import { Milter } from "./milter.ts";
import { poll } from "./poll.fixture.ts";
import { replies, startScriptedMilter } from "./scripted-milter.fixture.ts";
import type { Step } from "./step.ts";

const recipient = sampleRecipient();
const session = sampleSession();
const transaction = sampleTransaction({ recipients: [recipient] });
const steps = {
  connect: { kind: "connect", command: connectCommand(session), occasion: { session } },
  mail: { kind: "mail", command: mailCommand(transaction), occasion: { session, transaction } },
  recipient: {
    kind: "recipient",
    command: recipientCommand(recipient),
    occasion: { session, transaction, recipient },
  },
} as const satisfies Record<string, Step>;

const scope = { hostname: "mx", relayhost: undefined, classOf: () => "relay" as const, sessionsOf: () => 1 };

function milterAt(address: string, more: { clock?: Clock; commandTimeoutMs?: number; onError?: OnError } = {}): Milter {
  const { clock = systemClock, commandTimeoutMs = 60_000, onError = "defer" } = more;
  const settings = {
    name: "m",
    address: parseAddress(address, "/") ?? { path: "" },
    onError,
    connectTimeoutMs: 60_000,
    commandTimeoutMs,
    contentTimeoutMs: 60_000,
    version: 6,
    largePackets: false,
    reuse: false,
    idleConnections: 1,
    maxIdleMs: 1,
  };
  return new Milter(settings, new MacroBook({ names: {}, values: {} }, scope), clock);
}

function converse(milter: Milter): { conversation: Conversation; failures: string[] } {
  const failures: string[] = [];
  const failed = (_: unknown, error: unknown): void => void failures.push((error as Error).message);
  const host = { failed, warn: () => undefined, origin: "x", dry: false };
  return { conversation: new Conversation(milter, host), failures };
}

describe("an answer that comes when its asker has given up", () => {
  test.each<[onError: OnError, said: object | undefined]>([
    ["defer", { kind: "defer" }],
    ["reject", { kind: "reject" }],
    ["skip", undefined],
  ])("is nobody else's: %s", async (onError, said) => {
    await using scripted = await startScriptedMilter({ script: { mail: () => [] } });
    const { conversation, failures } = converse(milterAt(scripted.address, { onError }));
    await conversation.ask(steps.connect);
    const first = conversation.ask(steps.mail);
    await poll(() => scripted.heard.some((line) => line.startsWith("mail"))).toBe(true);
    const second = conversation.ask(steps.recipient);
    scripted.answer(replies.continue);
    for (const answer of [await second, await first, await conversation.ask(steps.recipient)]) {
      if (said === undefined) expect(answer).toBeUndefined();
      else expect(answer).toMatchObject(said);
    }
    expect(failures).toEqual(["it has not answered the command before"]);
    expect(scripted.heard).not.toContain(`recipient <${recipient.original}>`);
    await poll(() => scripted.open).toBe(0);
  });

  test("nor is a connection that is there too late left open", async () => {
    await using scripted = await startScriptedMilter({ script: { negotiate: () => [] } });
    const { conversation } = converse(milterAt(scripted.address));
    const first = conversation.ask(steps.connect);
    await poll(() => scripted.offers.length).toBe(1);
    expect(await conversation.ask(steps.mail)).toMatchObject({ kind: "defer" });
    scripted.answer({ kind: "negotiate", version: 6, actions: 0, steps: 0 });
    expect(await first).toMatchObject({ kind: "defer" });
    await poll(() => scripted.open).toBe(0);
  });
});

test("signs of life stretch no command", async () => {
  const flood = Array.from({ length: 1_000 }, () => replies.progress);
  await using scripted = await startScriptedMilter({ script: { mail: () => flood } });
  const { conversation, failures } = converse(milterAt(scripted.address, { commandTimeoutMs: 50 }));
  await conversation.ask(steps.connect);
  const answer = conversation.ask(steps.mail);
  let isOver = false;
  void Promise.resolve(answer).then(() => (isOver = true));
  while (!isOver) {
    scripted.answer(replies.progress);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await answer).toMatchObject({ kind: "defer" });
  expect(failures).toEqual(["no answer within 50 ms"]);
});

test("who leaves while a dead milter is tried again leaves the next one to try", async () => {
  let skewMs = 0;
  const clock: Clock = { ...systemClock, monotonic: () => systemClock.monotonic() + skewMs };
  await using scripted = await startScriptedMilter({
    script: { negotiate: ({ ...offered }, count) => (count <= 5 ? ["close"] : count === 6 ? [] : [offered as never]) },
  });
  const milter = milterAt(scripted.address, { clock });
  for (let count = 0; count < 5; count += 1) {
    expect(await converse(milter).conversation.ask(steps.connect)).toMatchObject({ kind: "defer" });
  }
  skewMs = 60_000;
  const { conversation } = converse(milter);
  const probe = conversation.ask(steps.connect);
  await poll(() => scripted.offers.length).toBe(6);
  conversation.close();
  scripted.answer({ kind: "negotiate", version: 6, actions: 0, steps: 0 });
  await probe;
  skewMs = 120_000;
  expect(await converse(milter).conversation.ask(steps.connect)).toBeUndefined();
});
