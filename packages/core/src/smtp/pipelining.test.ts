// Commands ahead of their turn, as Postfix's reject_unauth_pipelining sees them: what a word at RCPT knows of it.
import { expect, test } from "vitest";
import { z } from "zod";
import type { Restriction } from "../policy/restriction.ts";
import { createFront } from "./front.fixture.ts";

const rest = "MAIL FROM:<a@there.test>\r\nRCPT TO:<b@ours.test>\r\n";

test.for<[packets: readonly string[], early: boolean]>([
  [["EHLO c.test\r\n", "MAIL FROM:<a@there.test>\r\n", "RCPT TO:<b@ours.test>\r\n"], false],
  [["EHLO c.test\r\n", rest], false],
  [["EHLO c.test\r\n", `RSET\r\n${rest}`], false],
  [["EHLO c.test\r\nMAIL FROM:<a@there.test>\r\n", "RCPT TO:<b@ours.test>\r\n"], true],
  [["HELO c.test\r\n", "MAIL FROM:<a@there.test>\r\n", "RCPT TO:<b@ours.test>\r\n"], false],
  [["HELO c.test\r\n", rest], true],
  [["EHLO c.test\r\n", `NOOP\r\n${rest}`], true],
  [["EHLO c.test\r\n", "VRFY a\r\nNOOP\r\n", rest], true],
  // Known once, known for good.
  [["HELO c.test\r\nRSET\r\n", "EHLO c.test\r\n", "MAIL FROM:<a@there.test>\r\n", "RCPT TO:<b@ours.test>\r\n"], true],
])("%j: %s", async ([packets, early]) => {
  let known: boolean | undefined;
  const looks: Restriction = {
    name: "looks",
    stages: ["rcpt"],
    args: z.tuple([]),
    description: "",
    compile:
      () =>
      ({ session }) =>
        void (known = session.pipelinedEarly === true),
  };
  const front = await createFront({ words: [looks], lists: { rcpt: ["looks"] } });
  const talk = front.connect({ remoteAddress: "192.0.2.1" });
  await talk.reply();
  for (const packet of packets) {
    talk.send(packet);
    for (let left = packet.split("\r\n").length - 1; left > 0; left -= 1) await talk.reply();
  }
  talk.send("QUIT\r\n");
  await front.idle();
  expect(known).toBe(early);
  expect(front.lines().filter((line) => line.includes("improper command pipelining"))).toHaveLength(early ? 1 : 0);
});

test("octets behind DATA, before the go-ahead", async () => {
  let known: boolean | undefined;
  const looks: Restriction = {
    name: "looks",
    stages: ["data"],
    args: z.tuple([]),
    description: "",
    compile:
      () =>
      ({ session }) =>
        void (known = session.pipelinedEarly),
  };
  const front = await createFront({ words: [looks], lists: { data: ["looks"] } });
  const talk = await front.greeted();
  talk.send(`${rest}DATA\r\n`);
  for (let at = 0; at < 3; at += 1) await talk.reply();
  expect(known).toBeUndefined();
  talk.send("x: y\r\n.\r\n");
  await talk.reply();
  talk.send(`${rest}DATA\r\nx: y\r\n.\r\n`);
  for (let at = 0; at < 4; at += 1) await talk.reply();
  expect(known).toBe(true);
  talk.send("QUIT\r\n");
  await front.idle();
});
