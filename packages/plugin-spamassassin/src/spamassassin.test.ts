// SpamAssassin's verdicts in the gateway's words: a scripted spamd behind a whole gateway in memory.
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { type Config } from "@postern/core";
import { createTestGateway, smtp, type TestGateway } from "@postern/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import spamassassin from "./index.ts";

/** Scores by user; "" is spamd's own. */
let scores: Readonly<Record<string, number>> = {};
let asked: string[] = [];
const server = createServer({ allowHalfOpen: true }, (socket) => {
  const pieces: Buffer[] = [];
  socket.on("error", () => undefined);
  socket.on("data", (data) => {
    if (data.toString("latin1") === "PING SPAMC/1.2\r\n\r\n") return void socket.end("SPAMD/1.5 0 PONG\r\n");
    pieces.push(data);
  });
  socket.on("end", () => {
    if (pieces.length === 0) return;
    const text = Buffer.concat(pieces).toString("latin1");
    const start = text.indexOf("\r\n\r\n") + 4;
    const [, command = "", user = ""] =
      /^(\w+) SPAMC\/1\.5\r\nContent-length: \d+(?:\r\nUser: (.*))?\r\n\r\n/.exec(text) ?? [];
    const score = scores[user];
    asked.push(`${command} ${user}`);
    if (score === undefined) return void socket.destroy();
    const section = text.slice(start, text.indexOf("\r\n\r\n", start) + 4);
    const octets = command === "SYMBOLS" ? symbols : `X-Spam-Score: ${score}\r\n${section}`;
    socket.end(
      `SPAMD/1.1 0 EX_OK\r\nContent-length: ${octets.length}\r\nSpam: ${score >= 5 ? "True" : "False"} ; ${score} / 5.0\r\n\r\n${octets}`,
      "latin1",
    );
  });
});
const symbols = Array.from({ length: 12 }, (_, at) => `LONG_NAME_OF_TEST_${at}`).join(",");

