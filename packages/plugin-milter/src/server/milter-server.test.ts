import {
  defer,
  reject,
  type Conversations,
  type Edit,
  type Gateway,
  type ScanAsk,
  type ScanAnswer,
} from "@postern/core";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { actions, allActions, encodeCommand, encodePacket, steps, termsOf, type Command } from "../protocol/index.ts";
import { parseListenAddress } from "./address.ts";
import { createMilterServer } from "./milter-server.ts";
import { refused } from "./milter-session.ts";
import { newest, serve } from "./scripted-mta.fixture.ts";

type Scan = (ask: ScanAsk) => ScanAnswer | Promise<ScanAnswer>;

const scanning =
  (scan: Scan) =>
  (gateway: Gateway): void =>
    gateway.scanner({ name: "test", description: "", onError: "defer", scan });
const nothing = (): void => undefined;

async function textOf({ message }: ScanAsk): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of message.raw.read()) pieces.push(piece);
  return Buffer.concat(pieces).toString("latin1");
}

describe("every version", () => {
  test.each([2, 3, 4, 5, 6])("%i: a message is seen as it is, and refused with a reply", async (version) => {
    const seen: string[] = [];
    await using served = await serve(
      scanning(async (ask) => {
        seen.push(await textOf(ask));
        return reject("no 100% sure");
      }),
    );
    const mta = served.open();
    const agreed = await mta.introduce({ ...termsOf(version), version });
    expect(agreed.version).toBe(version);
    expect(agreed.steps & ~termsOf(version).steps).toBe(0);
    const spaced = (agreed.steps & steps.leadingSpace) !== 0;
    const space = spaced ? "  " : "";
    const fields = [
      ["Subject", `${space}a\n\tb \xff`],
      ["X-Empty", ""],
    ] as const;
    expect(await mta.begin(agreed, fields)).toBeUndefined();
    const body = Buffer.from("bare\nLF, \0, \xe9\r\n", "latin1");
    const told = await mta.body(agreed, body);
    expect(told).toEqual(version < 6 ? { kind: "continue" } : undefined);
    expect(await mta.ask({ kind: "endOfMessage" })).toEqual({ kind: "replyCode", text: "550 5.7.1 no 100%% sure" });
    expect(seen).toEqual([`Subject:${spaced ? "  " : " "}a\r\n\tb \xff\r\nX-Empty:\r\n\r\n${body.toString("latin1")}`]);
    mta.tell({ kind: "quit" });
    await mta.over();
  });

  test("what nobody needs is not asked for, and no reply waited for", async () => {
    await using served = await serve((gateway) => gateway.hooks.smtp.rcpt.tap(() => reject("nobody")));
    const mta = served.open();
    const agreed = await mta.introduce();
    const wanted =
      steps.noUnknown |
      steps.noData |
      steps.noBody |
      steps.noHeaders |
      steps.noEndOfHeaders |
      steps.noReplyToConnect |
      steps.noReplyToHelo |
      steps.noReplyToMail |
      steps.noReplyToHeader |
      steps.noReplyToBody |
      steps.leadingSpace |
      steps.skip;
    expect(agreed.steps >>> 0).toBe(wanted);
    expect(agreed.macros?.mail).toContain("{auth_authen}");
    mta.tell({ kind: "mail", args: ["<>"] });
    expect(await mta.ask({ kind: "recipient", args: ["<to@example.test>"] })).toEqual({
      kind: "replyCode",
      text: "550 5.7.1 nobody",
    });
  });

  test("before version 4 nobody tells of DATA: its refusal answers the first part of the message", async () => {
    await using served = await serve(({ hooks }) => hooks.smtp.data.tap(() => defer("not now")));
    const old = served.open();
    expect(await old.begin(await old.introduce(termsOf(3)), [["Subject", "x"]])).toEqual({
      kind: "replyCode",
      text: "450 4.7.1 not now",
    });
    const current = served.open();
    expect(await current.begin(await current.introduce(), [])).toEqual({
      kind: "replyCode",
      text: "450 4.7.1 not now",
    });
  });
});

