// rspamd's answers in the gateway's words: a scripted rspamd behind a whole gateway in memory.
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { createExplainer, resolveConfig, type Config } from "@postern/core";
import { createTestGateway, instantiate, smtp, type TestGateway } from "@postern/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import rspamd from "./index.ts";

interface Asked {
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly raw: readonly string[];
  readonly body: Buffer;
}

/** What the fake says next: JSON, and behind it octets of a new body. */
let next: { readonly json: unknown; readonly body?: Buffer; readonly status?: number } = { json: {} };
const asked: Asked[] = [];
const server = createServer((request, response) => {
  // Asked at the start, whenever that comes between the messages.
  if (request.url === "/ping") return void response.end("pong\r\n");
  const pieces: Buffer[] = [];
  request.on("data", (piece: Buffer) => pieces.push(piece));
  request.on("end", () => {
    const { url = "", headers, rawHeaders } = request;
    asked.push({ url, headers, raw: rawHeaders, body: Buffer.concat(pieces) });
    const json = Buffer.isBuffer(next.json) ? next.json : Buffer.from(JSON.stringify(next.json));
    const { body, status = 200 } = next;
    response.writeHead(status, body === undefined ? {} : { "Message-Offset": String(json.length) });
    response.end(body === undefined ? json : Buffer.concat([json, body]));
  });
});

let address: string;
beforeAll(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => void server.close());

function open(options: Record<string, unknown> = {}, config: Partial<Config> = {}): Promise<TestGateway> {
  return createTestGateway(
    { domains: { virtualMailbox: ["example.test"] }, plugins: [], ...config },
    { plugins: [[rspamd, { address, onError: "defer", ...options }]] },
  );
}

const sample =
  "From: sender@example.net\r\nX-A: one\r\nX-B: two\r\nX-A: three\r\nDate: Mon, 23 Nov 2026 07:00:00 +0000\r\nMessage-ID: <1@example.net>\r\nSubject: hello\r\n\r\nHi.\r\n";

interface Sending {
  readonly gateway: TestGateway;
  readonly content?: string;
  readonly from?: string;
  readonly to?: readonly string[];
}

async function send({
  gateway,
  content = sample,
  from = "192.0.2.1",
  to = ["user@example.test"],
}: Sending): Promise<string> {
  const dialogue = smtp(gateway, { remoteAddress: from }).say("MAIL FROM:<sender@example.net>");
  for (const recipient of to) dialogue.say(`RCPT TO:<${recipient}>`).expect(/^250/);
  return dialogue.data(content);
}

/** The message that was delivered, without the fields that the gateway put on top. */
async function delivered(gateway: TestGateway): Promise<string> {
  const [delivery] = await gateway.delivered(1);
  return (delivery?.content.toString("latin1") ?? "").replace(
    /^(?:(?:Return-Path|Delivered-To|Received|X-Original-To):.*\r\n(?:[ \t].*\r\n)*)*/,
    "",
  );
}

/** What becomes of `sample` after an answer. */
async function become(json: unknown, options: Record<string, unknown> = {}, body?: Buffer): Promise<string> {
  next = body === undefined ? { json } : { json, body };
  await using gateway = await open(options);
  const reply = await send({ gateway });
  if (!reply.startsWith("250")) return reply;
  const [event] = gateway.events.filter(({ kind }) => kind === "discarded" || kind === "quarantined");
  if (event?.kind === "discarded") return `discarded: ${event.text}`;
  if (event?.kind === "quarantined") return `quarantined: ${event.reason}`;
  return delivered(gateway);
}

const plain = { action: "no action", score: 1.5, required_score: 15 };

