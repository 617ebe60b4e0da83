// What milters change at the end of a message, each alone and one after the other.
import { smtp } from "@postern/testkit";
import { describe, expect, test } from "vitest";
import { actions, steps, type Modification, type Response } from "../protocol/index.ts";
import { deliver, mail, start, startOne, text } from "./gateway.fixture.ts";
import { poll } from "./poll.fixture.ts";
import { replies } from "./scripted-milter.fixture.ts";

const wants = (...all: readonly Response[]) => ({ script: { endOfMessage: () => [...all, replies.continue] } });
const add = (name: string, value: string): Modification => ({ kind: "addHeader", name, value });
const insert = (index: number, name: string, value: string): Modification => ({
  kind: "insertHeader",
  index,
  name,
  value,
});
const change = (index: number, name: string, value: string): Modification => ({
  kind: "changeHeader",
  index,
  name,
  value,
});

describe("the header", () => {
  const header = "From: a\r\nX: 1\r\nTo: b\r\nx: 2\r\n";
  test.each<[what: string, modifications: readonly Modification[], after: string]>([
    ["added at the end", [add("A", "v"), add("A", "w")], `${header}A: v\r\nA: w\r\n`],
    ["folded as the milter folded it", [add("A", "v;\n\tw=1;\r\n z")], `${header}A: v;\r\n\tw=1;\r\n z\r\n`],
    ["octets are octets", [add("A", "\xfc\xc3\xbc")], `${header}A: \xfc\xc3\xbc\r\n`],
    ["inserted: our own Received is the first", [insert(1, "A", "v")], `A: v\r\n${header}`],
    ["inserted above our own: below it", [insert(0, "A", "v")], `A: v\r\n${header}`],
    ["inserted twice at the same place", [insert(1, "A", "v"), insert(1, "B", "w")], `B: w\r\nA: v\r\n${header}`],
    [
      "above our own twice, then counted",
      [insert(0, "A", "v"), insert(0, "B", "w"), insert(2, "C", "x"), insert(4, "D", "y")],
      `B: w\r\nA: v\r\nC: x\r\nD: y\r\n${header}`,
    ],
    ["inserted in the middle", [insert(3, "A", "v")], "From: a\r\nX: 1\r\nA: v\r\nTo: b\r\nx: 2\r\n"],
    ["inserted beyond the end", [insert(99, "A", "v")], `${header}A: v\r\n`],
    ["changed by its number, whatever its case", [change(2, "X", "new")], "From: a\r\nX: 1\r\nTo: b\r\nX: new\r\n"],
    ["number 0 is the first", [change(0, "x", "new")], "From: a\r\nx: new\r\nTo: b\r\nx: 2\r\n"],
    ["changed where none is: added", [change(3, "X", "new")], `${header}X: new\r\n`],
    ["deleted", [change(1, "x", "")], "From: a\r\nTo: b\r\nx: 2\r\n"],
    [
      "deleted one after the other: the second is then the first",
      [change(1, "X", ""), change(1, "X", "")],
      "From: a\r\nTo: b\r\n",
    ],
    ["deleted where none is", [change(3, "X", "")], header],
    [
      "what was added can be changed",
      [add("A", "v"), insert(1, "A", "w"), change(2, "A", "z"), change(1, "A", "")],
      `${header}A: z\r\n`,
    ],
  ])("%s", async (_, modifications, after) => {
    const { gateway } = await startOne(wants(...modifications));
    await deliver(gateway, `${header}\r\nBody.\r\n`).expect(/^250/);
    const [delivery] = await gateway.delivered(1);
    expect(text(delivery?.content)).toBe(`${after}\r\nBody.\r\n`);
  });

  test("the blank behind the colon is the milter's where it minds", async () => {
    const { gateway } = await startOne({ ...wants(add("A", "  v")), terms: () => ({ steps: steps.leadingSpace }) });
    await deliver(gateway).expect(/^250/);
    const [delivery] = await gateway.delivered(1);
    expect(text(delivery?.content)).toContain("\r\nA:  v\r\n");
  });
});