describe("a mail server that goes on after DATA was refused", () => {
  const later = { kind: "replyCode", text: "450 4.7.1 not now" };
  test("hears it again at the end", async () => {
    let asked = 0;
    await using served = await serve(({ hooks }) =>
      hooks.smtp.data.tap(() => ((asked += 1) === 1 ? defer("not now") : undefined)),
    );
    const mta = served.open();
    const agreed = await mta.introduce();
    expect(await mta.begin(agreed)).toEqual(later);
    expect(await mta.ask({ kind: "endOfMessage" })).toEqual(later);
    expect(await mta.begin(agreed)).toBeUndefined();
    expect(await mta.ask({ kind: "endOfMessage" })).toEqual({ kind: "continue" });
  });

  test("without DATA and without waiting for answers to fields hears it at the end alone", async () => {
    await using served = await serve(({ hooks }) => {
      hooks.smtp.data.tap(() => defer("not now"));
      hooks.smtp.message.tap(() => undefined);
    });
    const mta = served.open();
    await mta.introduce();
    mta.tell({ kind: "mail", args: ["<>"] });
    mta.tell({ kind: "recipient", args: ["<a@b.test>"] });
    mta.tell({ kind: "header", name: "Subject", value: " x" });
    mta.tell({ kind: "body", octets: Buffer.from("x\r\n") });
    expect(await mta.ask({ kind: "endOfMessage" })).toEqual(later);
  });
});

test("the queue's id is taken from the command that tells it", async () => {
  await using served = await serve(scanning(() => undefined));
  const mta = served.open();
  const agreed = await mta.introduce();
  mta.tell({ kind: "macros", of: "M", macros: { i: "4Q2X" } });
  await mta.begin(agreed);
  await mta.ask({ kind: "endOfMessage" });
  await mta.begin(agreed);
  await mta.ask({ kind: "endOfMessage" });
  expect(served.log.filter((line) => line.includes("id is"))).toEqual([expect.stringMatching(/id is 4Q2X$/)]);
});

test("what is told of the session is what plugins see", async () => {
  const seen: unknown[] = [];
  await using served = await serve(({ hooks }) => {
    hooks.smtp.tls.tap(({ tls }) => void seen.push(tls));
    hooks.smtp.auth.tap((identity, mechanism) => void seen.push(`${identity} by ${mechanism}`));
    hooks.smtp.rcpt.tap(({ address, original, notify }, transaction, { client, helo, auth, server }) => {
      const { sender, body, declaredSizeBytes } = transaction;
      seen.push({ address, original, notify, sender, body, declaredSizeBytes, client, helo, auth, server });
      return undefined;
    });
  });
  const mta = served.open();
  await mta.ask({ kind: "negotiate", ...newest });
  const macros = (of: string, given: Record<string, string>): void => mta.tell({ kind: "macros", of, macros: given });
  macros("C", { "{client_ptr}": "ptr.test", "{daemon_addr}": "192.0.2.1", "{daemon_port}": "25" });
  mta.tell({ kind: "connect", hostname: "[192.0.2.7]", client: { family: "inet", address: "192.0.2.7", port: 4711 } });
  macros("H", { "{tls_version}": "TLSv1.3", "{cipher}": "AES", "{cipher_bits}": "256" });
  await mta.ask({ kind: "helo", name: "helo.test" });
  macros("M", { "{auth_authen}": "anna", "{auth_type}": "PLAIN" });
  await mta.ask({ kind: "mail", args: ["<From@Client.TEST>", "SIZE=7", "BODY=8BITMIME", "X-UNHEARD=of"] });
  await mta.ask({ kind: "recipient", args: ["<To@Example.TEST>", "NOTIFY=NEVER"] });
  // What we would not take from a client ourselves is the mail server's to take.
  await mta.ask({ kind: "recipient", args: ["<root>"] });
  await mta.ask({ kind: "recipient", args: ["<a..b@@c>"] });
  expect(seen.slice(0, 2)).toEqual([
    { protocol: "TLSv1.3", cipher: "AES", bits: 256, servername: undefined },
    "anna by PLAIN",
  ]);
  expect(seen[2]).toEqual({
    address: "To@example.test",
    original: "To@Example.TEST",
    notify: ["never"],
    sender: "From@client.test",
    body: "8bitmime",
    declaredSizeBytes: 7,
    client: {
      address: "192.0.2.7",
      port: 4711,
      name: "unknown",
      reverseName: "ptr.test",
      nameStatus: "temporary",
      inNetworks: false,
    },
    helo: { verb: "EHLO", name: "helo.test" },
    auth: { identity: "anna", mechanism: "PLAIN" },
    server: { address: "192.0.2.1", port: 25 },
  });
  expect(seen.slice(3)).toMatchObject([{ address: "root@mx.example.test" }, { address: "a..b@@c" }]);
});

