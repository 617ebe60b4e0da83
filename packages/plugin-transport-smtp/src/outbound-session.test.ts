// What we take for granted of nodemailer's internals, and what the handshake withstands.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import SMTPConnection from "nodemailer/lib/smtp-connection";
import { systemClock } from "@postern/core";
import { expect, test } from "vitest";
import { options as schema } from "./options.ts";
import { HandshakeFailed, openSession, type HandshakeOptions } from "./outbound-session.ts";
import { startPeer, type Script, type ScriptedPeer } from "./scripted-peer.fixture.ts";

function open(peer: Pick<ScriptedPeer, "port">, options: Partial<HandshakeOptions> = {}) {
  const endpoint = { name: "peer.test", address: "127.0.0.1", port: peer.port };
  return openSession(endpoint, {
    helo: "gateway.test",
    tls: true,
    localAddress: undefined,
    timeouts: schema.parse({}).timeouts,
    clock: systemClock,
    signal: new AbortController().signal,
    ...options,
  });
}

test("nodemailer is the version whose internals were read", () => {
  const file = createRequire(import.meta.url).resolve("nodemailer/package.json");
  expect((JSON.parse(readFileSync(file, "utf8")) as { version: string }).version).toBe("10.6.0");
});

test("SMTPConnection has the members that are used, and calls those that are overridden by way of `this`", () => {
  const connection = new SMTPConnection({ host: "127.0.0.1" }) as unknown as Record<string, unknown>;
  for (const name of ["_onData", "_onError", "_sendCommand", "_upgradeConnection", "connect", "close"]) {
    expect(SMTPConnection.prototype).toHaveProperty(name, expect.any(Function));
  }
  for (const name of ["Data", "Error", "Close", "End", "Timeout"]) {
    expect(connection).toHaveProperty(`_onSocket${name}`, expect.any(Function));
  }
  expect(connection).toMatchObject({ _remainder: "", _responseQueue: [], secure: false });
});

test("the socket is ours afterwards: no listener of the library is left", async () => {
  for (const ehlo of [["PIPELINING"], ["PIPELINING", "STARTTLS"]]) {
    await using peer = await startPeer({ ehlo });
    const session = await open(peer);
    expect(session.conversation.quiet).toBe(true);
    // With the library's listener in place this reply would be "Unexpected Response" to it, and it would close the socket.
    session.conversation.write("NOOP\r\n", 1);
    expect((await session.conversation.reply(1_000)).text).toBe("250 2.0.0 Ok");
    expect(session.tls === undefined).toBe(!ehlo.includes("STARTTLS"));
    session.conversation.abort();
  }
});

test("extensions are the keywords of lines, not words of the host's name", async () => {
  await using peer = await startPeer({
    ehlo: { raw: "250-mail PIPELINING DSN SIZE 5\r\n250-size 1000\r\n250-AUTH PLAIN LOGIN\r\n250 8bitmime\r\n" },
  });
  const session = await open(peer);
  expect([...session.extensions]).toEqual([
    ["SIZE", "1000"],
    ["AUTH", "PLAIN LOGIN"],
    ["8BITMIME", ""],
  ]);
  session.conversation.abort();
});

const floods: readonly [string, Script, RegExp][] = [
  ["a line without end", { greeting: { raw: "220 ".padEnd(1_000_000, "x") } }, /exceeds|without end/],
  ["a greeting without end", { greeting: { raw: "220-more\r\n".repeat(100_000) } }, /exceeds|without end/],
  ["blank lines without end", { greeting: { raw: "\r\n".repeat(500_000) } }, /without end/],
  ["an EHLO reply without end", { ehlo: { raw: "250-X\r\n".repeat(100_000) } }, /exceeds|without end/],
  ["replies that nobody asked for", { ehlo: { raw: "250 ok\r\n250 ok\r\n250 ok\r\n" } }, /unasked|Unexpected/],
];
test.each(floods)("%s is cut", async (_what, script, message) => {
  await using peer = await startPeer(script);
  const failure = await open(peer).then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(HandshakeFailed);
  expect((failure as Error).message).toMatch(message);
});

test("what came in clear before the TLS handshake does not count inside", async () => {
  // STARTTLS response injection: an EHLO reply for the session to come is sent along with the 220.
  await using peer = await startPeer({
    ehlo: ["STARTTLS"],
    starttls: { raw: "220 go\r\n250-peer\r\n250 INJECTED\r\n" },
  });
  const timeouts = { ...schema.parse({}).timeouts, starttls: 100 };
  await expect(open(peer, { timeouts })).rejects.toMatchObject({ phase: "tls", message: "the peer took too long" });
});

test("a refusal carries the whole reply", async () => {
  await using peer = await startPeer({ greeting: "554-5.7.1 no\n554 5.7.1 mail" });
  await expect(open(peer)).rejects.toMatchObject({
    phase: "greeting",
    reply: { code: 554, enhanced: "5.7.1", text: "554 5.7.1 no mail" },
  });
});
