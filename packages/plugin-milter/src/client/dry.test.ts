// A session that is only explained: milters hear nothing of it, unless its message is scanned for real.
import { systemClock, type ScanAsk } from "@postern/core";
import { sampleMessage, sampleRecipient, sampleSession, sampleTransaction } from "@postern/testkit";
import { expect, test } from "vitest";
import { parseAddress } from "./address.ts";
import { Chain } from "./chain.ts";
import { connectCommand, mailCommand, recipientCommand } from "./esmtp.ts";
import { MacroBook } from "./macros.ts";
import { Milter } from "./milter.ts";
import { poll } from "./poll.fixture.ts";
import { replies, startScriptedMilter } from "./scripted-milter.fixture.ts";

test("nothing before the message, and then all of it", async () => {
  await using scripted = await startScriptedMilter({ script: { endOfMessage: () => [replies.reject] } });
  const scope = { hostname: "mx", relayhost: undefined, classOf: () => "relay" as const, sessionsOf: () => 1 };
  const settings = {
    name: "m",
    address: parseAddress(scripted.address, "/") ?? { path: "" },
    onError: "defer" as const,
    connectTimeoutMs: 60_000,
    commandTimeoutMs: 60_000,
    contentTimeoutMs: 60_000,
    version: 6,
    largePackets: false,
    reuse: false,
    idleConnections: 1,
    maxIdleMs: 1,
  };
  const milter = new Milter(settings, new MacroBook({ names: {}, values: {} }, scope), systemClock);
  const failed = (_: unknown, error: unknown): void => {
    throw error;
  };
  const chain = new Chain([milter], { failed, warn: () => undefined, origin: "x", dry: true });
  const [session, recipient] = [sampleSession(), sampleRecipient()];
  const transaction = sampleTransaction({ recipients: [recipient] });
  expect(chain.ask({ kind: "connect", command: connectCommand(session), occasion: { session } })).toBeUndefined();
  const mail = { kind: "mail", command: mailCommand(transaction), occasion: { session, transaction } } as const;
  expect(chain.ask(mail)).toBeUndefined();
  const command = recipientCommand(recipient);
  expect(chain.ask({ kind: "recipient", command, occasion: { session, transaction, recipient } })).toBeUndefined();
  expect(scripted.connections).toBe(0);
  const { signal } = new AbortController();
  const ask = { session, transaction, message: sampleMessage(), signal } as unknown as ScanAsk;
  expect(await chain.inspect(ask)).toMatchObject([
    { kind: "log", text: "info: reject by milter m" },
    { kind: "reject" },
  ]);
  chain.close();
  await poll(() => scripted.open).toBe(0);
  expect(scripted.heard.map((line) => line.split(" ")[0])).toEqual(
    "connect mail recipient header header header endOfHeaders body endOfMessage quit".split(" "),
  );
});