test("sessions and messages follow each other on one connection; what is given up leaves nothing", async () => {
  const seen: string[] = [];
  const told: string[] = [];
  await using served = await serve((gateway) => {
    const { hooks } = gateway;
    gateway.scanner({
      name: "test",
      description: "",
      onError: "defer",
      async scan(ask) {
        seen.push(`${ask.transaction.recipients.length} ${await textOf(ask)}`);
        return { kind: "prepend", name: "X-Seen", value: "yes" };
      },
    });
    hooks.smtp.reset.tap(() => void told.push("reset"));
    hooks.smtp.closed.tap(({ helo }) => void told.push(`closed ${helo?.name}`));
  });
  const mta = served.open();
  const agreed = await mta.introduce();
  await mta.begin(agreed, [["Subject", " given up"]]);
  await mta.body(agreed, Buffer.from("x"));
  mta.tell({ kind: "abort" });
  for (const subject of ["one", "two"]) {
    await mta.begin(agreed, [["Subject", ` ${subject}`]]);
    mta.tell({ kind: "endOfMessage", octets: Buffer.from("body\r\n") });
    expect(await mta.disposal()).toEqual([
      { kind: "insertHeader", index: 1, name: "X-Seen", value: " yes" },
      { kind: "continue" },
    ]);
  }
  mta.tell({ kind: "quitSession" });
  mta.tell({ kind: "connect", hostname: "other.test", client: { family: "unknown" } });
  mta.tell({ kind: "helo", name: "second.test" });
  await mta.begin(agreed, []);
  mta.tell({ kind: "endOfMessage" });
  expect(await mta.disposal()).toHaveLength(2);
  mta.tell({ kind: "quit" });
  await mta.over();
  await served.close();
  expect(told).toEqual(["reset", "closed helo.test", "closed second.test"]);
  expect(seen).toEqual(["1 Subject: one\r\n\r\nbody\r\n", "1 Subject: two\r\n\r\nbody\r\n", "1 "]);
});

test("without a look at the message a field comes on top", async () => {
  await using served = await serve(
    (gateway) => {
      const compile = () => () => ({ kind: "prepend", name: "X-New", value: "1" }) as const;
      gateway.restriction({ name: "adds", stages: ["rcpt"], args: z.tuple([]), description: "", compile });
    },
    { written: { policy: { rcpt: ["adds"] } } },
  );
  const mta = served.open();
  const agreed = await mta.introduce();
  expect(agreed.steps & steps.noHeaders).toBe(steps.noHeaders);
  await mta.begin(agreed, []);
  mta.tell({ kind: "endOfMessage" });
  expect(await mta.disposal()).toEqual([
    { kind: "insertHeader", index: 1, name: "X-New", value: " 1" },
    { kind: "continue" },
  ]);
});

