// What is explained is what happens: the replies of a started gateway to a client by XCLIENT, and those that explaining it told.
import { join } from "node:path";
import { createExplainer, loadConfig, type Explained, type Explainer, type Question } from "@postern/core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dial } from "../e2e/dialogue.ts";
import { startGateway, type GatewayProcess } from "../e2e/gateway.ts";
import { freePort } from "../services/ports.ts";
import { randomFrom, sample, seed } from "../sampling.ts";
import { plain, searchFrom } from "./world.ts";

const files = {
  clients:
    "198.18.1.0/24 OK\n198.18.2.0/24 REJECT you are known\n198.18.3.0/24 DEFER_IF_PERMIT later\n198.18.4.0/24 strangers\n",
  senders: "spam.test REJECT\nnews@ 450 4.7.1 come later\nfriend@good.test OK\nheader.test PREPEND X-From: header\n",
  recipients: "closed@ 550 5.7.1 <closed>\nwarned@ WARN odd\nmaybe@ DEFER_IF_REJECT\n",
  aliases: "list@example.test user@example.test, other@example.test\nalias@alias.test user@example.test\n",
  transport: "gone.test error:5.1.2 nobody is there\nexample.test smtp:[127.0.0.1]:9\n",
};

const policy = {
  classes: { strangers: ["reject_non_fqdn_sender", "reject_unlisted_recipient", "greylist"] },
  helo: ["permit_mynetworks", "reject_invalid_helo_hostname", ["check_helo_access", { "bad.test": "REJECT" }]],
  mail: ["check_sender_access texthash:./senders", "reject_non_fqdn_sender"],
  relay: [
    "permit_mynetworks",
    "permit_sasl_authenticated",
    "check_client_access cidr:./relays",
    "reject_unauth_destination",
  ],
  rcpt: [
    "check_recipient_access texthash:./recipients",
    "permit_mynetworks",
    "warn_if_reject reject_non_fqdn_helo_hostname",
    "check_client_access cidr:./clients",
    "reject_unlisted_recipient",
    "greylist",
  ],
  data: ["reject_multi_recipient_bounce"],
};

let gateway: GatewayProcess;
let explainer: Explainer;

beforeAll(async () => {
  const port = await freePort();
  gateway = await startGateway({
    port,
    config: {
      ...plain,
      domains: {
        relay: {
          domains: ["example.test", "gone.test"],
          recipients: { ...recipientsOf("example.test"), "user@gone.test": "x" },
        },
        virtualAlias: ["alias.test"],
      },
      networks: ["198.18.0.0/24"],
      listeners: [
        { name: "mx", host: "127.0.0.1", port, xclient: ["127.0.0.1"] },
        { name: "early", host: "127.0.0.1", port: 0, policy: { rcpt: ["reject"] } },
      ],
      routes: "texthash:./transport",
      recipientDelimiter: "+",
      plugins: [
        ...plain.plugins,
        "@postern/plugin-greylist",
        ["@postern/plugin-rewrite", { virtual: "texthash:./aliases" }],
      ],
      policy,
      limits: { errors: 1000, junkCommands: 1000 },
    },
    files: { ...files, relays: "198.18.1.7 OK\n" },
  });
  const { config } = await loadConfig(join(gateway.folder, "postern.config.json"));
  explainer = await createExplainer(config, { searchFrom });
});

afterAll(async () => {
  await explainer.close();
  await gateway[Symbol.asyncDispose]();
});

function recipientsOf(domain: string): Record<string, string> {
  const names = ["user", "other", "closed", "warned", "maybe", "postmaster"];
  return Object.fromEntries(names.map((name) => [`${name}@${domain}`, "x"]));
}

function questions(count: number): Question[] {
  const random = randomFrom(seed);
  const one = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;
  const locals = [
    "user",
    "other",
    "closed",
    "warned",
    "maybe",
    "nobody",
    "user+ext",
    "list",
    "postmaster",
    '"a b"',
    "user%x.test",
  ];
  const domains = ["example.test", "sub.example.test", "gone.test", "alias.test", "elsewhere.test", "[192.0.2.9]"];
  const recipient = (): string =>
    one([
      `${one(locals)}@${one(domains)}`,
      `user@example.test`,
      "alias@alias.test",
      "postmaster",
      "not an address",
      "<@a.test:user@example.test>",
    ]);
  return Array.from({ length: count }, () => ({
    client: one([
      "198.18.0.5",
      "198.18.1.7",
      "198.18.1.8",
      "198.18.2.1",
      "198.18.3.1",
      "198.18.4.1",
      "192.0.2.1",
      "2001:db8::1",
    ]),
    clientName: one(["unknown", "client.test", "mail.good.test"]),
    helo: one(["client.test", "bad.test", "bare", "[198.18.0.5]", "a..b", "mail_x.test"]),
    from: one([
      "",
      "a@b.test",
      "x@spam.test",
      "news@any.test",
      "friend@good.test",
      "bare",
      "q@header.test",
      `r${Math.floor(random() * 1e6)}@many.test`,
      "bad address",
    ]),
    to: Array.from({ length: 1 + Math.floor(random() * 3) }, recipient),
    auth: random() < 0.15 ? "someone" : undefined,
    message: random() < 0.3 ? "From: a@b.test\nSubject: hello\n\n.a dot\ntext\n" : undefined,
  }));
}

