import { createStaticResolver } from "../dns/index.ts";
import { instantiate } from "@postern/testkit";
import { afterEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { resolveConfig } from "../config/index.ts";
import { defer, reject, systemClock, type Answer } from "../model/index.ts";
import { definePlugin, type Gateway } from "../plugin/index.ts";
import type { ScanAnswer } from "../scanning/index.ts";
import { createMemoryStateStore } from "../state/index.ts";
import { createConversations, type Conversation, type Conversations, type Disposal } from "./index.ts";

let open: (readonly [Conversations, Conversation])[] = [];
let log: string[] = [];
afterEach(async () => {
  for (const [conversations, conversation] of open) {
    conversation.close();
    await conversations.close();
  }
  open = [];
  log = [];
});

interface Setting {
  readonly setup?: (gateway: Gateway) => void;
  /** What the words `one` to `three` answer. */
  readonly words?: Readonly<Record<string, Answer>>;
  readonly scan?: () => ScanAnswer | Promise<ScanAnswer>;
  readonly config?: object;
}

async function begin({ setup, words = {}, scan, config = {} }: Setting = {}): Promise<Conversation> {
  const plugin = definePlugin({
    name: "test",
    apiVersion: 1,
    options: z.strictObject({}),
    setup(gateway) {
      setup?.(gateway);
      for (const [name, answer] of Object.entries(words)) {
        gateway.restriction({
          name,
          stages: ["connect", "helo", "mail", "relay", "rcpt", "data", "message"],
          args: z.tuple([]),
          description: "",
          compile: () => () => answer,
        });
      }
      if (scan !== undefined) gateway.scanner({ name: "test", description: "", onError: "defer", scan });
    },
  });
  const written = { hostname: "mx.example.test", listeners: [{ port: 0 }], queue: { directory: "./queue" }, ...config };
  const conversations = await createConversations(resolveConfig(written, { file: "/nowhere/(test)" }), {
    instances: [await instantiate(plugin)],
    stateStore: createMemoryStateStore({ clock: systemClock }),
    resolver: createStaticResolver({}),
    log: (_, line) => void log.push(line),
  });
  const conversation = conversations.begin({
    listener: "test",
    client: { address: "192.0.2.7", port: 25, name: "unknown", reverseName: "unknown", nameStatus: "permanent" },
    server: { address: "192.0.2.1", port: 25 },
  });
  open.push([conversations, conversation]);
  return conversation;
}

const content = [Buffer.from("Subject: x\r\n\r\nbody\r\n")];

/** What becomes of a message to these recipients, all of which must be let through. */
async function send(conversation: Conversation, recipients: readonly string[] = ["a@b.test"]): Promise<Disposal> {
  const refusals = [
    await conversation.connect(),
    await conversation.helo("client.test"),
    await conversation.mail("<from@client.test>", []),
    ...(await Promise.all(recipients.map(async (recipient) => conversation.recipient(`<${recipient}>`, [])))),
    await conversation.data(),
  ];
  expect(refusals.filter((refusal) => refusal !== undefined)).toEqual([]);
  await conversation.write(content);
  return conversation.endOfMessage("4Q2X");
}

test("who may relay, who exists and what an address looks like is the mail server's to say", async () => {
  const domains = { local: { domains: ["example.test"], recipients: ["known@example.test"] } };
  const conversation = await begin({ config: { domains } });
  const recipients = ["stranger@elsewhere.test", "nobody@example.test", "user%other@example.test", "@a.test:b@c.test"];
  expect(await send(conversation, recipients)).toMatchObject({ kind: "taken", quarantine: undefined });
  expect(log).toContainEqual(expect.stringMatching(/^\S+: unknown\[192\.0\.2\.7\]: the mail server's id is 4Q2X$/));
  expect(log).toContainEqual(
    expect.stringMatching(/^\S+: client=unknown\[192\.0\.2\.7\], from=<from@client\.test>, size=20, nrcpt=4$/),
  );
});

test("nothing is added to a message of our own clients, and nobody sees more than came", async () => {
  const seen: string[] = [];
  const conversation = await begin({
    config: { networks: ["192.0.2.0/24"] },
    setup: ({ hooks }) =>
      hooks.smtp.message.tap(({ headers }) => void seen.push(...[...headers].map(({ name }) => name))),
  });
  expect(await send(conversation)).toEqual({
    kind: "taken",
    quarantine: undefined,
    changes: { removed: [], added: [], headers: [], body: undefined },
  });
  expect(seen).toEqual(["Subject"]);
});

describe("a refusal", () => {
  const refusing = { words: { one: reject("no") } } as const;
  test("of a list before RCPT waits for it, unless the config says otherwise", async () => {
    const late = await begin({ ...refusing, config: { policy: { connect: ["one"] } } });
    expect([await late.connect(), await late.mail("<>", []), await late.recipient("<a@b.test>", [])]).toEqual([
      undefined,
      undefined,
      "550 5.7.1 no",
    ]);
    const early = await begin({ ...refusing, config: { policy: { connect: ["one"], delayReject: false } } });
    expect(await early.connect()).toBe("550 5.7.1 no");
    // The session is over: whoever goes on hears it again, and no message passes.
    expect(early.over).toBe(true);
    expect([await early.mail("<>", []), await early.recipient("<a@b.test>", [])]).toEqual([
      "550 5.7.1 no",
      "550 5.7.1 no",
    ]);
    expect(await early.endOfMessage()).toEqual({ kind: "refused", refusal: "550 5.7.1 no" });
  });

  test("of MAIL lets no message pass, whoever goes on", async () => {
    const conversation = await begin({ setup: ({ hooks }) => hooks.smtp.mail.tap(() => defer("later")) });
    expect(await conversation.mail("<>", [])).toBe("450 4.7.1 later");
    expect(await conversation.recipient("<a@b.test>", [])).toBeUndefined();
    await conversation.write(content);
    expect(await conversation.endOfMessage()).toEqual({
      kind: "refused",
      refusal: "451 4.3.0 Temporary failure, try again later",
    });
  });

  test("of TLS answers everything", async () => {
    const conversation = await begin({ setup: ({ hooks }) => hooks.smtp.tls.tap(() => reject("weak")) });
    const tls = { protocol: "TLSv1", cipher: "RC4", bits: 40, servername: undefined };
    expect(await conversation.helo("a.test", { tls })).toBe("550 5.7.1 weak");
    expect(await conversation.mail("<>", [])).toBe("550 5.7.1 weak");
  });

  test("of TLS is the one answer to HELO", async () => {
    const conversation = await begin({
      setup: ({ hooks }) => {
        hooks.smtp.tls.tap(() => reject("weak"));
        hooks.smtp.helo.tap(() => reject("and no name"));
      },
    });
    const tls = { protocol: "TLSv1", cipher: "RC4", bits: 40, servername: undefined };
    expect(await conversation.helo("a.test", { tls })).toBe("550 5.7.1 weak");
  });

  test("of a login is the answer to its MAIL, and it is asked about once", async () => {
    let asked = 0;
    const conversation = await begin({
      setup: ({ hooks }) =>
        hooks.smtp.auth.tap((identity) => ((asked += 1), identity === "bad" ? reject("not you") : undefined)),
    });
    const auth = (identity: string) => ({ auth: { identity, mechanism: "PLAIN" } });
    expect(await conversation.mail("<>", [], auth("bad"))).toBe("550 5.7.1 not you");
    expect(await conversation.mail("<>", [], auth("good"))).toBeUndefined();
    conversation.reset();
    expect(await conversation.mail("<>", [], auth("good"))).toBeUndefined();
    expect(asked).toBe(2);
  });

  test("has the lines it has", async () => {
    const lines = { ...reject("one").reply, more: ["two"] };
    const conversation = await begin({ scan: () => ({ kind: "reject", reply: lines }) });
    expect(await send(conversation)).toEqual({ kind: "refused", refusal: "550-5.7.1 one\r\n550 5.7.1 two" });
  });
});

describe("effects", () => {
  test.each<[what: string, answer: Answer, expected: object]>([
    ["discard", { kind: "discard" }, { kind: "discarded", reason: "discarded" }],
    ["hold", { kind: "hold", text: "why" }, { kind: "taken", quarantine: "why" }],
    ["quarantine", { kind: "quarantine" }, { kind: "taken", quarantine: "by the policy" }],
    [
      "redirect",
      { kind: "redirect", address: "x@y.test" },
      { changes: { removed: [{ address: "a@b.test" }], added: [{ address: "x@y.test" }] } },
    ],
    [
      "bcc",
      { kind: "bcc", address: "x@y.test" },
      { changes: { removed: [], added: [{ address: "x@y.test", notify: ["never"] }] } },
    ],
    [
      "prepend",
      { kind: "prepend", name: "X-New", value: "1" },
      {
        changes: { headers: [{ kind: "insert", index: 0, name: "X-New", value: Buffer.from(" 1") }], body: undefined },
      },
    ],
    [
      "filter",
      { kind: "filter", destination: "smtp:[192.0.2.1]" },
      { kind: "refused", refusal: "451 4.3.5 Server configuration problem" },
    ],
  ])("%s, at whatever stage it was said", async (_, answer, expected) => {
    for (const stage of ["mail", "rcpt", "data", "message"]) {
      const conversation = await begin({ words: { one: answer }, config: { policy: { [stage]: ["one"] } } });
      expect(await send(conversation), stage).toMatchObject(expected);
    }
  });

  test.each([
    ["reject-all", { kind: "refused", refusal: "550 5.7.1 not for him" }],
    ["discard", { kind: "taken", quarantine: undefined, changes: { removed: [{ address: "two@b.test" }] } }],
    ["quarantine", { kind: "taken", quarantine: "refused for some of its recipients", changes: { removed: [] } }],
  ])("refused for one of two recipients: %s", async (mixed, expected) => {
    const conversation = await begin({
      scan: () => ({ kind: "perRecipient", answers: [undefined, reject("not for him")] }),
      config: { policy: { mixed } },
    });
    expect(await send(conversation, ["one@b.test", "two@b.test"])).toMatchObject(expected);
  });
});

test("a login in clear is forgotten when TLS begins", async () => {
  const seen: unknown[] = [];
  const conversation = await begin({
    setup: ({ hooks }) => hooks.smtp.mail.tap((_, __, { auth }) => void seen.push(auth?.identity)),
  });
  const auth = { identity: "anna", mechanism: "PLAIN" };
  const tls = { protocol: "TLSv1.3", cipher: "AES", bits: 256, servername: undefined };
  await conversation.mail("<>", [], { auth });
  conversation.reset();
  await conversation.helo("a.test", { tls });
  await conversation.mail("<>", []);
  await conversation.mail("<>", [], { auth, tls });
  await conversation.mail("<>", []);
  expect(seen).toEqual(["anna", undefined, "anna", "anna"]);
});

test("a recipient written in several ways goes in all of them", async () => {
  const conversation = await begin({ scan: () => ({ kind: "redirect", address: "x@y.test" }) });
  const ways = ["a@b.test", "a@B.Test", '"a"@b.test', "@relay.test:a@b.test"];
  for (let message = 0; message < 2; message += 1) {
    expect(await send(conversation, ways)).toMatchObject({
      changes: {
        removed: ways.map((original) => ({ address: "a@b.test", original })),
        added: [{ address: "x@y.test" }],
      },
    });
  }
  expect(await send(conversation)).toMatchObject({ changes: { removed: [{ original: "a@b.test" }] } });
});

test("a client that leaves while its message is judged calls it off; the plugin's state goes with the session", async () => {
  const begun = Promise.withResolvers<void>();
  const off = Promise.withResolvers<void>();
  const conversation = await begin({
    setup: (gateway) =>
      gateway.scanner({
        name: "waiting",
        description: "",
        onError: "defer",
        scan({ signal }) {
          begun.resolve();
          signal.addEventListener("abort", () => off.resolve());
          return new Promise<undefined>(() => undefined);
        },
      }),
  });
  const disposal = send(conversation);
  await begun.promise;
  conversation.close();
  await off.promise;
  expect(await disposal).toMatchObject({ kind: "refused", refusal: expect.stringMatching(/^451 /) as unknown });
});

test("what the disposal holds can be read until the next question", async () => {
  const conversation = await begin({
    setup: ({ hooks }) =>
      hooks.smtp.modify.tap(() => [{ kind: "spliceBody", start: 0, end: 0, octets: Buffer.from("new\r\n") }]),
  });
  const disposal = await send(conversation);
  const pieces: Buffer[] = [];
  if (disposal.kind === "taken") for await (const piece of disposal.changes.body?.read() ?? []) pieces.push(piece);
  expect(Buffer.concat(pieces).toString()).toBe("new\r\nbody\r\n");
  conversation.reset();
  expect(await conversation.mail("<>", [])).toBeUndefined();
});

test("a plugin that hands messages over is refused: they are not ours", async () => {
  const handover = { name: "away", description: "", take: () => undefined };
  await expect(begin({ setup: (gateway) => gateway.handover(handover) })).rejects.toThrow(
    "plugin test: it hands messages over, and those of whoever asks are not ours to give away",
  );
});