describe("changes", () => {
  const answer = async (given: readonly Edit[], terms = newest): Promise<unknown> => {
    await using served = await serve(({ hooks }) => hooks.smtp.modify.tap(() => given));
    const mta = served.open();
    const agreed = await mta.introduce(terms);
    await mta.begin(agreed, [
      ["A", " 1"],
      ["B", " 2"],
    ]);
    await mta.body(agreed, Buffer.from("the body\r\n"));
    mta.tell({ kind: "endOfMessage" });
    return await mta.disposal();
  };
  const goOn = { kind: "continue" };

  test.each<[what: string, edits: readonly Edit[], told: readonly object[]]>([
    ["nothing", [], []],
    [
      "undone",
      [
        { kind: "appendHeader", name: "C", value: "3" },
        { kind: "deleteHeader", name: "C" },
      ],
      [],
    ],
    [
      "a field in octets",
      [{ kind: "replaceHeader", name: "B", value: Buffer.from("\t2\r\n 3\xff", "latin1") }],
      [{ kind: "changeHeader", index: 1, name: "B", value: "\t2\n 3\xff" }],
    ],
    ["a field gone", [{ kind: "deleteHeader", name: "A" }], [{ kind: "changeHeader", index: 1, name: "A", value: "" }]],
    [
      "the body",
      [{ kind: "replaceBody", body: Buffer.alloc(100_000, "x") }],
      [
        { kind: "replaceBody", octets: Buffer.alloc(65_535, "x") },
        { kind: "replaceBody", octets: Buffer.from("x".repeat(34_465)) },
      ],
    ],
    [
      "the envelope",
      [
        { kind: "changeSender", address: "" },
        { kind: "addRecipient", address: "more@example.test" },
        { kind: "removeRecipient", address: "to@example.test" },
      ],
      [
        { kind: "changeSender", address: "<>" },
        { kind: "deleteRecipient", address: "<to@example.test>" },
        { kind: "addRecipient", address: "<more@example.test>" },
      ],
    ],
  ])("%s", async (_, edits, told) => {
    const said = (await answer(edits)) as { kind: string; octets?: Buffer }[];
    const bodies = said.filter(({ kind }) => kind === "replaceBody").map(({ octets }) => octets as Buffer);
    const wanted = (told as { kind: string; octets?: Buffer }[]).filter(({ kind }) => kind === "replaceBody");
    expect(Buffer.concat(bodies)).toEqual(Buffer.concat(wanted.map(({ octets }) => octets as Buffer)));
    expect(bodies.every(({ length }) => length <= 65_535)).toBe(true);
    expect(said.filter(({ kind }) => kind !== "replaceBody")).toEqual([
      ...told.filter((one) => !("octets" in one)),
      goOn,
    ]);
  });

  test.each<[what: string, edit: Edit, missing: number]>([
    ["a sender", { kind: "changeSender", address: "x@y.test" }, actions.changeSender],
    ["a body", { kind: "replaceBody", body: Buffer.from("x") }, actions.changeBody],
    ["a field", { kind: "deleteHeader", name: "A" }, actions.changeHeaders],
    ["one more field", { kind: "prependHeader", name: "C", value: "3" }, actions.addHeaders],
    ["a recipient", { kind: "addRecipient", address: "x@y.test" }, actions.addRecipients],
  ])("%s that the mail server lets nobody change puts the message off", async (_, edit, missing) => {
    const terms = { ...newest, actions: allActions & ~missing };
    expect(await answer([edit], terms)).toEqual([
      { kind: "replyCode", text: "451 4.3.5 Server configuration problem" },
    ]);
  });
});

test("what cannot be put aside is put off", async () => {
  await using served = await serve(scanning(() => ({ kind: "quarantine", text: "odd" })));
  for (const [offered, told] of [
    [allActions, [{ kind: "quarantine", reason: "odd" }, { kind: "continue" }]],
    [allActions & ~actions.quarantine, [{ kind: "replyCode", text: "451 4.3.5 Server configuration problem" }]],
  ] as const) {
    const mta = served.open();
    await mta.begin(await mta.introduce({ ...newest, actions: offered }), []);
    mta.tell({ kind: "endOfMessage" });
    expect(await mta.disposal()).toEqual(told);
  }
});

