// Dialogues in process: what is said, what is answered, what is queued.
import { parseRefusalLine } from "./log-line.ts";
import { describe, expect, test } from "vitest";
import { createFront, sayWord, type FrontOptions } from "./front.fixture.ts";
import { defer, reject } from "../model/index.ts";

type Exchange = readonly [said: string, answered: string | RegExp];

interface Case {
  readonly options?: FrontOptions;
  readonly say: readonly Exchange[];
  /** Contents of what was queued, without the Received field. */
  readonly queued?: readonly string[];
}

const mail: Exchange = ["MAIL FROM:<a@there.test>", "250 2.1.0 Ok"];
const rcpt: Exchange = ["RCPT TO:<b@ours.test>", "250 2.1.5 Ok"];
const data: Exchange = ["DATA", /^354 /];
const taken = /^250 2\.0\.0 Ok: queued as \w{13}$/;
const bye: Exchange = ["QUIT", "221 2.0.0 Bye"];
const ehlo: Exchange = ["EHLO client.test", /^250-mx\.ours\.test\n/];
const bdatOctets = (octets: string, last = ""): string => `BDAT ${octets.length}${last}\r\n${octets}`;

const cases: Readonly<Record<string, Case>> = {
  "commands in any case, blanks tolerated": {
    say: [
      ["mail from: <a@there.test>", "250 2.1.0 Ok"],
      ["rcpt to: <b@ours.test>", "250 2.1.5 Ok"],
      ["data", /^354 /],
      ["x\r\n.", taken],
    ],
    queued: ["x\r\n"],
  },
  "two messages in a session": {
    say: [mail, rcpt, data, ["A: 1\r\n\r\n.", taken], mail, rcpt, data, ["B: 2\r\n.", taken], bye],
    queued: ["A: 1\r\n\r\n", "B: 2\r\n"],
  },
  "sequences out of order": {
    say: [
      ["RCPT TO:<b@ours.test>", /^503 5\.5\.1 /],
      ["DATA", /^503 5\.5\.1 /],
      ["BDAT 0 LAST", /^503 5\.5\.1 /],
      mail,
      mail.with(1, /^503 5\.5\.1 /) as unknown as Exchange,
      ["DATA", /^503 5\.5\.1 /],
      ["STARTTLS", /^503 5\.5\.1 /],
      ["RSET", "250 2.0.0 Ok"],
      ["RCPT TO:<b@ours.test>", /^503 /],
    ],
  },
  "DATA after refused recipients only": {
    say: [
      mail,
      ["RCPT TO:<x@elsewhere.test>", /^554 5\.7\.1 <x@elsewhere\.test>: Relay/],
      ["DATA", /^554 5\.5\.1 No valid/],
    ],
  },
  "EHLO ends a transaction": { say: [mail, rcpt, ehlo, ["DATA", /^503 /], mail, rcpt] },
  "a refused EHLO leaves all as it was (RFC 5321 §4.1.4)": {
    options: {
      taps: ({ smtp }) => smtp.helo.tap((name) => (name === "bad.test" ? reject("no such host") : undefined)),
    },
    say: [mail, rcpt, ["EHLO bad.test", /^5\d\d /], ["EHLO", /^501 /], data, ["x\r\n.", taken]],
    queued: ["x\r\n"],
  },
  "the null sender": {
    say: [["MAIL FROM:<>", "250 2.1.0 Ok"], rcpt, data, ["x: y\r\n.", taken]],
    queued: ["x: y\r\n"],
  },
  "quoted local parts": {
    say: [
      ['MAIL FROM:<"a b"@there.test>', "250 2.1.0 Ok"],
      ['RCPT TO:<"a\\"b>"@ours.test>', "250 2.1.5 Ok"],
      ['RCPT TO:<"a@b"@ours.test>', /^554 5\.7\.1 /],
    ],
  },
  "sender-specified routing is refused to strangers": {
    say: [
      mail,
      ["RCPT TO:<user%other.test@ours.test>", /^554 5\.7\.1 /],
      ["RCPT TO:<@ours.test:user@other.test>", /^554 5\.7\.1 /],
      ["RCPT TO:<@other.test:user@ours.test>", /^554 5\.7\.1 /],
    ],
  },
  "postmaster without a domain": { say: [mail, ["RCPT TO:<Postmaster>", "250 2.1.5 Ok"]] },
  "malformed paths": {
    say: [
      ["MAIL FROM:a@there.test", /^501 5\.1\.7 /],
      ["MAIL FROM:<a@there.test", /^501 5\.1\.7 /],
      ["MAIL FROM:<a@@there.test>", /^501 5\.1\.7 /],
      ["MAIL FROM:<a@-there.test>", /^501 5\.1\.7 /],
      ["MAIL FROM", /^501 5\.5\.4 /],
      ["MAIL TO:<a@there.test>", /^501 5\.5\.4 /],
      ["MAIL", /^501 5\.5\.4 /],
      mail,
      ["RCPT TO:<b>", /^501 5\.1\.3 /],
      ["RCPT TO:<>", /^501 5\.1\.3 /],
      ["RCPT FROM:<b@ours.test>", /^501 5\.5\.4 /],
      [`RCPT TO:<${"b".repeat(65)}@ours.test>`, /^501 5\.1\.3 /],
    ],
  },
  "parameters of MAIL": {
    say: [
      ["MAIL FROM:<a@there.test> SIZE=52428801", /^552 5\.3\.4 /],
      ["MAIL FROM:<a@there.test> SIZE=x", /^501 5\.5\.4 /],
      ["MAIL FROM:<a@there.test> SIZE", /^501 5\.5\.4 /],
      ["MAIL FROM:<a@there.test> BODY=9BIT", /^501 5\.5\.4 /],
      ["MAIL FROM:<a@there.test> BODY=7BIT body=7bit", /^501 5\.5\.4 /],
      ["MAIL FROM:<a@there.test> RET=NO", /^501 5\.5\.4 /],
      ["MAIL FROM:<a@there.test> ENVID=a+2", /^501 5\.5\.4 /],
      ["MAIL FROM:<a@there.test> SMTPUTF8=1", /^501 5\.5\.4 /],
      ["MAIL FROM:<a@there.test> =x", /^501 5\.5\.4 /],
      ["MAIL FROM:<a@there.test> AUTH=<>", /^555 5\.5\.4 /],
      ["MAIL FROM:<a@there.test> SIZE=10 BODY=8BITMIME RET=HDRS ENVID=a+2Bb SMTPUTF8", "250 2.1.0 Ok"],
    ],
  },
  "parameters of RCPT": {
    say: [
      mail,
      ["RCPT TO:<b@ours.test> NOTIFY=NEVER,DELAY", /^501 5\.5\.4 /],
      ["RCPT TO:<b@ours.test> NOTIFY=", /^501 5\.5\.4 /],
      ["RCPT TO:<b@ours.test> ORCPT=b@ours.test", /^501 5\.5\.4 /],
      ["RCPT TO:<b@ours.test> ORCPT=rfc822;a+zz", /^501 5\.5\.4 /],
      ["RCPT TO:<b@ours.test> FOO=bar", /^555 5\.5\.4 /],
      ["RCPT TO:<b@ours.test> NOTIFY=SUCCESS,delay ORCPT=rfc822;b+2Bc@ours.test", "250 2.1.5 Ok"],
    ],
  },
  "addresses beyond ASCII": {
    say: [
      ["MAIL FROM:<j\u00c3\u00bcrgen@there.test>", /^553 5\.6\.7 /],
      ["MAIL FROM:<j\u00c3\u00bcrgen@there.test> SMTPUTF8", "250 2.1.0 Ok"],
      ["RSET", "250 2.0.0 Ok"],
      mail,
      ["RCPT TO:<j\u00c3\u00bcrgen@ours.test>", /^553 5\.6\.7 /],
    ],
  },
  "octets that are no UTF-8 are no address": { say: [["MAIL FROM:<j\u00ff@there.test> SMTPUTF8", /^501 5\.1\.7 /]] },
  "HELO and EHLO need one name": {
    say: [
      ["EHLO", /^501 5\.5\.4 /],
      ["HELO", /^501 5\.5\.4 /],
      ["EHLO two names", /^501 5\.5\.4 /],
      [`EHLO ${"x".repeat(256)}`, /^501 5\.5\.4 /],
      ["HELO client.test", "250 mx.ours.test"],
    ],
  },
  "commands without a use here": {
    say: [
      ["VRFY b@ours.test", /^252 2\.5\.0 /],
      ["VRFY", /^501 5\.5\.4 /],
      ["EXPN list", /^502 5\.5\.1 /],
      ["HELP", /^502 5\.5\.1 /],
      ["ETRN x", /^502 5\.5\.1 /],
      ["TURN", /^502 5\.5\.1 /],
      ["AUTH PLAIN", /^503 5\.5\.1 /],
      ["STARTTLS", /^502 5\.5\.1 /],
      ["XCLIENT ADDR=1.2.3.4", /^550 5\.7\.0 /],
      ["NOOP anything", "250 2.0.0 Ok"],
      ["", /^500 5\.5\.1 /],
      ["toString", /^500 5\.5\.1 /],
      ["RSET x", /^501 5\.5\.4 /],
      ["QUIT x", /^501 5\.5\.4 /],
    ],
  },
  "malformed lines": {
    say: [
      [`NOOP ${"x".repeat(2100)}`, /^500 5\.5\.2 .*long/],
      ["NOOP\n", /^500 5\.5\.2 .*LF/],
      ["NO\rOP", /^500 5\.5\.2 CR/],
      ["NO\0OP", /^500 5\.5\.2 NUL/],
      ["NOOP", "250 2.0.0 Ok"],
    ],
  },
  "8-bit content without BODY is taken as it is": {
    say: [mail, rcpt, data, ["S: \u00ff\u00fe\r\n\r\n\u0080\r\n.", taken]],
    queued: ["S: \u00ff\u00fe\r\n\r\n\u0080\r\n"],
  },
  "bare LF in content": { say: [mail, rcpt, data, ["a\nb\r\n.", /^550 5\.5\.2 /], ["NOOP", /^250/], mail] },
  "bare CR in content": { say: [mail, rcpt, data, ["a\rb\r\n.", /^550 5\.5\.2 /]] },
  "NUL in content": { say: [mail, rcpt, data, ["a\0b\r\n.", /^550 5\.6\.0 /]] },
  "bare line ends normalized": {
    options: { listener: { lineEndings: "normalize" } },
    say: [mail, rcpt, data, ["A: b\nC: d\r\r\n\n.\n..x\r\n..y\r\n.", taken], ["NOOP", /^250/]],
    queued: ["A: b\r\nC: d\r\n\r\n\r\n.\r\n..x\r\n.y\r\n"],
  },
  "a message beyond the limit": {
    options: { limits: { messageSizeBytes: 100 } },
    say: [mail, rcpt, data, [`${"x".repeat(101)}\r\n.`, /^552 5\.3\.4 /], mail, rcpt, data, ["x: y\r\n.", taken]],
    queued: ["x: y\r\n"],
  },
  "a header section beyond the limit": {
    options: { limits: { headerSizeBytes: 100 } },
    say: [mail, rcpt, data, [`X: ${"x".repeat(101)}\r\n\r\nbody\r\n.`, /^552 5\.3\.4 Header/]],
  },
  "a header section of more fields than anybody writes": {
    say: [mail, rcpt, data, [`${"x\r\n".repeat(10_001)}\r\nbody\r\n.`, /^552 5\.3\.4 Header/], mail],
  },
  "a loop": {
    options: { limits: { hops: 3 } },
    say: [
      mail,
      rcpt,
      data,
      [`${"Received: x\r\n".repeat(3)}\r\n.`, /^554 5\.4\.6 /],
      mail,
      rcpt,
      data,
      [`${"Received: x\r\n".repeat(2)}\r\n.`, taken],
    ],
    queued: ["Received: x\r\nReceived: x\r\n\r\n"],
  },
  "too many recipients": {
    options: { limits: { recipients: 2 } },
    say: [
      mail,
      rcpt,
      rcpt,
      ["RCPT TO:<c@ours.test>", "250 2.1.5 Ok"],
      ["RCPT TO:<d@ours.test>", /^452 4\.5\.3 /],
      data,
      ["x: y\r\n.", taken],
    ],
    queued: ["x: y\r\n"],
  },
  "BDAT in chunks": {
    say: [mail, rcpt, [bdatOctets("A: 1\r\n"), /^250 2\.0\.0 /], [bdatOctets("\r\n.\r\nx", " LAST"), taken]],
    queued: ["A: 1\r\n\r\n.\r\nx"],
  },
  "BDAT, and the rest of the rules": {
    say: [
      mail,
      rcpt,
      ["BDAT 0", /^250 2\.0\.0 /],
      ["DATA", /^503 /],
      ["RCPT TO:<c@ours.test>", /^503 /],
      ["MAIL FROM:<a@there.test>", /^503 /],
      ["NOOP", /^250/],
      ["RSET", /^250/],
      [bdatOctets("QUIT\r\n", " LAST"), /^503 /],
      mail,
      rcpt,
      [bdatOctets("A: 1\r"), /^250 /],
      [bdatOctets("\n"), /^250 /],
      ["BDAT 0 last", taken],
    ],
    queued: ["A: 1\r\n"],
  },
  "BDAT with bare LF; the next chunk is swallowed": {
    say: [
      mail,
      rcpt,
      [bdatOctets("a\nb\r\n"), /^550 5\.5\.2 /],
      [bdatOctets("MAIL FROM:<x@there.test>\r\n"), /^503 /],
      mail,
    ],
  },
  "BDAT with CR at the end": { say: [mail, rcpt, [bdatOctets("a\r", " LAST"), /^550 5\.5\.2 /]] },
  "BDAT beyond the limit": {
    options: { limits: { messageSizeBytes: 10 } },
    say: [
      mail,
      rcpt,
      [bdatOctets("12345678"), /^250/],
      [bdatOctets("12345678"), /^552 5\.3\.4 /],
      [bdatOctets("12345678", " LAST"), /^503 /],
    ],
  },
  "BDAT without a size": { say: [mail, rcpt, ["BDAT x", /^521 5\.5\.4 /], ["NOOP", "closed"]] },
  "BDAT without bounds": { say: [mail, rcpt, ["BDAT 99999999999", /^552 5\.3\.4 /], ["NOOP", "closed"]] },
  HTTP: {
    say: [
      ["GET / HTTP/1.1", /^421 4\.7\.0 /],
      ["Host: x", "closed"],
    ],
  },
  "a list's refusals wait for RCPT": {
    options: { lists: { connect: ["no"] }, words: [sayWord("no", reject("not you"))] },
    say: [mail, ["RCPT TO:<b@ours.test>", "550 5.7.1 not you"], ["RCPT TO:<c@ours.test>", "550 5.7.1 not you"]],
  },
  "a list's refusals at their own commands": {
    options: { delayReject: false, lists: { mail: ["later"] }, words: [sayWord("later", defer("not now"))] },
    say: [
      ["MAIL FROM:<a@there.test>", "450 4.7.1 not now"],
      ["RCPT TO:<b@ours.test>", /^503 /],
    ],
  },
  "refused at DATA, the transaction stays": {
    options: { lists: { data: ["no"] }, words: [sayWord("no", reject("not this"))] },
    say: [mail, rcpt, ["DATA", "550 5.7.1 not this"], ["RCPT TO:<c@ours.test>", /^250/]],
  },
  "a first BDAT refused swallows its octets": {
    options: { lists: { data: ["no"] }, words: [sayWord("no", reject("not this"))] },
    say: [mail, rcpt, [bdatOctets("QUIT\r\nQUIT\r\n"), "550 5.7.1 not this"], ["NOOP", "250 2.0.0 Ok"], mail],
  },
  "521 and 421 of a policy end the session": {
    options: { lists: { rcpt: ["no"] }, words: [sayWord("no", reject("never", "5.7.1", 521))] },
    say: [mail, ["RCPT TO:<b@ours.test>", "521 5.7.1 never"], ["NOOP", "closed"]],
  },
  "refused at the end of data": {
    options: { lists: { message: ["no"] }, words: [sayWord("no", reject("spam"))] },
    say: [mail, rcpt, data, ["x\r\n.", "550 5.7.1 spam"], ["RCPT TO:<b@ours.test>", /^503 /], mail],
  },
  "effects on top, below Received": {
    options: {
      lists: { mail: ["one"], rcpt: ["two"] },
      words: [
        sayWord("one", { kind: "prepend", name: "X-One", value: "1" }),
        sayWord("two", { kind: "prepend", name: "X-Two", value: "2" }),
      ],
    },
    say: [mail, rcpt, data, ["A: 1\r\n.", taken]],
    queued: ["X-One: 1\r\nX-Two: 2\r\nA: 1\r\n"],
  },
  discarded: {
    options: { lists: { rcpt: ["drop"] }, words: [sayWord("drop", { kind: "discard", text: "unwanted" })] },
    say: [mail, rcpt, data, ["x\r\n.", taken]],
    queued: [],
  },
  "a scanner's refusal": {
    options: { scan: async () => ({ answer: reject("EICAR found", "5.7.1", 554), edits: [] }) },
    say: [mail, rcpt, data, ["x\r\n.", "554 5.7.1 EICAR found"], mail],
  },
  "a scanner's effect": {
    options: { scan: () => ({ answer: { kind: "prepend", name: "X-Scanned", value: "yes" }, edits: [] }) },
    say: [mail, rcpt, data, ["x: y\r\n.", taken]],
    queued: ["X-Scanned: yes\r\nx: y\r\n"],
  },
  edits: {
    options: {
      taps: (hooks) =>
        hooks.smtp.modify.tap((message) => [
          { kind: "replaceHeader", name: "Subject", value: `[ext] ${message.headers.get("subject")?.value ?? ""}` },
          { kind: "addRecipient", address: "archive@ours.test" },
        ]),
    },
    say: [mail, rcpt, data, ["Subject: x\r\n\r\n.", taken]],
    queued: ["Subject: [ext] x\r\n\r\n"],
  },
  "hooks object at their own commands": {
    options: {
      taps: ({ smtp }) => {
        smtp.helo.tap((name) => (name === "bad" ? reject("bad name") : undefined));
        smtp.mail.tap((sender) => (sender === "" ? defer("no bounces") : undefined));
        smtp.rcpt.tap(({ address }) => (address.startsWith("x") ? reject("no x") : undefined));
        smtp.data.tap(({ recipients }) => (recipients.length > 1 ? reject("one at a time") : undefined));
        smtp.headers.tap(({ headers }) => (headers.has("x-no") ? reject("no X-No") : undefined));
        smtp.message.tap(({ sizeBytes }) => (sizeBytes > 20 ? defer("too long") : undefined));
      },
    },
    say: [
      ["EHLO bad", "550 5.7.1 bad name"],
      ["MAIL FROM:<>", "450 4.7.1 no bounces"],
      mail,
      ["RCPT TO:<x@ours.test>", "550 5.7.1 no x"],
      rcpt,
      ["RCPT TO:<c@ours.test>", "250 2.1.5 Ok"],
      ["DATA", "550 5.7.1 one at a time"],
      ...([["RSET", "250 2.0.0 Ok"], mail, rcpt, data] as Exchange[]),
      ["X-No: 1\r\n.", "550 5.7.1 no X-No"],
      mail,
      rcpt,
      data,
      [`${"x".repeat(20)}\r\n.`, "450 4.7.1 too long"],
      mail,
      rcpt,
      data,
      ["x: y\r\n.", taken],
    ],
    queued: ["x: y\r\n"],
  },
};

