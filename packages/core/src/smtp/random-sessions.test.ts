/**
 * Random sessions against a reference model of reply grammar and state, cut at random. A failure names its seed.
 */
import { expect, test } from "vitest";
import { heldBytes } from "../../../../test/held-memory.ts";
import { randomFrom, sample, seed as firstSeed } from "../../../../test/sampling.ts";
import { createFront, type Front } from "./front.fixture.ts";

const sessions = sample(10_000, 100_000);

interface Model {
  state: "start" | "ready" | "mail" | "rcpt" | "chunking";
  attempts: number;
  content: string;
  queued: string[];
  ended: boolean;
}

interface Step {
  readonly send: string;
  /** The codes of its replies, in order, and what it does to the model. */
  readonly expect: readonly string[];
}

const recipients: readonly (readonly [string, string])[] = [
  ["<b@ours.test>", "250 2.1.5"],
  ["<c@ours.test> NOTIFY=NEVER", "250 2.1.5"],
  ["<x@elsewhere.test>", "554 5.7.1"],
  ["<b@ours.test> FOO", "555 5.5.4"],
  ["b@ours.test", "501 5.1.3"],
  ["<\u00e9@ours.test>", "501 5.1.3"],
];
const senders: readonly (readonly [string, string])[] = [
  ["<a@there.test>", "250 2.1.0"],
  ["<>", "250 2.1.0"],
  ["<a@there.test> SIZE=10 BODY=8BITMIME", "250 2.1.0"],
  ["<a@there.test> SIZE=9999", "552 5.3.4"],
  ["<a b@there.test>", "501 5.1.7"],
  ["<a@there.test> SIZE=1 SIZE=1", "501 5.5.4"],
];
const contents: readonly (readonly [raw: string, content: string, refusal: string | undefined])[] = [
  ["", "", undefined],
  ["x: y\r\n", "x: y\r\n", undefined],
  ["..\r\n.z\r\n", ".\r\nz\r\n", undefined],
  ["x: y\r\n\r\nQUIT\r\nMAIL FROM:<>\r\n", "x: y\r\n\r\nQUIT\r\nMAIL FROM:<>\r\n", undefined],
  ["a\nb\r\n", "", "550 5.5.2"],
  ["a\r\n.\nb\r\n", "", "550 5.5.2"],
  ["a\rb\r\n", "", "550 5.5.2"],
  ["\0\r\n", "", "550 5.6.0"],
  [`${"long ".repeat(300)}\r\n`, "", "552 5.3.4"],
];
const chunks = ["", "x: y\r\n", "\r\n.\r\n", "QUIT\r\n", "x".repeat(400)];

function nextStep(model: Model, random: (below: number) => number): Step {
  const pick = <T>(list: readonly T[]): T => list[random(list.length)] as T;
  const inTransaction = model.state === "mail" || model.state === "rcpt" || model.state === "chunking";
  const reset = (): void => {
    if (model.state !== "start") model.state = "ready";
    model.attempts = 0;
    model.content = "";
  };
  switch (random(16)) {
    case 0:
      reset();
      model.state = "ready";
      return { send: random(2) === 0 ? "EHLO c.test" : "helo c.test", expect: ["250"] };
    case 1:
      return { send: "EHLO", expect: ["501 5.5.4"] };
    case 2:
      reset();
      return { send: "RSET", expect: ["250 2.0.0"] };
    case 3:
      return { send: pick(["NOOP", "NOOP x"]), expect: ["250 2.0.0"] };
    case 4: {
      const junk = pick([
        ["VRFY b", "252 2.5.0"],
        ["EXPN b", "502 5.5.1"],
        ["\u0080\u00ff", "500 5.5.1"],
        ["", "500 5.5.1"],
        [`NOOP ${"x".repeat(3000)}`, "500 5.5.2"],
        ["NOOP\rNOOP", "500 5.5.2"],
        ["NO\0OP", "500 5.5.2"],
        ["STARTTLS", inTransaction ? "503 5.5.1" : "502 5.5.1"],
        ["XCLIENT ADDR=1.2.3.4", inTransaction ? "503 5.5.1" : "550 5.7.0"],
      ] as const);
      return { send: junk[0], expect: [junk[1]] };
    }
    case 5:
      if (random(4) > 0) return { send: "NOOP", expect: ["250 2.0.0"] };
      model.ended = true;
      return { send: "QUIT", expect: ["221 2.0.0"] };
    case 6:
    case 7:
    case 8: {
      const [sender, answer] = pick(senders);
      if (model.state !== "ready") return { send: `MAIL FROM:${sender}`, expect: ["503 5.5.1"] };
      if (answer.startsWith("250")) model.state = "mail";
      return { send: `MAIL FROM:${sender}`, expect: [answer] };
    }
    case 9:
    case 10:
    case 11: {
      const [recipient, answer] = pick(recipients);
      if (model.state !== "mail" && model.state !== "rcpt")
        return { send: `RCPT TO:${recipient}`, expect: ["503 5.5.1"] };
      model.attempts += 1;
      if (answer.startsWith("250")) model.state = "rcpt";
      return { send: `RCPT TO:${recipient}`, expect: [answer] };
    }
    case 12:
    case 13: {
      if (model.state === "mail" && model.attempts > 0) return { send: "DATA", expect: ["554 5.5.1"] };
      if (model.state !== "rcpt") return { send: "DATA", expect: ["503 5.5.1"] };
      const [raw, content, refusal] = pick(contents);
      if (refusal === undefined) model.queued.push(content);
      reset();
      return { send: `DATA\r\n${raw}.`, expect: ["354", refusal ?? "250 2.0.0"] };
    }
    default: {
      const chunk = pick(chunks);
      const last = random(3) === 0;
      const send = `BDAT ${chunk.length}${last ? " LAST" : ""}\r\n${chunk}`;
      if (model.state === "mail" && model.attempts > 0) return { send, expect: ["554 5.5.1"] };
      if (model.state !== "rcpt" && model.state !== "chunking") return { send, expect: ["503 5.5.1"] };
      model.state = "chunking";
      model.content += chunk;
      if (model.content.length > 1000) {
        reset();
        return { send, expect: ["552 5.3.4"] };
      }
      if (last) {
        model.queued.push(model.content);
        reset();
      }
      return { send, expect: ["250 2.0.0"] };
    }
  }
}