describe("actions", () => {
  const withHeader = (field: string): string => sample.replace("\r\n\r\n", `\r\n${field}\r\n\r\n`);
  const said = { messages: { smtp_message: "Go\r\n250 away" } };
  test.each<[what: string, json: object, options: Record<string, unknown>, expected: string]>([
    ["no action", plain, {}, sample],
    ["greylist is no deferral by itself", { action: "greylist" }, {}, sample],
    [
      "greylist, when it is told to",
      { action: "greylist" },
      { actions: { greylist: "defer" } },
      "451 4.7.1 Try again later",
    ],
    ["add header", { action: "add header" }, {}, withHeader("X-Spam: Yes")],
    ["add header by another name", { action: "add header" }, { spamHeader: "X-Junk" }, withHeader("X-Junk: Yes")],
    [
      "its own value",
      { action: "add header", milter: { spam_header: "Probably" } },
      {},
      withHeader("X-Spam: Probably"),
    ],
    [
      "its own fields",
      { action: "add header", milter: { spam_header: { "X-B": "2" } } },
      {},
      withHeader("X-B: 2").replace("X-B: two\r\n", ""),
    ],
    [
      "rewrite subject",
      { action: "rewrite subject", subject: "[SPAM] hello" },
      {},
      sample.replace("Subject: hello", "Subject: [SPAM] hello"),
    ],
    [
      "without a subject of its own",
      { action: "rewrite subject" },
      { subject: "(%s)" },
      sample.replace("Subject: hello", "Subject: (hello)"),
    ],
    ["soft reject", { action: "soft reject", ...said }, {}, "451 4.7.1 Go 250 away"],
    ["soft reject without a word", { action: "soft reject", messages: [] }, {}, "451 4.7.1 Try again later"],
    ["reject", { action: "reject", ...said }, {}, "554 5.7.1 Go 250 away"],
    ["reject without a word", { action: "reject" }, {}, "554 5.7.1 Spam message rejected"],
    [
      "reject as quarantine",
      { action: "reject", score: 18.204, required_score: 15 },
      { actions: { reject: "quarantine" } },
      "quarantined: rspamd: reject, 18.2 of 15",
    ],
    [
      "reject as discard, by rspamd",
      { action: "reject", milter: { reject: "discard" } },
      {},
      "discarded: rspamd: reject",
    ],
    [
      "reject as quarantine, by rspamd",
      { action: "reject", milter: { reject: "quarantine" } },
      {},
      "quarantined: rspamd: reject",
    ],
    [
      "the operator before rspamd",
      { action: "reject", milter: { reject: "discard" } },
      { actions: { reject: "reject" } },
      "554 5.7.1 Spam message rejected",
    ],
    [
      "reject, but not really",
      { action: "reject", milter: { no_action: true } },
      {},
      withHeader("X-Rspamd-Action: reject"),
    ],
    ["quarantine", { action: "quarantine" }, {}, "quarantined: rspamd: quarantine"],
    ["discard", { action: "discard" }, {}, "discarded: rspamd: discard"],
    ["one of somebody's own, unknown", { action: "maybe" }, {}, "451 4.3.0 Temporary failure, try again later"],
    ["one of somebody's own, known", { action: "maybe" }, { actions: { maybe: "tag" } }, withHeader("X-Spam: Yes")],
  ])("%s", async (_, json, options, expected) => {
    expect(await become(json, options)).toBe(expected);
  });

  test("a spam header that is there is replaced; a message without a subject gets one", async () => {
    next = { json: { action: "add header" } };
    await using gateway = await open({ removeFromOutside: [] });
    await send({ gateway, content: `X-Spam: No\r\nX-SPAM: no\r\n${sample}` });
    expect(await delivered(gateway)).toBe(withHeader("X-Spam: Yes"));
    next = { json: { action: "rewrite subject" } };
    await using other = await open();
    await send({ gateway: other, content: sample.replace("Subject: hello\r\n", "") });
    expect(await delivered(other)).toMatch(/\r\nSubject: \*\*\* SPAM \*\*\*\r\n\r\n/);
  });

  test("a subject in octets of no charset keeps them", async () => {
    next = { json: { action: "rewrite subject" } };
    await using gateway = await open({ subject: "[%s]" });
    const dialogue = smtp(gateway)
      .say("MAIL FROM:<a@example.net> BODY=8BITMIME")
      .say("RCPT TO:<user@example.test>")
      .say("DATA");
    await dialogue
      .raw(Buffer.from(`${sample.replace("hello", "K\u00e4se")}.\r\n`, "latin1"))
      .read()
      .expect(/^250/);
    expect(await delivered(gateway)).toContain("Subject: [K\u00e4se]\r\n");
  });
});

