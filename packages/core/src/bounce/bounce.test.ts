import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { createMemoryBlob, type Blob } from "../message/index.ts";
import { bounced, createIdSource, type Envelope, type Outcome, type Recipient } from "../model/index.ts";
import { composeBounce, type Bounce, type BounceRequest } from "./index.ts";

const now = Date.UTC(2026, 0, 2, 3, 4, 5);
const letter = "From: ann@example.org\r\nSubject: hello\r\n\r\nGood morning\r\n";
const unknownUser: Outcome = bounced("550 5.1.1 No such user", {
  enhanced: "5.1.1",
  remote: "mx1.example.test[192.0.2.1]:25",
  inReplyTo: "RCPT TO",
});

function recipient(address: string, more: Partial<Recipient> = {}): Recipient {
  return { address, original: address, ...more };
}

function blobOf(text: string | Buffer, piece = 7): Blob {
  const octets = typeof text === "string" ? Buffer.from(text) : text;
  const chunks: Buffer[] = [];
  for (let at = 0; at < octets.length; at += piece) chunks.push(octets.subarray(at, at + piece));
  return createMemoryBlob(chunks);
}

interface Case {
  readonly envelope?: Partial<Envelope>;
  readonly failed?: BounceRequest["failed"];
  readonly content?: Blob | undefined;
  readonly limit?: number;
  readonly ids?: () => string;
}

function compose(given: Case = {}): Promise<Bounce | undefined> {
  const failed = given.failed ?? [{ recipient: recipient("bob@example.test"), outcome: unknownUser }];
  const content = "content" in given ? given.content : blobOf(letter);
  const envelope: Envelope = {
    sender: "ann@example.org",
    recipients: failed.map((each) => each.recipient),
    body: "7bit",
    smtputf8: false,
    ...given.envelope,
  };
  const sizeBytes = content?.sizeBytes ?? 0;
  return composeBounce({
    original: { id: "ORIG1", envelope, arrivedAt: now - 60_000, sizeBytes, origin: undefined },
    failed,
    content,
    reporter: "mx.example.test",
    ids: given.ids ?? (() => "BOUNCE1"),
    now,
    sizeLimitBytes: given.limit ?? 50_000,
  });
}

async function textOf(bounce: Bounce | undefined): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of bounce?.content.read() ?? []) chunks.push(chunk);
  return Buffer.concat(chunks).toString("latin1");
}

/** The report's header section and its parts, by RFC 2046's grammar. */
async function partsOf(
  given: Case,
): Promise<{ head: string; parts: { head: string; body: string }[]; bounce: Bounce }> {
  const bounce = await compose(given);
  if (bounce === undefined) throw new Error("no bounce");
  const text = await textOf(bounce);
  expect(bounce.message.sizeBytes).toBe(text.length);
  const end = text.indexOf("\r\n\r\n");
  const head = text.slice(0, end + 2);
  const boundary = /boundary="([^"]+)"/.exec(head)?.[1] ?? "";
  const pieces = `\r\n${text.slice(end + 4)}`.split(`\r\n--${boundary}`);
  expect(pieces.shift()).toBe("");
  expect(pieces.pop()).toBe("--\r\n");
  const parts = pieces.map((piece) => {
    const gap = piece.indexOf("\r\n\r\n");
    return { head: piece.slice(2, gap + 2), body: piece.slice(gap + 4) };
  });
  return { head, parts, bounce };
}

function checkLines(text: string): void {
  expect(text).not.toMatch(/\r(?!\n)|(?<!\r)\n/);
  expect(Math.max(...text.split("\r\n").map((line) => line.length))).toBeLessThanOrEqual(998);
}