let address: string;
beforeAll(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  address = `tcp:127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => void server.close());
beforeEach(() => {
  asked = [];
});

function open(options: Record<string, unknown> = {}, config: Partial<Config> = {}): Promise<TestGateway> {
  return createTestGateway(
    { domains: { virtualMailbox: ["example.test", "other.test"] }, ...config },
    { plugins: [[spamassassin, { address, onError: "defer", ...options }]] },
  );
}

const sample = "From: sender@example.net\r\nX-Spam-Flag: NO\r\nX-Spam: spoofed\r\nSubject: hello\r\n\r\nHi.\r\n";
const honest = sample.replace(/X-Spam.*\r\n/g, "");

async function send(gateway: TestGateway, to: readonly string[] = ["user@example.test"]): Promise<string> {
  const dialogue = smtp(gateway).say("MAIL FROM:<sender@example.net>");
  for (const recipient of to) dialogue.say(`RCPT TO:<${recipient}>`).expect(/^250/);
  return dialogue.data(sample);
}

/** What becomes of `sample`. */
async function become(score: number, options: Record<string, unknown> = {}): Promise<string> {
  scores = { "": score };
  await using gateway = await open(options);
  const reply = await send(gateway);
  if (!reply.startsWith("250")) return reply;
  const event = gateway.events.find(({ kind }) => kind === "discarded" || kind === "quarantined");
  if (event?.kind === "discarded") return `discarded: ${event.text}`;
  if (event?.kind === "quarantined") return `quarantined: ${event.reason}`;
  const [delivery] = await gateway.delivered(1);
  return withoutReceived(delivery?.content);
}

const withoutReceived = (content: Buffer | undefined): string =>
  (content?.toString("latin1") ?? "").replace(
    /^(?:(?:Return-Path|Delivered-To|Received|X-Original-To):.*\r\n(?:[ \t].*\r\n)*)*/,
    "",
  );

describe("one verdict for all", () => {
  const tagged = (score: number): string => `X-Spam-Score: ${score}\r\n${honest}`;
  test.each<[what: string, score: number, options: Record<string, unknown>, expected: string]>([
    ["no spam", 4.9, {}, tagged(4.9)],
    ["spam is tagged", 5, {}, tagged(5)],
    ["put aside", 51.9, { onSpam: "quarantine" }, "quarantined: spam: 51.9 of 5"],
    ["refused", 5, { onSpam: "reject" }, "550 5.7.1 Spam message rejected"],
    ["dropped", 5, { onSpam: "discard" }, "discarded: spam: 5 of 5"],
    ["refused from a score", 15, { rejectScore: 15 }, "550 5.7.1 Spam message rejected"],
    ["not refused below it", 14.9, { rejectScore: 15 }, tagged(14.9)],
    [
      "refused from a score, put aside below it",
      14.9,
      { rejectScore: 15, onSpam: "quarantine" },
      "quarantined: spam: 14.9 of 5",
    ],
    [
      "a score below what is spam may refuse, too",
      3,
      { rejectScore: 2.5, onSpam: "discard" },
      "550 5.7.1 Spam message rejected",
    ],
    ["nothing is taken out when nobody says so", 1, { removeFromOutside: [] }, `X-Spam-Score: 1\r\n${sample}`],
  ])("%s", async (_, score, options, expected) => {
    expect(await become(score, options)).toBe(expected);
    expect(asked).toEqual(["HEADERS "]);
  });
});

describe("the score alone", () => {
  const status = "score=6.1 required=5.0 tests=LONG_NAME_OF_TEST_0,\r\n\tLONG_NAME_OF_TEST_1,LONG_NAME_OF_TEST_2,";
  test("our own fields tell it, each once", async () => {
    const content = await become(6.1, { mode: "check", subject: "[SPAM %s]" });
    expect(content).toMatch(/^X-Spam-Flag: YES\r\nX-Spam-Level: \*{6}\r\nX-Spam-Status: Yes, /);
    expect(content).toContain(status);
    expect(content.match(/LONG_NAME_OF_TEST_\d+/g)).toHaveLength(12);
    expect(Math.max(...content.split("\r\n").map((line) => line.length))).toBeLessThan(79);
    expect(content.endsWith(honest.replace("hello", "[SPAM hello]"))).toBe(true);
    expect(content.match(/^X-Spam/gm)).toHaveLength(3);
    expect(asked).toEqual(["SYMBOLS "]);
  });

  test("no spam has no flag, and its own subject", async () => {
    const content = await become(-2, { mode: "check", subject: "[SPAM %s]", removeFromOutside: [] });
    expect(content).toMatch(/^X-Spam-Level:\r\nX-Spam-Status: No, score=-2\.0 required=5\.0 tests=/);
    expect(content).toContain("\r\nSubject: hello\r\n");
    expect(content).not.toContain("X-Spam-Flag");
  });
});

describe("users", () => {
  const [alice, bob] = ["alice@example.test", "bob@other.test"];
  const byUser = { user: "%u", perRecipient: true, onSpam: "reject" };

  test.each<[what: string, options: object, to: readonly string[], users: readonly string[]]>([
    ["one name", { user: "filter" }, [alice, bob], ["filter"]],
    ["the address", { user: "%s" }, [alice], [alice]],
    ["the domain of both", { user: "%d" }, [alice, "x@example.test"], ["example.test"]],
    ["one for several is the default one", { user: "%u", defaultUser: "all" }, [alice, bob], ["all"]],
    ["or spamd's own", { user: "%u" }, [alice, bob], [""]],
    ["each", byUser, [alice, bob], ["alice", "bob"]],
    ["each once", { ...byUser, user: "%d" }, [alice, "x@example.test", bob], ["example.test", "other.test"]],
    ["too many", { ...byUser, maxUsers: 1, defaultUser: "all" }, [alice, bob], ["all"]],
  ])("%s", async (_, options, to, users) => {
    scores = Object.fromEntries(users.map((user) => [user, 1]));
    await using gateway = await open(options as Record<string, unknown>);
    expect(await send(gateway, to)).toMatch(/^250/);
    expect(asked.toSorted()).toEqual(users.map((user) => `HEADERS ${user}`));
  });

  test("each fares as its user's scan says; who gets it sees the highest score of those", async () => {
    scores = { alice: 2, bob: 30, carol: 4 };
    await using gateway = await open(byUser, { policy: { mixed: "discard" } });
    expect(await send(gateway, [alice, bob, "carol@example.test"])).toMatch(/^250/);
    const [delivery] = await gateway.delivered(1);
    expect(delivery?.recipients).toEqual([alice, "carol@example.test"]);
    expect(withoutReceived(delivery?.content)).toBe(`X-Spam-Score: 4\r\n${honest}`);
  });

  test("spam for all of them is refused; one scan that fails leaves none a verdict", async () => {
    scores = { alice: 20, bob: 30 };
    await using gateway = await open(byUser, { policy: { mixed: "discard" } });
    expect(await send(gateway, [alice, bob])).toBe("550 5.7.1 Spam message rejected");
    scores = { alice: 1 };
    expect(await send(gateway, [alice, bob])).toMatch(/^451 4\.3\.0 /);
  });
});