describe("changes", () => {
  const fields = async (milter: object, more: object = {}): Promise<readonly string[]> => {
    const content = await become({ ...plain, ...more, milter });
    const section = content.slice(0, content.indexOf("\r\n\r\n"));
    return section.split(/\r\n(?![ \t])/).filter((field) => !/^(?:Date|Message-ID|Subject):/.test(field));
  };
  const added = (value: unknown) => ({ add_headers: { "X-New": value } });
  const [from, one, two, three] = ["From: sender@example.net", "X-A: one", "X-B: two", "X-A: three"];

  test.each<[what: string, milter: object, expected: readonly string[]]>([
    ["nothing", {}, [from, one, two, three]],
    ["removed: all", { remove_headers: { "x-a": 0 } }, [from, two]],
    ["removed: the first", { remove_headers: { "X-A": 1 } }, [from, two, three]],
    ["removed: the last", { remove_headers: { "X-A": -1 } }, [from, one, two]],
    ["removed: one that is not there", { remove_headers: { "X-A": 3, "X-C": 0, "X-B": -2 } }, [from, one, two, three]],
    ["removed: several", { remove_headers: { "X-A": [1, 2, 1], "X-B": [-1] } }, [from]],
    ["added at the end", added("v"), [from, one, two, three, "X-New: v"]],
    ["added on top", added({ value: "v", order: 0 }), ["X-New: v", from, one, two, three]],
    ["added below our Received", added({ value: "v", order: 1 }), ["X-New: v", from, one, two, three]],
    [
      "added above our Received, and then to where it was",
      added([
        { value: "v", order: 0 },
        { value: "w", order: 1 },
      ]),
      ["X-New: v", "X-New: w", from, one, two, three],
    ],
    ["added by index", added({ value: "v", index: 2 }), [from, "X-New: v", one, two, three]],
    ["added at the very end", added({ value: "v", order: -1 }), [from, one, two, three, "X-New: v"]],
    [
      "added above the fifth from below, of seven",
      added({ value: "v", order: -5 }),
      [from, one, "X-New: v", two, three],
    ],
    ["added before everything", added({ value: "v", order: -99 }), ["X-New: v", from, one, two, three]],
    ["added far behind", added({ value: "v", order: 99 }), [from, one, two, three, "X-New: v"]],
    ["added several times", added(["v", { value: "w", order: 0 }]), ["X-New: w", from, one, two, three, "X-New: v"]],
    ["folds stay", added("a;\n\tb;\r\n\tc"), [from, one, two, three, "X-New: a;\r\n\tb;\r\n\tc"]],
    [
      "what would be a field is none",
      added("a\r\nBcc: x\r\n\r\nbody"),
      [from, one, two, three, "X-New: a\r\n\tBcc: x\r\n\tbody"],
    ],
    ["what would be two names is one", { add_headers: { "X: y\r\nBcc": "v" } }, [from, one, two, three, "X-y-Bcc: v"]],
    [
      "removed, then added",
      { remove_headers: { "X-B": 0 }, add_headers: { "X-B": { value: "v", order: 1 } } },
      ["X-B: v", from, one, three],
    ],
  ])("%s", async (_, milter, expected) => {
    expect(await fields(milter)).toEqual(expected);
  });

  test("signatures stand on top, in their order, octet for octet", async () => {
    const signature = "v=1; a=rsa-sha256; h=from:subject;\n\tbh=abc=;\n\tb=def/\n\t ghi+";
    const wire = `DKIM-Signature: ${signature.replaceAll("\n", "\r\n")}`;
    expect(await fields({}, { "dkim-signature": signature })).toEqual([wire, from, one, two, three]);
    const both = await fields({}, { "dkim-signature": [signature, "v=1; second"] });
    expect(both).toEqual([wire, "DKIM-Signature: v=1; second", from, one, two, three]);
  });

  test("octets that are no UTF-8 come back as they were", async () => {
    next = { json: Buffer.from('{"action":"no action","milter":{"add_headers":{"X-New":"K\u00e4se"}}}', "latin1") };
    await using gateway = await open();
    await send({ gateway });
    expect(await delivered(gateway)).toContain("X-New: K\u00e4se\r\n");
  });

  test("sender and recipients", async () => {
    next = {
      json: {
        ...plain,
        milter: {
          change_from: "<new@example.net>",
          add_rcpt: ["<more@example.test>"],
          del_rcpt: ["user@example.test"],
        },
      },
    };
    await using gateway = await open();
    await send({ gateway });
    const [delivery] = await gateway.delivered(1);
    expect(delivery).toMatchObject({ sender: "new@example.net", recipients: ["more@example.test"] });
  });

  test.each([
    ["small", Buffer.from("New.\nBody\r\n")],
    ["large", Buffer.from(`${"0123456789".repeat(7)}\n`.repeat(60_000))],
  ])("a new body, %s", async (_, body) => {
    const content = await become(plain, {}, body);
    expect(content).toBe(sample.replace("Hi.\r\n", body.toString("latin1").replace(/\r?\n/g, "\r\n")));
  });

  test("what strangers wrote in our name goes; our own clients' stays", async () => {
    next = { json: plain };
    const spoofed = `x-spam-status: No\r\nX-Spam: No\r\nX-Spamd-Bar: ---\r\nX-Spa: stays\r\n${sample}`;
    await using gateway = await open({}, { networks: ["198.51.100.1/32"] });
    await send({ gateway, content: spoofed });
    expect(await delivered(gateway)).toBe(`X-Spa: stays\r\n${sample}`);
    await using own = await open({}, { networks: ["198.51.100.1/32"] });
    await send({ gateway: own, content: spoofed, from: "198.51.100.1" });
    expect(await delivered(own)).toBe(spoofed);
  });
});

