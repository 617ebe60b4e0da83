// Through a whole gateway: who is told of what address. Sender, recipients and header of what comes out behind.
import { definePlugin, TableUnavailable, type Config, type RewriteStep } from "@postern/core";
import { createTestGateway, smtp, type Delivery, type TestGateway } from "@postern/testkit";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import rewrite from "./index.ts";
import { createRewriting } from "./rewriter.ts";

const base: Partial<Config> = {
  origin: "local.test",
  networks: ["192.0.2.1"],
  domains: { local: ["local.test"], relay: ["relay.test"], virtualAlias: ["alias.test"] },
  recipientDelimiter: "+",
};
const stranger = { remoteAddress: "203.0.113.1" };

/** A table that answers later, or not at all. */
const late = definePlugin({
  name: "late",
  apiVersion: 1,
  options: z.strictObject({}),
  setup(gateway) {
    gateway.tables.register("late", (name) => ({
      type: "late",
      name,
      kind: "indexed",
      trusted: true,
      lookup: async (key) => {
        if (name === "down" && key === "down@local.test")
          throw new TableUnavailable("late:down", "secret.example is down");
        return name === "down" ? undefined : (JSON.parse(name) as Record<string, string>)[key.toLowerCase()];
      },
      close: async () => undefined,
    }));
  },
});

const start = (options: object, config: Partial<Config> = {}): Promise<TestGateway> =>
  createTestGateway({ ...base, ...config }, { plugins: [late, [rewrite, options as Record<string, unknown>]] });

interface Given {
  readonly from?: string;
  readonly to?: readonly string[];
  readonly header?: string;
  readonly client?: { readonly remoteAddress: string };
}

async function send(
  gateway: TestGateway,
  { from = "s@relay.test", to = ["r@local.test"], header = "", client }: Given,
) {
  const session = smtp(gateway, client);
  await session.say(`MAIL FROM:<${from}>`);
  const replies: string[] = [];
  for (const recipient of to) replies.push(await session.say(`RCPT TO:<${recipient}>`));
  if (replies.some((reply) => reply.startsWith("250"))) replies.push(await session.data(`${header}Subject: x\n\nx\n`));
  session.hangUp();
  return replies;
}

/** The lines of the header that were given. */
const headerOf = ({ content }: Delivery): string => {
  const head = content.toString("latin1").split("\r\n\r\n")[0] ?? "";
  return head
    .split("\r\n")
    .filter((line) => /^(?:From|To|Cc|Sender|Reply-To|X-\w+):/i.test(line))
    .join(" | ");
};