test("the whole of a plain report", async () => {
  const failed = [
    { recipient: recipient("bob@example.test", { orcpt: "rfc822;Bob+2Bx@Example.test" }), outcome: unknownUser },
    {
      recipient: recipient("late@example.test"),
      outcome: bounced("delivery time expired: connection refused", { enhanced: "4.4.7", remote: "maildir" }),
    },
    { recipient: recipient("quiet@example.test", { notify: ["never"] }), outcome: unknownUser },
  ];
  const bounce = await compose({ failed, envelope: { envid: "QQ+2B314+3D" } });
  expect(bounce?.message).toEqual({
    id: "BOUNCE1",
    envelope: {
      sender: "",
      recipients: [{ address: "ann@example.org", original: "ann@example.org", notify: ["never"] }],
      body: "7bit",
      smtputf8: false,
    },
    arrivedAt: now,
    sizeBytes: bounce?.content.sizeBytes,
    origin: undefined,
  });
  expect((await textOf(bounce)).split("\r\n")).toMatchInlineSnapshot(`
    [
      "From: Mail Delivery System <MAILER-DAEMON@mx.example.test>",
      "To: <ann@example.org>",
      "Subject: Your message could not be delivered",
      "Date: Fri, 02 Jan 2026 03:04:05 +0000 (UTC)",
      "Message-ID: <20260102030405.BOUNCE1@mx.example.test>",
      "Auto-Submitted: auto-replied",
      "MIME-Version: 1.0",
      "Content-Type: multipart/report; report-type=delivery-status;",
      " boundary="=_BOUNCE1.0"",
      "",
      "--=_BOUNCE1.0",
      "Content-Description: Notification",
      "Content-Type: text/plain; charset=us-ascii",
      "",
      "This is the mail system at mx.example.test.",
      "",
      "Your message could not be delivered to the recipients below. It will not be",
      "tried again.",
      "",
      "Where the reason is temporary, delivery was tried until the time allowed for",
      "it was over.",
      "",
      "<bob@example.test>: mx1.example.test[192.0.2.1]:25 answered RCPT TO with:",
      "    550 5.1.1 No such user",
      "",
      "<late@example.test>: 4.4.7 delivery time expired: connection refused",
      "",
      "Your message is known here as ORIG1. It is returned with this report.",
      "",
      "--=_BOUNCE1.0",
      "Content-Description: Delivery status",
      "Content-Type: message/delivery-status",
      "",
      "Reporting-MTA: dns; mx.example.test",
      "Original-Envelope-Id: QQ+314=",
      "X-Postern-Queue-ID: ORIG1",
      "Arrival-Date: Fri, 02 Jan 2026 03:03:05 +0000 (UTC)",
      "",
      "Original-Recipient: rfc822; Bob+x@Example.test",
      "Final-Recipient: rfc822; bob@example.test",
      "Action: failed",
      "Status: 5.1.1",
      "Remote-MTA: dns; mx1.example.test",
      "Diagnostic-Code: smtp; 550 5.1.1 No such user",
      "",
      "Final-Recipient: rfc822; late@example.test",
      "Action: failed",
      "Status: 4.4.7",
      "Diagnostic-Code: x-postern; delivery time expired: connection refused",
      "",
      "--=_BOUNCE1.0",
      "Content-Description: Undelivered message",
      "Content-Type: message/rfc822",
      "",
      "From: ann@example.org",
      "Subject: hello",
      "",
      "Good morning",
      "",
      "--=_BOUNCE1.0--",
      "",
    ]
  `);
});

describe("nobody is told", () => {
  const never = { recipient: recipient("bob@example.test", { notify: ["never"] }), outcome: unknownUser };
  const success = { recipient: recipient("bob@example.test", { notify: ["success", "delay"] }), outcome: unknownUser };
  test.each<[string, Case]>([
    ["when the sender is null", { envelope: { sender: "" } }],
    ["when NOTIFY says never", { failed: [never] }],
    ["when NOTIFY does not name failure", { failed: [success, never] }],
    ["when nobody failed", { failed: [] }],
  ])("%s", async (_, given) => expect(await compose(given)).toBeUndefined());

  test("of a bounce that fails", async () => {
    const bounce = await compose();
    const failed = [{ recipient: recipient("ann@example.org"), outcome: unknownUser }];
    expect(await compose({ envelope: bounce?.message.envelope ?? {}, failed })).toBeUndefined();
  });
});