describe("rubbish", () => {
  const connectFirst: Command = { kind: "connect", hostname: "x", client: { family: "unknown" } };
  test.each<[what: string, octets: Buffer]>([
    ["no length", Buffer.from([0, 0, 0, 0])],
    ["a length beyond all", Buffer.from([0xff, 0xff, 0xff, 0xff, 0x43])],
    ["SMTP", Buffer.from("EHLO client.test\r\n")],
    ["an unknown letter", encodePacket("?", Buffer.alloc(0))],
    ["half a negotiation", encodePacket("O", Buffer.alloc(8))],
    ["version 1", encodeCommand({ kind: "negotiate", version: 1, actions: 0, steps: 0 })],
    ["connect before the negotiation", encodeCommand(connectFirst)],
    ["a message before connect", encodeCommand({ kind: "mail", args: ["<>"] })],
    [
      "a body outside of a message",
      Buffer.concat(
        [{ kind: "negotiate", ...newest } as const, connectFirst, { kind: "endOfMessage" } as const].map(encodeCommand),
      ),
    ],
    [
      "a text without its end",
      Buffer.concat([encodeCommand({ kind: "negotiate", ...newest }), encodePacket("H", Buffer.from("x"))]),
    ],
  ])("%s ends its connection and no other", async (_, octets) => {
    await using served = await serve(scanning(() => reject("no")));
    const sound = served.open();
    const agreed = await sound.introduce();
    const mta = served.open();
    mta.write(octets);
    await mta.over();
    expect(served.log.filter((line) => line.startsWith("warning: milter inet:0@127.0.0.1: a connection"))).toHaveLength(
      1,
    );
    await sound.begin(agreed, []);
    expect(await sound.ask({ kind: "endOfMessage" })).toMatchObject({ kind: "replyCode" });
  });

  test("octet by octet, or all at once, it is the same", async () => {
    await using served = await serve(scanning(async (ask) => reject(String((await textOf(ask)).length))));
    const all: Command[] = [
      { kind: "negotiate", ...newest },
      { kind: "connect", hostname: "x", client: { family: "unknown" } },
      { kind: "helo", name: "x" },
      { kind: "mail", args: ["<>"] },
      { kind: "recipient", args: ["<a@b.test>"] },
      { kind: "header", name: "A", value: " 1" },
      { kind: "body", octets: Buffer.alloc(3_000, "x") },
      { kind: "body", octets: Buffer.alloc(3_000, "y") },
      { kind: "endOfMessage" },
      { kind: "quit" },
    ];
    const octets = Buffer.concat(all.map(encodeCommand));
    const hear = async (parts: readonly Buffer[]): Promise<unknown> => {
      const mta = served.open();
      for (const part of parts) mta.write(part);
      const said = [await mta.hear(), await mta.hear()];
      await mta.over();
      return said;
    };
    const whole = await hear([octets]);
    expect(whole).toMatchObject([{ kind: "negotiate" }, { kind: "replyCode", text: "550 5.7.1 6008" }]);
    expect(await hear(Array.from(octets, (octet) => Buffer.from([octet])))).toEqual(whole);
  });
});