describe.each(["a line at a time", "octet by octet"] as const)("%s", (how) => {
  test.each(Object.entries(cases))("%s", async (_, { options, say, queued }) => {
    const front = await createFront(options);
    const talk = await front.greeted();
    for (const [said, answered] of say) {
      const text = said.endsWith("\n") && !said.startsWith("BDAT") ? said : `${said}\r\n`;
      // The octets of a chunk have no line end of their own.
      const octets = said.startsWith("BDAT") && said.includes("\r\n") ? said : text;
      if (how === "octet by octet") for (const octet of octets) talk.send(octet);
      else talk.send(octets);
      const answer = await talk.reply();
      if (typeof answered === "string") expect([said, answer]).toEqual([said, answered]);
      else expect([said, answer]).toEqual([said, expect.stringMatching(answered)]);
    }
    if (queued !== undefined)
      expect(front.queue.map(({ text }) => text.replace(/^Received: .*\r\n(?:\t.*\r\n)*/, ""))).toEqual(queued);
    else expect(front.queue).toEqual([]);
    expect(front.events.filter(({ kind }) => kind === "failed")).toEqual([]);
    talk.stream.destroy();
    await talk.rest();
    expect(front.held).toBe(0);
  });
});

test("a whole session in one packet is answered in one write", async () => {
  const front = await createFront();
  const talk = await front.greeted();
  const before = talk.pieces;
  talk.send("MAIL FROM:<a@there.test>\r\nRCPT TO:<b@ours.test>\r\nRCPT TO:<x@elsewhere.test>\r\nNOOP\r\nDATA\r\n");
  const replies = await talk.replies(5);
  expect(replies.map((reply) => reply.slice(0, 3))).toEqual(["250", "250", "554", "250", "354"]);
  expect(talk.pieces - before).toBe(1);
  talk.send("x: y\r\n.\r\nMAIL FROM:<a@there.test>\r\nQUIT\r\n");
  expect((await talk.rest()).replace(/as \w+/, "as ID")).toBe(
    "250 2.0.0 Ok: queued as ID\r\n250 2.1.0 Ok\r\n221 2.0.0 Bye\r\n",
  );
});