describe("what is returned", () => {
  const long = `Subject: a\r\nX-Long: ${"x".repeat(300)}\r\n\r\n${"body\r\n".repeat(100)}`;
  const fields = long.slice(0, long.indexOf("\r\n\r\n") + 2);
  const rawUtf8 = "Subject: gr\u00fc\u00dfe\r\n\r\ngr\u00fc\u00dfe\r\n";
  const latin = (text: string): string => Buffer.from(text).toString("latin1");
  test.each<[string, Case, string, string]>([
    ["all by default", { content: blobOf(long) }, "message/rfc822", long],
    ["all at the limit", { content: blobOf(long), limit: long.length }, "message/rfc822", long],
    ["the header over the limit", { content: blobOf(long), limit: long.length - 1 }, "text/rfc822-headers", fields],
    ["the header on RET=HDRS", { content: blobOf(long), envelope: { ret: "hdrs" } }, "text/rfc822-headers", fields],
    ["all on RET=FULL", { content: blobOf(long), envelope: { ret: "full" } }, "message/rfc822", long],
    ["whole fields of a huge header", { content: blobOf(long), limit: 100 }, "text/rfc822-headers", "Subject: a\r\n"],
    ["nothing of it with no limit", { content: blobOf(long), limit: 0 }, "text/rfc822-headers", ""],
    ["a header without body", { content: blobOf("Subject: a\r\n") }, "message/rfc822", "Subject: a\r\n"],
    ["a last line without end", { content: blobOf("A: b\r\n\r\nc") }, "message/rfc822", "A: b\r\n\r\nc\r\n"],
    ["a body that begins blank", { content: blobOf(" a\r\n\r\nc\r\n") }, "message/rfc822", " a\r\n\r\nc\r\n"],
    ["bare line ends mended", { content: blobOf("A: b\n\nc\rd\r\n") }, "message/rfc822", "A: b\r\n\r\nc\r\nd\r\n"],
    ["8-bit as it is", { content: blobOf(rawUtf8) }, "message/rfc822", latin(rawUtf8)],
    ["UTF-8 header", { content: blobOf(rawUtf8), envelope: { smtputf8: true } }, "message/global", latin(rawUtf8)],
    [
      "UTF-8 header alone",
      { content: blobOf(rawUtf8), envelope: { smtputf8: true, ret: "hdrs" } },
      "message/global-headers",
      latin("Subject: gr\u00fc\u00dfe\r\n"),
    ],
  ])("%s", async (_, given, type, content) => {
    const { head, parts, bounce } = await partsOf(given);
    expect(parts[2]?.head).toContain(`Content-Type: ${type}\r\n`);
    expect(parts[2]?.body).toBe(content);
    const eightBit = /[^\u0000-\u007f]/.test(content);
    expect(bounce.message.envelope.body).toBe(eightBit ? "8bitmime" : "7bit");
    for (const each of [head, parts[2]?.head]) expect(each?.includes("Content-Transfer-Encoding: 8bit")).toBe(eightBit);
  });

  test("what a peer said in UTF-8 makes no report 8-bit, unless its sender uses SMTPUTF8", async () => {
    const outcome = bounced("550 5.1.1 Empfänger unbekannt", {
      inReplyTo: "RCPT TO",
      remote: "mx.example.test[192.0.2.1]:25",
    });
    const failed = [{ recipient: recipient("joe@example.test"), outcome }];
    const plain = await partsOf({ content: blobOf(letter), failed });
    expect(plain.bounce.message.envelope.body).toBe("7bit");
    expect(plain.parts[0]?.body).toContain("Empf\\x{E4}nger");
    const utf8 = await partsOf({ content: blobOf(letter), failed, envelope: { smtputf8: true } });
    expect(utf8.parts[0]?.body).toContain(latin("Empfänger"));
  });

  test("never is more read than the limit", async () => {
    const asked: number[] = [];
    const blob = blobOf(long);
    const watched: Blob = {
      sizeBytes: blob.sizeBytes,
      chunks: undefined,
      read(start, end = blob.sizeBytes) {
        asked.push(end);
        return blob.read(start, end);
      },
      slice: (start, end) => blob.slice(start, end),
    };
    await compose({ content: watched, limit: 350 });
    expect(asked).toEqual([350]);
  });

  const unreadable: Blob = {
    sizeBytes: 10,
    chunks: undefined,
    // oxlint-disable-next-line require-yield
    async *read() {
      throw new Error("damaged");
    },
    slice: () => unreadable,
  };
  test.each([
    ["is gone", undefined],
    ["cannot be read", unreadable],
  ])("the report goes out when the content %s", async (_, content) => {
    const { parts } = await partsOf({ content });
    expect(parts).toHaveLength(2);
    expect(parts[0]?.body).toContain("not returned");
  });

  test("a message that foresees the boundary does not end a part", async () => {
    const foreseen = Array.from({ length: 20 }, (_, count) => `--=_BOUNCE1.${count}--`).join("\r\n");
    const content = `A: b\r\n\r\n${foreseen}\r\n`;
    const { parts } = await partsOf({ content: blobOf(content) });
    expect(parts.map(({ body }) => body)[2]).toBe(content);
  });
});