describe("the body", () => {
  const replace = (octets: string): Modification => ({ kind: "replaceBody", octets: Buffer.from(octets, "latin1") });
  test.each<[what: string, pieces: readonly string[], body: string]>([
    ["nothing", [""], ""],
    ["in pieces", ["one\r\nt", "wo\r\n"], "one\r\ntwo\r\n"],
    ["bare LF and a CR LF cut in two", ["one\ntwo\r", "\nthree"], "one\r\ntwo\r\nthree\r\n"],
    ["a dot alone is a line like others", ["a\r\n.\r\nb\r\n"], "a\r\n.\r\nb\r\n"],
    ["8-bit octets", ["\xff\xfe\r\n"], "\xff\xfe\r\n"],
    [
      "64 KiB after 64 KiB",
      Array.from({ length: 40 }, () => `${"x".repeat(990)}\r\n`.repeat(66)),
      `${"x".repeat(990)}\r\n`.repeat(66 * 40),
    ],
  ])("%s", async (_, pieces, body) => {
    const { gateway } = await startOne(wants(...pieces.map(replace), add("A", "v")));
    await deliver(gateway).expect(/^250/);
    const [delivery] = await gateway.delivered(1);
    expect(text(delivery?.content)?.split("\r\n\r\n").slice(1).join("\r\n\r\n")).toBe(body);
  });
});

test("a body without end is the milter's fault, as soon as it is larger than a message may be", async () => {
  const piece: Modification = { kind: "replaceBody", octets: Buffer.alloc(60_000, "x") };
  const script = { endOfMessage: () => Array.from({ length: 40 }, () => piece) };
  const { gateway, milter } = await startOne({ script }, {}, { limits: { messageSize: "1MB" } });
  await deliver(gateway).expect(/^451 4\.7\.1 Service unavailable/);
  await poll(() => milter.open).toBe(0);
});

describe("the envelope", () => {
  test.each<[what: string, modifications: readonly Modification[], sender: string, recipients: readonly string[]]>([
    [
      "a recipient more",
      [{ kind: "addRecipient", address: "<c@example.test>" }],
      "a@example.net",
      ["b@example.test", "c@example.test"],
    ],
    [
      "with arguments, and without brackets",
      [{ kind: "addRecipient", address: "c@example.test", args: "NOTIFY=NEVER" }],
      "a@example.net",
      ["b@example.test", "c@example.test"],
    ],
    [
      "another in its place",
      [
        { kind: "deleteRecipient", address: "<b@example.test>" },
        { kind: "addRecipient", address: "<c@example.test>" },
      ],
      "a@example.net",
      ["c@example.test"],
    ],
    [
      "another sender",
      [{ kind: "changeSender", address: "<x@example.net>", args: "SIZE=1" }],
      "x@example.net",
      ["b@example.test"],
    ],
    ["no sender", [{ kind: "changeSender", address: "<>" }], "", ["b@example.test"]],
  ])("%s", async (_, modifications, sender, recipients) => {
    const { gateway } = await startOne(wants(...modifications));
    await deliver(gateway).expect(/^250/);
    const deliveries = await gateway.delivered(1);
    expect(deliveries.map((each) => each.sender)).toEqual([sender]);
    expect(deliveries.flatMap((each) => each.recipients).toSorted()).toEqual(recipients);
  });
});

test.each(["<postmaster>", '<"b"@example.test>', "<b@EXAMPLE.test>"])(
  "%s is gone when the milter removes whom it was told of",
  async (path) => {
    let told = "";
    const { gateway } = await startOne({
      script: {
        recipient: (command) => {
          if (command.kind === "recipient") [told = ""] = command.args;
          return [{ kind: "continue" }];
        },
        endOfMessage: () => [
          { kind: "deleteRecipient", address: told },
          { kind: "addRecipient", address: "<c@example.test>" },
          { kind: "continue" },
        ],
      },
    });
    await smtp(gateway)
      .say("MAIL FROM:<a@example.net>")
      .say(`RCPT TO:${path}`)
      .expect(/^250/)
      .data(mail)
      .expect(/^250/);
    const deliveries = await gateway.delivered(1);
    expect(told).toBe(path);
    expect(deliveries.flatMap(({ recipients }) => recipients)).toEqual(["c@example.test"]);
  },
);

test("who is left without recipients is taken, and nobody gets it", async () => {
  const { gateway } = await startOne(wants({ kind: "deleteRecipient", address: "<b@example.test>" }));
  await deliver(gateway).expect(/^250 2\.0\.0/);
  expect(gateway.events.map(({ kind }) => kind)).toContain("discarded");
});

test("quarantine, at the end or before it; the milters behind still see the message", async () => {
  const early = await start([
    { script: { recipient: () => [{ kind: "quarantine", reason: "odd" }, replies.continue] } },
    wants(add("A", "v")),
  ]);
  await deliver(early.gateway).expect(/^250/);
  expect(early.gateway.quarantined.map(({ reason }) => reason)).toEqual(["odd (milter m0)"]);
  expect(text(early.gateway.quarantined[0]?.content)).toContain("A: v\r\n");
  const late = await startOne(wants({ kind: "quarantine", reason: "bad" }));
  await deliver(late.gateway).expect(/^250/);
  expect(late.gateway.quarantined.map(({ reason }) => reason)).toEqual(["bad (milter m0)"]);
  expect(late.gateway.deliveries).toEqual([]);
});