test("what is queued carries envelope, origin and DSN parameters", async () => {
  const front = await createFront();
  const talk = await front.greeted();
  await talk.say("MAIL FROM:<A@There.test> RET=FULL ENVID=x BODY=8BITMIME SIZE=100");
  await talk.say("RCPT TO:<B@OURS.test> NOTIFY=FAILURE ORCPT=rfc822;b@ours.test");
  await talk.say("RCPT TO:<c@ours.test>");
  await talk.say("DATA");
  await talk.say("x: y\r\n.");
  expect(front.queue[0]?.message).toMatchObject({
    envelope: {
      sender: "A@there.test",
      recipients: [
        { address: "B@ours.test", original: "B@OURS.test", notify: ["failure"], orcpt: "rfc822;b@ours.test" },
        { address: "c@ours.test", original: "c@ours.test" },
      ],
      body: "8bitmime",
      smtputf8: false,
      ret: "full",
      envid: "x",
    },
    origin: {
      clientAddress: "192.0.2.1",
      clientName: "unknown",
      helo: "client.test",
      protocol: "ESMTP",
      trusted: false,
    },
  });
  expect(front.queue[0]?.message.sizeBytes).toBe(front.queue[0]?.text.length);
  // With several recipients none is named.
  expect(front.queue[0]?.text).not.toContain("for <");
});