/** One reply of RFC 5321 §4.2: lines of one code, printable, at most 512 octets each. */
const replyForm = /^(?:(\d{3})-[ -~]*\r\n(?:\1-[ -~]*\r\n)*)?(?:\1|\d{3}) [ -~]*\r\n/;

async function runSession(front: Front, seed: number): Promise<void> {
  const next = randomFrom(seed);
  const random = (below: number): number => Math.floor(next() * below);
  const model: Model = { state: "start", attempts: 0, content: "", queued: [], ended: false };
  const expected: string[] = [];
  let sent = "";
  for (let steps = 3 + random(25); steps > 0 && !model.ended; steps -= 1) {
    const step = nextStep(model, random);
    // The octets of a chunk end without a line end.
    sent += step.send.startsWith("BDAT") ? step.send : `${step.send}\r\n`;
    expected.push(...step.expect);
  }
  const already = front.queue.length;
  const talk = front.connect();
  await talk.reply();
  const largest = [1, 7, 60, 3000, 100_000][random(5)] ?? 1;
  for (let at = 0; at < sent.length;) {
    const end = at + 1 + random(largest);
    talk.send(sent.slice(at, end));
    at = end;
    if (random(4) === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  if (!model.ended) talk.stream.end();
  const said = await talk.rest();
  const replies: string[] = [];
  for (let rest = said; rest !== "";) {
    const match = replyForm.exec(rest);
    if (match === null) throw new Error(`seed ${seed}: no reply: ${JSON.stringify(rest.slice(0, 200))}`);
    expect(Math.max(...match[0].split("\r\n").map(({ length }) => length))).toBeLessThanOrEqual(510);
    replies.push(match[0]);
    rest = rest.slice(match[0].length);
  }
  const starts = replies.map((reply, index) => reply.slice(0, expected[index]?.length ?? 9));
  expect({ seed, sent, starts }).toEqual({ seed, sent, starts: expected });
  const queued = front.queue.slice(already).map(({ text }) => text.replace(/^Received: .*\r\n(?:\t.*\r\n)*/, ""));
  expect({ seed, queued }).toEqual({ seed, queued: model.queued });
  // A first line that is no field gets no blank line before it: the model's contents are as they came.
}

test(
  `${sessions} random sessions are what the model says, and leave nothing behind`,
  async () => {
    const front = await createFront({ limits: { messageSizeBytes: 1000, errors: Infinity, junkCommands: Infinity } });
    for (let seed = firstSeed; seed < firstSeed + 200 && seed < firstSeed + sessions; seed += 1)
      await runSession(front, seed);
    forget(front);
    const before = heldBytes();
    for (let seed = firstSeed + 200; seed < firstSeed + sessions; seed += 1) {
      await runSession(front, seed);
      if (seed % 100 === 0) forget(front);
    }
    forget(front);
    await front.idle();
    expect(heldBytes() - before).toBeLessThan(10 * 1024 * 1024);
  },
  60_000 + sessions * 20,
);

function forget(front: Front): void {
  expect(front.events.filter(({ kind }) => kind === "failed")).toEqual([]);
  front.queue.length = 0;
  front.events.length = 0;
}
