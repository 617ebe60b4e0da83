// The engine against its daemon: `testScanner` tries the cases and much besides, then the plugin runs in a whole gateway.
import { createHash } from "node:crypto";
import { createTestGateway, fuzzAnswer, openPlugin, sampleRecipient, smtp, testScanner } from "@postern/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startDaemon, type Daemon } from "./daemon.fixture.ts";
import plugin from "./index.ts";

const body = "Buy now, only today!\r\n";
const spam = `From: a@spam.test\r\nSubject: hello\r\n\r\n${body}`;
const known = new Map([[createHash("sha256").update(body).digest("hex"), "bulk-7"]]);

let daemon: Daemon;
beforeEach(async () => void (daemon = await startDaemon(known)));
afterEach(() => daemon.stop());

async function open(options: object = {}) {
  const opened = await openPlugin(plugin, { address: daemon.address, onError: "defer", ...options });
  const [owned] = opened.scanners;
  if (owned === undefined) throw new Error("no scanner");
  return { scanner: owned.scanner, close: () => opened.close() };
}

test("verdicts, and every reason that it fails for", async () => {
  const { scanner, close } = await open({ maxSize: "1KB" });
  await testScanner(scanner, {
    deadlineMs: 5_000,
    reasons: ["down", "timeout", "tooLarge", "encrypted", "error"],
    close,
    cases: [
      { name: "another body", expect: "none" },
      { name: "a known one", message: spam, expect: "reject 550 5.7.1 known: bulk-7" },
      { name: "without a header", message: `\r\n${body}`, expect: "reject 550 5.7.1 known: bulk-7" },
      { name: "without a body", message: "Subject: x\r\n", expect: "none" },
      { name: "too large", message: `\r\n${"x".repeat(1024)}`, expect: { fails: "tooLarge" } },
      {
        name: "encrypted",
        message: "Content-Type: multipart/encrypted; boundary=x\r\n\r\n--x--\r\n",
        expect: { fails: "encrypted" },
      },
      { name: "rubbish", before: () => void (daemon.mood = "rubbish"), expect: { fails: "error" } },
      { name: "hangs up", before: () => void (daemon.mood = "hangs up"), expect: { fails: "down" } },
      { name: "silent", before: () => void (daemon.mood = "silent"), expect: { fails: "timeout" } },
      { name: "dead", before: () => daemon.stop(), expect: { fails: "down" } },
    ],
  });
});

test("the next daemon is asked when one is down", async () => {
  const other = await startDaemon(known);
  const { scanner, close } = await open({ address: [`tcp:${daemon.address}`, other.address], connections: 2 });
  await testScanner(scanner, {
    close,
    cases: [
      { name: "both there", message: spam, expect: "reject 550 5.7.1 known: bulk-7" },
      { name: "one", before: () => daemon.stop(), message: spam, expect: "reject 550 5.7.1 known: bulk-7" },
      { name: "none", before: () => other.stop(), expect: { fails: "down" } },
    ],
  });
});

test("what becomes of a known message", async () => {
  const { scanner } = await open({ onKnown: "tag" });
  await testScanner(scanner, {
    cases: [
      {
        name: "tagged",
        message: spam,
        expect: "replaceHeader Subject#1: [known] hello; prepend X-Fingerprint: bulk-7",
      },
    ],
  });
  const aside = await open({ onKnown: "quarantine", exempt: ["abuse@x.test"] });
  const to = (...names: string[]) => ({ recipients: names.map((name) => sampleRecipient(`${name}@x.test`)) });
  await testScanner(aside.scanner, {
    cases: [
      { name: "all", message: spam, transaction: to("a", "b"), expect: "quarantine known: bulk-7" },
      {
        name: "but for one",
        message: spam,
        transaction: to("a", "abuse"),
        expect: "recipients quarantine known: bulk-7, none",
      },
      { name: "for that one alone", message: spam, transaction: to("abuse"), expect: "recipients none" },
    ],
  });
});

test("hostile senders", async () => {
  const { scanner } = await open();
  await fuzzAnswer((sender) =>
    testScanner(scanner, { cases: [{ name: "any", transaction: { sender }, expect: "none" }], atOnce: 1 }),
  );
});

test("in a gateway", async () => {
  await using gateway = await createTestGateway(
    { domains: { relay: ["example.test"] } },
    { plugins: [[plugin, { address: daemon.address, onError: { down: "skip" } }]] },
  );
  const send = (text: string) =>
    smtp(gateway).say("MAIL FROM:<a@x.test>").say("RCPT TO:<b@example.test>").data(text.replaceAll("\r\n", "\n"));
  await send("Subject: good\n\nhello\n").expect(/^250 /);
  await send(spam).expect("550 5.7.1 known: bulk-7");
  await daemon.stop();
  await send(spam).expect(/^250 /);
  const [, unscanned] = await gateway.delivered(2);
  expect(unscanned?.content.toString()).toContain("X-Postern-Unscanned: fingerprints (down)\r\n");
});