const everywhere = {
  from: "joe@local.test",
  to: ["joe@local.test"],
  header: "From: Joe <joe@local.test>\nTo: joe@local.test\n",
};
/** sender / recipients / header */
test.for<[what: string, options: object, given: Given, expected: string]>([
  [
    "canonical",
    { canonical: { "joe@local.test": "j.doe@local.test" } },
    everywhere,
    "j.doe@local.test / j.doe@local.test / From: Joe <j.doe@local.test> | To: j.doe@local.test",
  ],
  [
    "canonical later",
    { canonical: 'late:{"joe@local.test":"j.doe@local.test"}' },
    everywhere,
    "j.doe@local.test / j.doe@local.test / From: Joe <j.doe@local.test> | To: j.doe@local.test",
  ],
  [
    "canonical somewhere",
    { canonical: { "joe@local.test": "x@local.test" }, canonicalClasses: ["header_sender", "envelope_recipient"] },
    everywhere,
    "joe@local.test / x@local.test / From: Joe <x@local.test> | To: joe@local.test",
  ],
  [
    "sender before both",
    {
      senderCanonical: { "joe@local.test": "one@local.test" },
      canonical: { "one@local.test": "two@local.test", "joe@local.test": "three@local.test" },
    },
    everywhere,
    "two@local.test / three@local.test / From: Joe <two@local.test> | To: three@local.test",
  ],
  [
    "recipient",
    { recipientCanonical: { "joe@local.test": "one@local.test" } },
    everywhere,
    "joe@local.test / one@local.test / From: Joe <joe@local.test> | To: one@local.test",
  ],
  [
    "until it stays",
    { canonical: { joe: "a", a: "b", "b@local.test": "b@local.test" } },
    everywhere,
    "b@local.test / b@local.test / From: Joe <b@local.test> | To: b@local.test",
  ],
  [
    "an extension",
    { canonical: { joe: "j.doe" } },
    { from: "joe+x@local.test", header: "From: joe+x\n" },
    "j.doe+x@local.test / r@local.test / From: j.doe+x@local.test",
  ],
  [
    "an extension dropped",
    { canonical: { joe: "j.doe" }, propagateExtensions: [] },
    { from: "joe+x@local.test" },
    "j.doe@local.test / r@local.test / ",
  ],
  [
    "a domain for another",
    { canonical: { "@local.test": "@new.test" } },
    everywhere,
    "joe@new.test / joe@new.test / From: Joe <joe@new.test> | To: joe@new.test",
  ],
  [
    "masquerade",
    { masquerade: ["local.test"] },
    {
      from: "joe@host.local.test",
      to: ["joe@local.test", "ann@h.relay.test"],
      header: "From: joe@HOST.local.test\nTo: ann@h.local.test\n",
    },
    "joe@local.test / ann@h.relay.test joe@local.test / From: joe@local.test | To: ann@local.test",
  ],
  [
    "an exception of a host",
    { masquerade: ["!keep.relay.test", "relay.test"], masqueradeClasses: ["envelope_recipient"] },
    { to: ["a@x.keep.relay.test", "b@y.relay.test"] },
    "s@relay.test / a@x.keep.relay.test b@relay.test / ",
  ],
  [
    "an exception of a user",
    { masquerade: ["local.test"], masqueradeExceptions: ["root"] },
    { from: "root@h.local.test", header: "From: ROOT@h.local.test, joe@h.local.test\n" },
    "root@h.local.test / r@local.test / From: ROOT@h.local.test, joe@local.test",
  ],
  [
    "header without a domain",
    {},
    { header: "From: joe\nTo: ann, Bob <bob>\n" },
    "s@relay.test / r@local.test / From: joe@local.test | To: ann@local.test, Bob <bob@local.test>",
  ],
  [
    "header without a domain, kept",
    { appendOrigin: false },
    { header: "From: joe\n" },
    "s@relay.test / r@local.test / From: joe",
  ],
  [
    "a host alone",
    { appendDomain: "local.test" },
    { from: "joe@host", header: "From: joe@host\nTo: a@[192.0.2.1]\n" },
    "joe@host.local.test / r@local.test / From: joe@host.local.test | To: a@[192.0.2.1]",
  ],
  [
    "bangs and percents",
    { swapBangpath: true, percentHack: true },
    { header: "From: site.test!joe\nTo: ann%site.test\n" },
    "s@relay.test / r@local.test / From: joe@site.test | To: ann@site.test",
  ],
  [
    "bangs and percents, off",
    {},
    { header: "From: site.test!joe\nTo: ann%site.test\n" },
    "s@relay.test / r@local.test / From: site.test!joe@local.test | To: ann%site.test@local.test",
  ],
  [
    "a stranger's header",
    { canonical: { "joe@local.test": "x@local.test" } },
    { ...everywhere, header: "From: joe@local.test\nTo: joe\n", client: stranger },
    "x@local.test / x@local.test / From: joe@local.test | To: joe",
  ],
  [
    "a stranger's header, on demand",
    { remoteHeaderDomain: "remote.invalid", appendDomain: "local.test" },
    { header: "From: joe\nTo: joe@host\n", client: stranger },
    "s@relay.test / r@local.test / From: joe@remote.invalid | To: joe@host.remote.invalid",
  ],
  [
    "everybody's header",
    { headerClients: "all" },
    { header: "From: joe\n", client: stranger },
    "s@relay.test / r@local.test / From: joe@local.test",
  ],
  [
    "nobody's header",
    { headerClients: "none", canonical: { "joe@local.test": "x@local.test" } },
    everywhere,
    "x@local.test / x@local.test / From: Joe <joe@local.test> | To: joe@local.test",
  ],
  ["a copy of all", { alwaysBcc: "all@relay.test" }, {}, "s@relay.test / all@relay.test r@local.test / "],
  [
    "copies of some",
    {
      senderBcc: { "@relay.test": "one@relay.test" },
      recipientBcc: { "r@local.test": "two@relay.test", "two@relay.test": "three@relay.test" },
    },
    {},
    "s@relay.test / one@relay.test r@local.test two@relay.test / ",
  ],
  [
    "copies are recipients",
    {
      alwaysBcc: "all@relay.test",
      recipientCanonical: { "all@relay.test": "list@alias.test" },
      virtual: { "list@alias.test": "a@relay.test, b@relay.test" },
    },
    {},
    "s@relay.test / a@relay.test b@relay.test r@local.test / ",
  ],
  [
    "copies before aliases",
    {
      recipientBcc: { "list@alias.test": "copy@relay.test", "a@relay.test": "no@relay.test" },
      virtual: { "list@alias.test": "a@relay.test" },
    },
    { to: ["list@alias.test"] },
    "s@relay.test / a@relay.test copy@relay.test / ",
  ],
  [
    "the gateway's own sender",
    { senderBcc: { "@local.test": "no@relay.test" } },
    { from: "MAILER-DAEMON@local.test" },
    " / r@local.test / ",
  ],
  [
    "generic",
    { generic: { "@relay.test": "@world.test", "r@relay.test": "world@out.test" } },
    {
      to: ["r@relay.test", "q@sub.relay.test"],
      header: "From: s@relay.test\nTo: R <r@relay.test>, q@sub.relay.test\n",
    },
    "s@world.test / q@sub.relay.test world@out.test / From: s@world.test | To: R <world@out.test>, q@sub.relay.test",
  ],
  [
    "generic, for strangers too, once",
    { generic: { "s@relay.test": "t@relay.test", "t@relay.test": "u@relay.test" } },
    { to: ["r@relay.test"], header: "From: s@relay.test\n", client: stranger },
    "t@relay.test / r@relay.test / From: t@relay.test",
  ],
  [
    "generic only by SMTP",
    { generic: { "@relay.test": "@world.test" } },
    { header: "From: s@relay.test\n" },
    "s@relay.test / r@local.test / From: s@relay.test",
  ],
])("%s", async ([, options, given, expected]) => {
  await using gateway = await start(options);
  const replies = await send(gateway, given);
  expect(replies.at(-1)).toMatch(/^250 2\.0\.0/);
  await expect.poll(() => gateway.runtime.status().queue.messages).toBe(0);
  const { deliveries } = gateway;
  const recipients = deliveries
    .flatMap((delivery) => delivery.recipients)
    .toSorted()
    .join(" ");
  expect([deliveries[0]?.sender, recipients, deliveries[0] && headerOf(deliveries[0])].join(" / ")).toBe(expected);
});