test("our own clients get Date and Message-ID where they are missing, strangers do not", async () => {
  const front = await createFront();
  for (const remoteAddress of ["127.0.0.1", "192.0.2.1"]) {
    const talk = await front.greeted({ remoteAddress });
    for (const line of ["MAIL FROM:<a@there.test>", "RCPT TO:<b@ours.test>", "DATA", "Subject: x\r\n\r\n."])
      await talk.say(line);
  }
  expect(front.queue[0]?.text).toMatch(/\r\nDate: .*\r\nMessage-ID: <\d{14}\.\w+@mx\.ours\.test>\r\nSubject: x\r\n/);
  expect(front.queue[0]?.text).toMatch(/^Received: from client\.test \(localhost \[127\.0\.0\.1\]\)\r\n/);
  expect(front.queue[1]?.text).not.toMatch(/^(?:Date|Message-ID):/m);
});

test("refusals are logged in one safe line each", async () => {
  const front = await createFront({
    taps: ({ smtp }) => {
      smtp.mail.tap((sender) => (sender === "" ? reject("no bounces") : undefined));
      smtp.helo.tap((name) => (name === "bad" ? reject("bad\u0007name") : undefined));
    },
  });
  const talk = await front.greeted();
  await talk.say("MAIL FROM:<a@there.test>");
  await talk.say("RCPT TO:<x@elsewhere.test>");
  await talk.say("RSET");
  await talk.say("MAIL FROM:<>");
  await talk.say("EHLO bad");
  const refusals = front.lines().filter((line) => line.includes(" reject: "));
  expect(refusals.map((line) => line.replace(/ d=\w{13}/, " d=ID"))).toEqual([
    "NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 554 5.7.1 <x@elsewhere.test>: Relay access denied; from=<a@there.test> to=<x@elsewhere.test> proto=ESMTP helo=<client.test> d=ID by=relay-guard path=<relay guard> plugin=<core>",
    "NOQUEUE: reject: MAIL from unknown[192.0.2.1]: 550 5.7.1 no bounces; from=<> proto=ESMTP helo=<client.test> d=ID by=hook path=<smtp.mail> plugin=<probe>",
    "NOQUEUE: reject: HELO from unknown[192.0.2.1]: 550 5.7.1 bad name; proto=ESMTP helo=<bad> d=ID by=hook path=<smtp.helo> plugin=<probe>",
  ]);
  expect(new Set(refusals.map((line) => parseRefusalLine(line)?.fields["d"])).size).toBe(3);
});