/** Replies of MAIL, each RCPT, DATA and the message, as far as a client gets. */
async function converse({ client, clientName, helo, from, to, auth, message }: Question): Promise<readonly string[]> {
  using smtp = await dial(gateway.port);
  const name = clientName === "unknown" ? "[UNAVAILABLE]" : clientName;
  const address = client.includes(":") ? `IPV6:${client}` : client;
  await smtp.say("EHLO proxy.test");
  const greeting = await smtp.say(
    `XCLIENT NAME=${name ?? ""} ADDR=${address}${auth === undefined ? "" : ` LOGIN=${auth}`}`,
  );
  const replies = [greeting];
  const ask = async (line: string): Promise<boolean> => {
    const reply = await smtp.say(line);
    replies.push(reply);
    return /^[23]/.test(reply);
  };
  if (!(await ask(`EHLO ${helo}`)) || !(await ask(`MAIL FROM:${path(from)}`))) return replies;
  let taken = 0;
  for (const recipient of to) if (await ask(`RCPT TO:${path(recipient)}`)) taken += 1;
  if (taken === 0 || !(await ask("DATA")) || message === undefined) return replies;
  smtp.write(`${message.toString().trimEnd().replaceAll("\n.", "\n..").replaceAll("\n", "\r\n")}\r\n.\r\n`);
  replies.push(await smtp.reply());
  return replies;
}

const path = (address: string): string => (address.startsWith("<") ? address : `<${address}>`);
/** Without ids and without what only a trusted client is offered. */
const comparable = (reply: string): string =>
  reply
    .replace(/queued as \S+/, "queued")
    .replace("250-CHUNKING\n250 XCLIENT", "250 CHUNKING\n250 XCLIENT")
    .replace(/\n250 XCLIENT.*/, "");
const told = ({ commands }: Explained): readonly string[] =>
  commands.map(({ replies }) => comparable(replies.join("\n")));

test("every reply is as explained", { timeout: 300_000 }, async () => {
  const seen = new Map<string, number>();
  for (const question of questions(sample(300, 5000))) {
    const explained = await explainer.explain(question);
    const real = (await converse(question)).map(comparable);
    expect({ question, replies: told(explained) }, `seed ${seed}`).toEqual({ question, replies: real });
    for (const { word } of explained.recipients.flatMap(({ by }) => (by === undefined ? [] : [by]))) {
      seen.set(word, (seen.get(word) ?? 0) + 1);
    }
    seen.set(explained.verdict, (seen.get(explained.verdict) ?? 0) + 1);
  }
  // Of everything that the policy can say something was seen.
  expect([...seen.keys()]).toEqual(
    expect.arrayContaining([
      "accepted",
      "refused",
      "deferred",
      "check_helo_access",
      "check_sender_access",
      "check_client_access",
      "greylist",
      "recipients",
      "reject_unlisted_recipient",
      "reject_unauth_destination",
    ]),
  );
});

test("where a message goes is as explained: aliases, effects, routes", async () => {
  const explained = await explainer.explain({
    client: "198.18.0.5",
    clientName: "client.test",
    helo: "client.test",
    from: "q@header.test",
    to: ["list@example.test", "far@elsewhere.test"],
    message: "Subject: x\n\ntext\n",
  });
  expect(explained.verdict).toBe("accepted");
  expect(explained.rewriting).toMatchObject([
    {
      name: "virtual",
      before: "list@example.test",
      after: ["user@example.test", "other@example.test"],
      key: "list@example.test",
      line: 1,
    },
  ]);
  expect(
    explained.routes.map(({ recipient, route, why }) => [recipient, route?.transport, route?.nextHop, why]),
  ).toEqual([
    [
      "user@example.test",
      "smtp",
      "[127.0.0.1]:9",
      expect.stringMatching(/^class relay; texthash:\.\/transport key example\.test \(\S+transport:2\)$/),
    ],
    ["other@example.test", "smtp", "[127.0.0.1]:9", expect.stringMatching(/^class relay; texthash/)],
    ["far@elsewhere.test", "smtp", "[127.0.0.1]:2526", "none of our domains; relayhost"],
  ]);
  const sender = explained.commands
    .find(({ command }) => command === "RCPT")
    ?.lists.find(({ list }) => list === "mail");
  expect(sender?.words[0]).toMatchObject({
    word: "check_sender_access",
    answer: "effects",
    effects: ["prepend X-From: header"],
  });
  expect(sender?.words[0]?.tables.at(-1)).toMatchObject({
    key: "header.test",
    result: "found",
    value: "PREPEND X-From: header",
    line: 4,
  });
});

test("another listener has its own list", async () => {
  const question = {
    client: "192.0.2.1",
    clientName: "c.test",
    helo: "c.test",
    from: "a@b.test",
    to: ["user@example.test"],
  };
  const [recipient] = (await explainer.explain({ ...question, listener: "early" })).recipients;
  expect(recipient).toMatchObject({ verdict: "refused", by: { path: "listeners[1].policy.rcpt[0]", word: "reject" } });
  await expect(explainer.explain({ ...question, listener: "none" })).rejects.toThrow(
    'there is no listener "none"; there are "mx", "early"',
  );
});