describe("time", () => {
  test("while a message is judged the mail server hears that we are at work", async () => {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    await using served = await serve(
      scanning(() => promise),
      { progressMs: 5 },
    );
    const mta = served.open();
    await mta.begin(await mta.introduce(), []);
    expect([await mta.ask({ kind: "endOfMessage" }), await mta.hear(), await mta.hear()]).toEqual(
      Array.from({ length: 3 }, () => ({ kind: "progress" })),
    );
    resolve(undefined);
    expect((await mta.disposal()).at(-1)).toEqual({ kind: "continue" });
  });

  test("a mail server that leaves while its message is judged calls the engines off", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    await using served = await serve(
      scanning(({ signal }) => {
        signal.addEventListener("abort", () => resolve());
        begun.resolve();
        return new Promise<undefined>(nothing);
      }),
    );
    const mta = served.open();
    await mta.begin(await mta.introduce(), []);
    mta.tell({ kind: "endOfMessage" });
    await begun.promise;
    mta.socket.destroy();
    await promise;
  });

  test("one that says nothing for too long is let go, and no more are taken than may be", async () => {
    await using served = await serve(nothing, { idleMs: 20, connections: 1 });
    const mta = served.open();
    await mta.introduce();
    const second = served.open();
    await second.over();
    await mta.over();
    expect(served.log.filter((line) => line.startsWith("warning"))).toEqual([
      "warning: milter inet:0@127.0.0.1: a connection from 127.0.0.1 is closed: more than 1 are open",
      "warning: milter inet:0@127.0.0.1: a connection from 127.0.0.1 is closed: nothing was said for too long",
    ]);
  });

  test("at the end a message under way is judged, and who waits is let go", async () => {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const begun = Promise.withResolvers<void>();
    await using served = await serve(
      scanning(() => {
        begun.resolve();
        return promise;
      }),
    );
    const [waiting, busy] = [served.open(), served.open()];
    await waiting.introduce();
    await busy.begin(await busy.introduce(), []);
    busy.tell({ kind: "endOfMessage" });
    await begun.promise;
    const closed = served.close();
    await waiting.over();
    resolve(undefined);
    expect(await busy.hear()).toEqual({ kind: "continue" });
    await busy.over();
    await closed;
  });
});

test("what is too large is refused, and no longer sent where that can be said", async () => {
  await using served = await serve(
    scanning(() => undefined),
    { written: { limits: { messageSize: "64KB" } } },
  );
  const mta = served.open();
  const agreed = await mta.introduce({ ...newest, steps: newest.steps & ~steps.noReplyToBody });
  await mta.begin(agreed, []);
  expect(await mta.body(agreed, Buffer.alloc(60_000))).toEqual({ kind: "continue" });
  expect(await mta.body(agreed, Buffer.alloc(60_000))).toEqual({ kind: "skip" });
  expect(await mta.ask({ kind: "endOfMessage" })).toEqual({
    kind: "replyCode",
    text: "552 5.3.4 Message exceeds the size limit",
  });
  // Nothing is left of it.
  await mta.begin(agreed, []);
  expect(await mta.ask({ kind: "endOfMessage" })).toEqual({ kind: "continue" });
});

test.each([
  ["550 5.7.1 no", "550 5.7.1 no"],
  ["550 no", "550 5.0.0 no"],
  ["450-4.7.1 one\r\n450 4.7.1 50%", "450-4.7.1 one\r\n450 4.7.1 50%%"],
])("%j goes out as %j", (refusal, text) => {
  expect(refused(refusal)).toEqual({ kind: "replyCode", text });
});

test.each<[text: string, expected: object | undefined]>([
  ["inet:8899@127.0.0.1", { host: "127.0.0.1", port: 8899 }],
  ["inet:127.0.0.1:8899", { host: "127.0.0.1", port: 8899 }],
  ["inet:8899", { host: "127.0.0.1", port: 8899 }],
  ["inet6:8899@[::1]", { host: "::1", port: 8899 }],
  ["inet:[::1]:8899", { host: "::1", port: 8899 }],
  ["unix:run/milter.sock", { path: "/somewhere/run/milter.sock" }],
  ["local:/run/milter.sock", { path: "/run/milter.sock" }],
  ["inet:70000@127.0.0.1", undefined],
  ["127.0.0.1:8899", undefined],
  ["unix:", undefined],
  [`unix:/${"x".repeat(107)}`, undefined],
])("%s", (text, expected) => {
  expect(parseListenAddress(text, "/somewhere")).toEqual(expected && { ...expected, text });
});

test("a socket in a folder that is not there says so", async () => {
  const text = "unix:/nowhere/of/this/name/milter.sock";
  const address = parseListenAddress(text, "/");
  if (address === undefined) throw new Error("no address");
  const conversations = {} as Conversations;
  await expect(createMilterServer({ conversations, addresses: [address] })).rejects.toThrow(
    `cannot listen on ${text}: there is no folder /nowhere/of/this/name`,
  );
});