describe("who has moved", () => {
  const options = {
    relocated: {
      "gone@local.test": "new@else.test (ask her)",
      "@relay.test": "nowhere",
      "old@alias.test": "elsewhere",
    },
    virtual: { "gone@relay.test": "r@local.test", "to-gone@alias.test": "gone@local.test" },
  };
  test.for<[recipient: string, reply: RegExp]>([
    [
      "gone@local.test",
      /^550 5\.1\.6 <gone@local\.test>: Recipient address rejected: User has moved to new@else\.test \(ask her\)$/,
    ],
    ["gone+x@local.test", /^550 5\.1\.6 /],
    ["any@relay.test", /^550 5\.1\.6 .*User has moved to nowhere/],
    ["old@alias.test", /^550 5\.1\.6 /],
    ["who@alias.test", /^550 5\.1\.1 /],
    ["gone@relay.test", /^250 /],
    ["r@local.test", /^250 /],
  ])("%s", async ([recipient, reply]) => {
    await using gateway = await start(options);
    const [said] = await send(gateway, { to: [recipient], client: stranger });
    expect(said).toMatch(reply);
  });

  test("an alias of one who has moved bounces", async () => {
    await using gateway = await start(options, { relayhost: "[198.51.100.1]" });
    await send(gateway, { to: ["to-gone@alias.test"], from: "s@far.test" });
    const [report] = await gateway.delivered(1);
    expect(report?.recipients).toEqual(["s@far.test"]);
    expect(report?.content.toString()).toMatch(/Status: 5\.1\.6\r\n/);
    expect(report?.content.toString()).toContain("User has moved to new@else.test");
  });
});