describe("status fields", () => {
  test.each<[string, Recipient, Outcome, Partial<Envelope>, readonly string[]]>([
    [
      "our own words are no SMTP reply, a transport is no host",
      recipient("bob@example.test"),
      bounced("mailbox gone", { enhanced: "5.2.1", remote: "maildir" }),
      {},
      ["Final-Recipient: rfc822; bob@example.test", "Status: 5.2.1", "Diagnostic-Code: x-postern; mailbox gone"],
    ],
    [
      "a peer known by its address",
      recipient("bob@example.test"),
      { ...unknownUser, remote: "[192.0.2.1]:25" },
      {},
      ["Remote-MTA: dns; [192.0.2.1]", "Diagnostic-Code: smtp; 550 5.1.1 No such user"],
    ],
    [
      "an enhanced code that is none",
      recipient("bob@example.test"),
      bounced("no", { enhanced: "5.1.1\r\nAction: delivered" }),
      {},
      ["Action: failed", "Status: 5.0.0"],
    ],
    [
      "addresses in UTF-8",
      recipient("j\u00fcrgen@example.test", { orcpt: "utf-8;j\u00fcrgen@example.test" }),
      unknownUser,
      { smtputf8: true, sender: "\u00e4nn@example.org" },
      ["Original-Recipient: utf-8; j\u00fcrgen@example.test", "Final-Recipient: utf-8; j\u00fcrgen@example.test"],
    ],
    [
      "a reply in UTF-8 where only ASCII may stand",
      recipient("bob@example.test", { orcpt: "rfc822;b+FFb@example.test" }),
      { ...unknownUser, text: "550 unbekannt: \u00fc" },
      {},
      ["Diagnostic-Code: smtp; 550 unbekannt: \\x{FC}", "Original-Recipient: rfc822; b\\x{FFFD}b@example.test"],
    ],
    [
      "an ORCPT that is none",
      recipient("bob@example.test", { orcpt: "nonsense" }),
      unknownUser,
      {},
      ["Final-Recipient: rfc822; bob@example.test"],
    ],
  ])("%s", async (_, who, outcome, envelope, expected) => {
    const { parts, head, bounce } = await partsOf({ failed: [{ recipient: who, outcome }], envelope });
    const status = Buffer.from(parts[1]?.body ?? "", "latin1").toString();
    for (const line of expected) expect(status).toContain(`${line}\r\n`);
    expect(status.match(/^Action: failed\r$/gm)).toHaveLength(1);
    expect(status.includes("Remote-MTA")).toBe(outcome.remote?.includes("[") === true);
    expect(status.includes("Original-Recipient")).toBe(who.orcpt?.includes(";") === true);
    const utf8 = envelope.smtputf8 === true;
    expect(parts[1]?.head).toContain(`Content-Type: message/${utf8 ? "global-" : ""}delivery-status\r\n`);
    expect(bounce.message.envelope.smtputf8).toBe(utf8);
    if (utf8) expect(Buffer.from(head, "latin1").toString()).toContain("To: <\u00e4nn@example.org>\r\n");
    else expect(status).toMatch(/^[\u0000-\u007f]*$/);
  });
});

test.each<[string, string]>([
  ["new lines", "550 no\r\n\r\nAction: delivered\r\n--=_BOUNCE1.0\r\nX: y"],
  ["a megabyte without blanks", "x".repeat(1_000_000)],
  ["a megabyte of wide characters", "\u{1f600}".repeat(500_000)],
  ["a megabyte of blanks", " ".repeat(1_000_000)],
  ["controls, NUL, lone surrogates, overrides", "550 \0\u0007\u001b[31m\ud800\u202e\u2028\u0085 no"],
])("a peer that says %s", async (_, text) => {
  const outcome = { ...unknownUser, text, inReplyTo: text, remote: text };
  const { parts } = await partsOf({ failed: [{ recipient: recipient("bob@example.test"), outcome }] });
  expect(parts).toHaveLength(3);
  for (const { head, body } of parts) {
    checkLines(head + body);
    expect(body.length).toBeLessThan(12_000);
  }
  expect(parts[1]?.body.match(/^Action:/gm)).toHaveLength(1);
  expect(Buffer.from(parts.map(({ body }) => body).join(""), "latin1").toString()).not.toMatch(
    /[\u0000-\u0009\u000b\u000c\u000e-\u001f\u0085\u2028\u202e]/,
  );
});

/** A sequence of numbers from 0 to 1 that a seed decides. */
function randomOf(seed: string): () => number {
  let count = 0;
  return () => createHash("sha256").update(`${seed}/${count++}`).digest().readUInt32BE() / 2 ** 32;
}