test("what a milter wants that refuses in the end is not done, nor what those before it wanted", async () => {
  const { gateway, milters } = await start([
    wants(add("A", "v")),
    { script: { endOfMessage: (_, count) => (count === 1 ? [add("B", "w"), replies.tempfail] : [replies.continue]) } },
  ]);
  await deliver(gateway).expect(/^451/);
  await deliver(gateway).expect(/^250/);
  const [delivery] = await gateway.delivered(1);
  expect(text(delivery?.content)).toBe(mail.replace("\r\n\r\n", "\r\nA: v\r\n\r\n"));
  expect(milters[1]?.heard).toContain("header A:v");
});

test("each sees the message as those before it left it", async () => {
  const { gateway, milters } = await start([
    wants(change(1, "Subject", "new"), { kind: "replaceBody", octets: Buffer.from("Other.\r\n") }),
    wants(insert(1, "A", "v"), change(1, "To", "")),
    {},
  ]);
  await deliver(gateway).expect(/^250/);
  expect(milters[2]?.heard.filter((line) => line.startsWith("header"))).toEqual([
    "header A:v",
    "header From:a@example.net",
    "header Subject:new",
  ]);
  expect(milters[2]?.body()).toBe("Other.\r\n");
  const [delivery] = await gateway.delivered(1);
  expect(text(delivery?.content)).toBe("A: v\r\nFrom: a@example.net\r\nSubject: new\r\n\r\nOther.\r\n");
});

test("discarded: nobody behind is asked, and nothing is delivered", async () => {
  const { gateway, milters } = await start([{ script: { mail: () => [replies.discard] } }, {}]);
  const dialogue = deliver(gateway).expect(/^250 2\.0\.0/);
  await dialogue.say("MAIL FROM:<>").expect(/^250/);
  expect(milters[1]?.heard.slice(2)).toEqual([]);
  expect(gateway.deliveries).toEqual([]);
});

test("who accepted a message is asked about the next one", async () => {
  const { gateway, milter } = await startOne({
    script: { mail: (_, count) => [count === 1 ? replies.accept : replies.continue] },
  });
  const dialogue = deliver(gateway).expect(/^250/);
  await dialogue.say("MAIL FROM:<>").expect(/^250/);
  expect(milter.heard.slice(2)).toEqual(["mail <a@example.net>", "abort", "mail <>"]);
});

test("skip: no more of the body", async () => {
  const { gateway, milter } = await startOne({ script: { body: () => [replies.skip] } });
  await deliver(gateway, `Subject: x\r\n\r\n${"x\r\n".repeat(50_000)}`).expect(/^250/);
  expect(milter.heard.filter((line) => /^body|^endOf/.test(line))).toEqual([
    "endOfHeaders",
    "body 65535",
    "endOfMessage",
  ]);
});

describe("what was not negotiated, or cannot be, is the milter's fault and not carried out", () => {
  test.each<[what: string, terms: number, modification: Response]>([
    ["a header", actions.changeBody, add("A", "v")],
    ["the body", actions.addHeaders, { kind: "replaceBody", octets: Buffer.from("x") }],
    ["a recipient", 0, { kind: "addRecipient", address: "<c@example.test>" }],
    ["deletion", 0, { kind: "deleteRecipient", address: "<b@example.test>" }],
    ["the sender", 0, { kind: "changeSender", address: "<>" }],
    ["quarantine", 0, { kind: "quarantine", reason: "x" }],
    ["no name", 0x1ff, add("", "v")],
    ["a name with a colon", 0x1ff, add("A:b", "v")],
    ["no address", 0x1ff, { kind: "addRecipient", address: "<a b@@>" }],
    ["a second negotiation", 0x1ff, { kind: "negotiate", version: 6, actions: 0, steps: 0 }],
  ])("%s", async (_, allowed, modification) => {
    const { gateway } = await startOne({ ...wants(modification), terms: () => ({ actions: allowed }) });
    await deliver(gateway).expect(/^451 4\.7\.1 Service unavailable/);
    expect(gateway.log.join("\n")).toMatch(/milter m0.*\(invalid|invalid.*milter m0/s);
    expect(await smtp(gateway).say("QUIT")).toMatch(/^221/);
  });
});