test("a report of the gateway is rewritten as a client's mail, and nobody gets a copy of it", async () => {
  await using gateway = await createTestGateway(base, {
    plugins: [
      [
        rewrite,
        {
          canonical: { "s@far.test": "t@far.test", "mailer-daemon@mx.example.test": "robot@local.test" },
          canonicalClasses: ["envelope_recipient", "header_sender", "header_recipient"],
          alwaysBcc: "all@relay.test",
          recipientBcc: { "@far.test": "all@relay.test" },
        },
      ],
    ],
    deliver: ({ address }) => ({
      status: address === "r@local.test" ? "bounced" : "delivered",
      enhanced: address === "r@local.test" ? "5.1.1" : "2.0.0",
      text: "x",
    }),
  });
  await send(gateway, { from: "s@far.test" });
  await expect.poll(() => gateway.runtime.status().queue.messages).toBe(0);
  const reports = gateway.deliveries.filter(({ sender }) => sender === "");
  const [report] = reports;
  expect(reports.flatMap(({ recipients }) => recipients)).toEqual(["t@far.test"]);
  expect(report && headerOf(report)).toBe("From: Mail Delivery System <robot@local.test> | To: <t@far.test>");
});

test("nobody hears of a copy that cannot be delivered", async () => {
  const gone = { status: "bounced", enhanced: "5.1.1", text: "x" } as const;
  const taken = { status: "delivered", enhanced: "2.0.0", text: "x" } as const;
  await using gateway = await createTestGateway(base, {
    plugins: [[rewrite, { alwaysBcc: "copy@relay.test", virtual: { "copy@relay.test": "gone@relay.test" } }]],
    deliver: ({ address }) => (address === "gone@relay.test" ? gone : taken),
  });
  await send(gateway, { from: "s@far.test" });
  await expect.poll(() => gateway.runtime.status().queue.messages).toBe(0);
  expect(gateway.events.map(({ kind }) => kind)).toContain("bounced");
  expect(gateway.deliveries.map(({ sender }) => sender)).toEqual(["s@far.test"]);
});

describe("a table that is down", () => {
  const down = "late:down";
  test.for<[what: string, options: object, given: Given]>([
    ["canonical, of a sender", { canonical: down, canonicalClasses: ["envelope_sender"] }, { from: "down@local.test" }],
    [
      "canonical, of a header",
      { canonical: down, canonicalClasses: ["header_recipient"] },
      { header: "To: down@local.test\n" },
    ],
    ["a copy", { senderBcc: down }, { from: "down@local.test" }],
    ["no address", { senderCanonical: 'late:{"a@local.test":"b c"}' }, { from: "a@local.test" }],
  ])("%s", async ([, options, given]) => {
    await using gateway = await start(options);
    const replies = await send(gateway, given);
    expect(replies.at(-1)).toMatch(/^451 4\.3\.0 /);
    expect(replies.join()).not.toMatch(/secret|late:|nested/);
    expect(gateway.runtime.status().queue.messages).toBe(0);
  });

  test("at RCPT, when who exists hangs on it", async () => {
    await using gateway = await start({ relocated: down });
    expect(await send(gateway, { to: ["down@local.test"] })).toEqual([expect.stringMatching(/^451 4\.3\.0 /)]);
  });

  test("on the way out the mail waits", async () => {
    await using gateway = await start({ generic: down });
    await send(gateway, { from: "down@local.test", to: ["r@relay.test"] });
    await expect.poll(() => gateway.events.map(({ kind }) => kind)).toContain("troubled");
    expect(gateway.deliveries).toEqual([]);
    expect(gateway.runtime.status().queue.messages).toBe(1);
  });
});