test("whatever the original has, lines end with CRLF, have 998 octets at most, and nothing else is lost", async () => {
  const tokens = ["\r\n", "\r", "\n", "\n\n", "\r\n\r\n", "a", " ", "Name: ", "\t", "\0", "--=_", "\u00fc"];
  for (let seed = 0; seed < 300; seed++) {
    const random = randomOf(`lines ${seed}`);
    let text = "";
    for (let count = Math.floor(random() * 30); count >= 0; count--) {
      const token = tokens[Math.floor(random() * tokens.length)] ?? "";
      text += random() < 0.15 ? token.replace(/[\r\n]/g, "x").repeat(Math.floor(random() * 3_000)) : token;
    }
    // Octets that are no UTF-8, too.
    const octets = random() < 0.3 ? Buffer.from(text, "latin1") : Buffer.from(text);
    const ret = random() < 0.5 ? "full" : "hdrs";
    const limit = Math.floor(random() * 20_000);
    const { parts } = await partsOf({
      content: blobOf(octets, 1 + Math.floor(random() * 500)),
      envelope: { ret },
      limit,
    });
    for (const part of parts) checkLines(part.head + part.body);
    const returned = parts[2]?.body ?? "";
    const bare = (value: string): string => value.replace(/[\r\n]/g, "");
    if (ret === "full" && octets.length <= limit) {
      expect(bare(returned).replaceAll(" ", "")).toBe(bare(octets.toString("latin1")).replaceAll(" ", ""));
    } else {
      expect(bare(octets.toString("latin1")).replaceAll(" ", "")).toContain(bare(returned).replaceAll(" ", ""));
    }
  }
});

const python = `
import sys, json, email, email.policy
out = []
for text in json.load(sys.stdin):
    m = email.message_from_bytes(text.encode("latin-1"), policy=email.policy.SMTP)
    status, returned = m.get_payload(1), m.get_payload(2)
    out.append({
        "report": [m.get_content_type(), m.get_param("report-type"), m["From"], m["Auto-Submitted"]],
        "defects": [str(d) for part in m.walk() for d in part.defects],
        "types": [part.get_content_type() for part in m.get_payload()],
        "notice": m.get_payload(0).get_content(),
        "status": [[list(field) for field in group.items()] for group in status.get_payload()],
        "subject": str(returned.get_payload(0)["Subject"]),
    })
json.dump(out, sys.stdout)
`;

test.skipIf(spawnSync("python3", ["--version"]).status !== 0)("Python's parser reads what was meant", async () => {
  const ids = createIdSource(() => now, randomOf("ids"));
  const failed = ["bob@example.test", '"a b"@example.test', `${"x".repeat(60)}@${"y".repeat(60)}.example.test`].map(
    (address) => ({ recipient: recipient(address, { orcpt: "rfc822;o+2Br@example.test" }), outcome: unknownUser }),
  );
  const text = await textOf(await compose({ ids, failed, envelope: { envid: "E+3D1" } }));
  const run = spawnSync("python3", ["-c", python], { input: JSON.stringify([text]), encoding: "utf8" });
  expect(run.stderr).toBe("");
  const [read] = JSON.parse(run.stdout);
  expect(read).toMatchObject({
    report: [
      "multipart/report",
      "delivery-status",
      "Mail Delivery System <MAILER-DAEMON@mx.example.test>",
      "auto-replied",
    ],
    defects: [],
    types: ["text/plain", "message/delivery-status", "message/rfc822"],
    subject: "hello",
  });
  expect(read.notice).toContain("<bob@example.test>: mx1.example.test[192.0.2.1]:25 answered RCPT TO");
  const [own, ...each] = read.status;
  expect(Object.fromEntries(own)).toEqual({
    "Reporting-MTA": "dns; mx.example.test",
    "Original-Envelope-Id": "E=1",
    "X-Postern-Queue-ID": "ORIG1",
    "Arrival-Date": "Fri, 02 Jan 2026 03:03:05 +0000 (UTC)",
  });
  expect(each.map((group: [string, string][]) => Object.fromEntries(group))).toEqual(
    failed.map(({ recipient: { address } }) => ({
      "Original-Recipient": "rfc822; o+r@example.test",
      "Final-Recipient": `rfc822; ${address}`,
      Action: "failed",
      Status: "5.1.1",
      "Remote-MTA": "dns; mx1.example.test",
      "Diagnostic-Code": "smtp; 550 5.1.1 No such user",
    })),
  );
});