test("rspamd hears who sends what to whom", async () => {
  next = { json: plain };
  await using gateway = await open({ settingsId: "mx", mtaTag: "edge", passAll: true });
  asked.length = 0;
  await send({ gateway });
  const [{ url, headers, body } = { url: "", headers: {}, body: Buffer.alloc(0) }] = asked;
  expect([url, body.toString()]).toEqual(["/checkv2", sample]);
  expect(headers).toMatchObject({
    from: "sender@example.net",
    rcpt: "user@example.test",
    "deliver-to": "user@example.test",
    ip: "192.0.2.1",
    helo: expect.any(String),
    "queue-id": expect.stringMatching(/^\w+$/),
    "mta-name": "mx.example.test",
    "mta-tag": "edge",
    "settings-id": "mx",
    flags: "milter,body_block",
    pass: "all",
    "content-length": String(sample.length),
  });
  expect(headers).not.toHaveProperty("hostname");
  await send({ gateway, to: ["user@example.test", "b@example.test"] });
  expect(asked[1]?.raw.filter((_, at, all) => all[at - 1] === "Rcpt")).toEqual(["user@example.test", "b@example.test"]);
  expect(asked[1]?.headers).not.toHaveProperty("deliver-to");
});

describe("learning", () => {
  const lessons = { spam: ["spam@example.test"], ham: ["ham@example.test"] };
  const learning = () => open({ learn: { controller: address, ...lessons } }, { networks: ["198.51.100.1/32"] });
  const own = "198.51.100.1";

  test.each([
    ["spam@example.test", "/learnspam", 200, "learnt as spam"],
    ["ham@example.test", "/learnham", 208, "known as ham already"],
    ["ham@example.test", "/learnham", 204, "nothing to be learnt as ham: No Content"],
  ])("%s by %s, answered with %i", async (to, path, status, text) => {
    next = { json: { success: true }, status };
    await using gateway = await learning();
    asked.length = 0;
    expect(await send({ gateway, to: [to], from: own })).toMatch(/^250/);
    expect(asked.map(({ url, body }) => [url, body.toString()])).toEqual([[path, sample]]);
    expect(gateway.events.find(({ kind }) => kind === "discarded")).toMatchObject({ text });
  });

  test("messages that are attached are the lesson, not what is around them", async () => {
    next = { json: { success: true } };
    await using gateway = await learning();
    asked.length = 0;
    const inner = "Subject: inner\r\n\r\nInner.";
    const first = `Subject: first\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Type: message/rfc822\r\n\r\n${inner}\r\n--c--`;
    const second = "Subject: second\r\n\r\nSecond.";
    const attach = (content: string) => `--b\r\nContent-Type: message/rfc822\r\n\r\n${content}\r\n`;
    const content = `Subject: Fwd\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nSee.\r\n${attach(first)}${attach(second)}--b--\r\n`;
    expect(await send({ gateway, content, to: ["spam@example.test"], from: own })).toMatch(/^250/);
    expect(asked.map(({ url, body }) => [url, body.toString()])).toEqual([
      ["/learnspam", first],
      ["/learnspam", second],
    ]);
    expect(gateway.events.find(({ kind }) => kind === "discarded")).toMatchObject({ text: "2 learnt as spam" });
    const alone = `Subject: Fwd\r\nContent-Type: message/rfc822\r\n\r\n${second}\r\n`;
    expect(await send({ gateway, content: alone, to: ["ham@example.test"], from: own })).toMatch(/^250/);
    expect(asked.at(-1)).toMatchObject({ url: "/learnham", body: Buffer.from(`${second}\r\n`) });
  });

  test("asked what would become of a lesson it teaches nothing", async () => {
    const plugin = await instantiate(rspamd, { address, onError: "defer", learn: { controller: address, ...lessons } });
    const config = resolveConfig(
      {
        hostname: "mx.example.test",
        networks: [`${own}/32`],
        domains: { virtualMailbox: ["example.test"] },
        listeners: [{ host: "127.0.0.1", port: 25 }],
        queue: { directory: "/nonexistent/queue" },
        state: { store: "memory" },
      },
      { file: "/nonexistent/postern.config.json" },
    );
    const explainer = await createExplainer(config, { instances: [plugin], live: true });
    asked.length = 0;
    const question = { client: own, clientName: "unknown", helo: "x", from: "", to: ["spam@example.test"] };
    const { verdict, effects } = await explainer.explain({ ...question, message: sample });
    await explainer.close();
    expect(verdict).toBe("accepted");
    expect(effects.join()).toContain("to be learnt as spam");
    expect(asked).toEqual([]);
  });

  test("strangers teach nothing; one lesson at a time; what was not learnt comes again", async () => {
    await using gateway = await learning();
    asked.length = 0;
    expect(await send({ gateway, to: ["spam@example.test"] })).toBe("550 5.7.1 Only our own users may report here");
    for (const other of ["ham@example.test", "user@example.test"]) {
      const reply = await send({ gateway, to: ["spam@example.test", other], from: own });
      expect(reply).toBe("550 5.7.1 Report to one address alone");
    }
    expect(asked).toEqual([]);
    next = { json: { error: "Unauthorized" }, status: 401 };
    expect(await send({ gateway, to: ["spam@example.test"], from: own })).toMatch(/^451 4\.3\.0 /);
    next = { json: plain };
    expect(await send({ gateway, from: own })).toMatch(/^250/);
    expect(asked.map(({ url }) => url)).toEqual(["/learnspam", "/checkv2"]);
  });
});