test("an address that never settles goes on after ten times, and the operator is told once", async () => {
  for (const canonical of [{ a: "b", b: "a" }, 'late:{"a":"b","b":"a"}']) {
    await using gateway = await start({ canonical });
    await send(gateway, { from: "a@local.test" });
    await send(gateway, { from: "a@local.test" });
    await expect.poll(() => gateway.deliveries.map(({ sender }) => sender)).toEqual(["a@local.test", "a@local.test"]);
    const told = gateway.log.filter((line) => line.includes("becomes another address again and again"));
    expect(told).toEqual(["warn plugin rewrite: canonical: a@local.test becomes another address again and again"]);
  }
});

describe("mistakes in tables", () => {
  test.for<[options: object, message: RegExp]>([
    [{ canonical: { a: "b c" } }, /key "a": "b c" is no address/],
    [{ generic: { a: "," } }, /key "a": it names no address/],
    [{ senderBcc: { a: "b@c.test, d@e.test" } }, /key "a": it names 2 addresses, and one is wanted/],
    [{ recipientBcc: { a: "" } }, /./],
  ])("%j", async ([options, message]) => {
    await expect(start(options)).rejects.toThrow(message);
  });
});

test("each step can be told, with the table and the key that it found", async () => {
  const steps: RewriteStep[] = [];
  const table = {
    type: "t",
    name: "x",
    kind: "indexed",
    trusted: true,
    locate: () => ({ file: "/x", line: 3, key: "k", value: "v" }),
  } as const;
  const tables: Record<string, Record<string, string>> = {
    c: { joe: "j.doe" },
    v: { "list@alias.test": "a@local.test, b@local.test" },
  };
  const { rewriter } = createRewriting(
    rewrite.options.parse({ canonical: ["c:"], virtual: ["v:"], masquerade: ["host.test"], alwaysBcc: "all@x.test" }),
    {
      recipientDelimiter: "+",
      warn: () => undefined,
      addresses: { origin: "local.test", classOf: () => "default", inNetworks: () => false } as never,
      use: (spec) => ({ ...table, lookup: (key: string) => tables[JSON.stringify(spec).slice(1, 2)]?.[key] }),
    },
  );
  const recipient = (address: string) => ({ address, original: address });
  const session = { client: { inNetworks: true } } as never;
  await rewriter.rewrite(
    { sender: "joe+x@local.test", recipients: [recipient("list@alias.test")], body: "7bit", smtputf8: false },
    { session, trace: (step) => void steps.push(step) },
  );
  await rewriter.forHeader?.({ session, trace: (step) => void steps.push(step) })?.("ann@a.host.test", "header_sender");
  expect(
    steps.map(({ name, place, before, after, table: of = "", key = "", line = 0 }) => [
      name,
      place,
      before,
      after.join(),
      of,
      key,
      line,
    ]),
  ).toEqual([
    ["canonical", "envelope_sender", "joe+x@local.test", "j.doe+x@local.test", "t:x", "joe", 3],
    ["always bcc", "envelope_recipient", "", "all@x.test", "", "", 0],
    ["virtual", "envelope_recipient", "list@alias.test", "a@local.test,b@local.test", "t:x", "list@alias.test", 3],
    ["masquerade", "header_sender", "ann@a.host.test", "ann@host.test", "", "", 0],
  ]);
});
