// Whose mail it is, whom an alias stands for and where it goes: the same as in the real Postfix, for any tables. One Postfix and one
// gateway with the same random tables; each address is written to both, and what became of it is compared.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import access from "@postern/plugin-access";
import rewrite from "@postern/plugin-rewrite";
import { definePlugin, delivered, type Config } from "@postern/core";
import { createTestGateway, smtp, type TestGateway } from "@postern/testkit";
import { afterAll, expect, it } from "vitest";
import { z } from "zod";
import { hand } from "../e2e/dialogue.ts";
import { until } from "../e2e/until.ts";
import { randomFrom, sample, seed } from "../sampling.ts";
import { describeWith } from "../services/describe-with.ts";
import { temporaryFolder } from "../services/folder.ts";
import { startPostfix, type PostfixPeer } from "../services/postfix.ts";

const domains = [
  "local.test",
  "alias.test",
  "box.test",
  "relay.test",
  "sub.relay.test",
  "sub.box.test",
  "other.test",
  "a.other.test",
];
const users = ["joe", "ann", "root", "joe+x", "ann+x", "owner-joe", '"a b"', '"a b+x"'];
const addresses = domains.flatMap((domain) => users.map((user) => `${user}@${domain}`));

type Table = readonly (readonly [key: string, value: string])[];
interface World {
  readonly aliases: Table;
  readonly routes: Table;
  readonly boxes: Table;
  readonly relayRecipients: Table;
  readonly localRecipients: Table;
}

function randomWorld(random: () => number): World {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const some = <T>(most: number, make: () => T): T[] => Array.from({ length: 1 + Math.floor(random() * most) }, make);
  const address = () => `${pick(users)}@${pick(domains)}`;
  const unquoted = users.filter((user) => !user.startsWith('"'));
  const aliasKey = () => pick([address, address, () => `@${pick(domains)}`, () => pick(unquoted)])();
  const aliasValue = () =>
    random() < 0.15
      ? `@${pick(domains)}`
      : some(3, () => (random() < 0.2 ? pick(unquoted) : address())).join(pick([", ", ",", " , "]));
  const routeKey = () => pick([address, () => pick(domains), () => `.${pick(domains)}`])();
  const routeValue = () => {
    const hop = pick(["", "hop.test", "[host.test]", "[host.test]:26"]);
    return `${pick(["", "one", "two", "one"])}:${hop}`;
  };
  const listed = (domain: string): Table =>
    some(4, () => [pick([...users, ""]), "x"] as const).map(([user]) => [`${user}@${domain}`, "x"]);
  const once = (table: Table): Table => [...new Map(table.toReversed()).entries()];
  return {
    aliases: once(some(25, () => [aliasKey(), aliasValue()] as const)),
    routes: once([
      ...some(12, () => [routeKey(), routeValue()] as const),
      ...(random() < 0.5 ? [["*", routeValue()] as const] : []),
      [pick(domains), "error:5.7.1 closed"],
    ]),
    boxes: once(listed("box.test")),
    relayRecipients: once([...listed("relay.test"), ...listed("sub.relay.test")]),
    localRecipients: once([...listed("local.test"), ...some(3, () => [pick(unquoted), "x"] as const)]),
  };
}

/** What became of one RCPT: the reply's code, and for each recipient in the end transport and next-hop. */
interface Fate {
  readonly reply: string;
  readonly routes: readonly string[];
}

/** `550 5.1.1`, `554 5.7.1`, `250`; all that is for now is one. */
const codeOf = (reply: string): string =>
  reply.startsWith("4") ? "4" : reply.startsWith("2") ? "250" : reply.slice(0, 9);

const textOf = (table: Table): string => table.map(([key, value]) => `${key} ${value}\n`).join("");

async function startReal(world: World, folder: string, name: string): Promise<PostfixPeer> {
  const file = (table: keyof World): string => {
    const path = join(folder, `${name}-${table}`);
    writeFileSync(path, textOf(world[table]), { mode: 0o644 });
    return `texthash:${path}`;
  };
  const discard = (transport: string): string =>
    `${transport} unix - - n - - discard\n  -o syslog_name=postfix/${transport}`;
  return startPostfix({
    folder,
    name,
    master: ["one", "two", "mbox", "out"].map(discard),
    main: {
      myorigin: "local.test",
      mynetworks: "192.0.2.1",
      mydestination: "local.test",
      local_recipient_maps: file("localRecipients"),
      virtual_alias_domains: "alias.test",
      virtual_alias_maps: file("aliases"),
      virtual_mailbox_domains: "box.test",
      virtual_mailbox_maps: file("boxes"),
      relay_domains: "relay.test",
      relay_recipient_maps: file("relayRecipients"),
      transport_maps: file("routes"),
      local_transport: "mbox",
      virtual_transport: "mbox",
      relay_transport: "out",
      default_transport: "out",
      recipient_delimiter: "+",
      append_dot_mydomain: "no",
      smtpd_relay_restrictions: "reject_unauth_destination",
    },
  });
}

async function askReal(postfix: PostfixPeer): Promise<Map<string, Fate>> {
  const replies = new Map<string, { readonly reply: string; readonly id: string | undefined }>();
  for (const address of addresses) {
    const reply = await hand(postfix.port, { from: "", to: address });
    replies.set(address, { reply: codeOf(reply), id: /queued as (\w+)/.exec(reply)?.[1] });
  }
  const ids = [...replies.values()].flatMap(({ id }) => id ?? []);
  await until(() => {
    const log = postfix.mailLog();
    return ids.every((id) => log.includes(`: ${id}: removed`));
  });
  const log = postfix.mailLog();
  return new Map(
    [...replies].map(([address, { reply, id }]) => {
      const lines = id === undefined ? [] : log.split("\n").filter((line) => line.includes(`: ${id}: to=<`));
      return [address, { reply, routes: lines.map(routeOf).toSorted() }];
    }),
  );
}

/** `postfix/one/discard[1]: ID: to=<a@b>, …, status=sent (hop)` and `postfix/error[1]: …, status=bounced (text)`. */
function routeOf(line: string): string {
  const [, service = ""] = /postfix\/(\w+)/.exec(line) ?? [];
  const [, to = ""] = /: to=<(.*?)>, /.exec(line) ?? [];
  const [, text = ""] = /status=\w+ \((.*)\)$/.exec(line) ?? [];
  return routeText(to, service, text);
}

/** The class's own transport for mailboxes has a next-hop of no meaning. */
function routeText(address: string, transport: string, nextHop: string): string {
  return `${address} ${transport} ${transport === "mbox" ? "" : nextHop}`;
}

const ownNames: Readonly<Record<string, string>> = { maildir: "mbox", smtp: "out" };

async function askOwn(world: World): Promise<Map<string, Fate>> {
  const routes: string[] = [];
  const recording = definePlugin({
    name: "recording",
    apiVersion: 1,
    options: z.strictObject({}),
    setup(gateway) {
      for (const name of ["one", "two", "smtp", "maildir"]) {
        gateway.transport({
          name,
          description: "Notes where mail goes.",
          async deliver({ recipients, route }, { settle }) {
            for (const recipient of recipients) {
              routes.push(routeText(recipient.address, ownNames[name] ?? name, route.nextHop));
              settle(recipient, delivered("noted"));
            }
            return { destination: "alive" };
          },
          close: async () => undefined,
        });
      }
    },
  });
  const table = (name: keyof World): Record<string, string> => Object.fromEntries(world[name]);
  const config: Partial<Config> = {
    networks: [],
    domains: {
      local: { domains: ["local.test"], recipients: table("localRecipients") },
      virtualAlias: ["alias.test"],
      virtualMailbox: { domains: ["box.test"], recipients: table("boxes") },
      relay: { domains: ["relay.test"], recipients: table("relayRecipients") },
    },
    routes: table("routes"),
    recipientDelimiter: "+",
  };
  await using gateway = await createTestGateway(config, {
    memoryTransports: false,
    plugins: [access, [rewrite, { virtual: table("aliases") }], recording],
  });
  const fates = new Map<string, Fate>();
  for (const address of addresses) {
    routes.length = 0;
    const bouncedBefore = gateway.events.length;
    const reply = await handOwn(gateway, address);
    if (reply.startsWith("250")) await until(() => gateway.runtime.status().queue.messages === 0);
    for (const event of gateway.events.slice(bouncedBefore)) {
      if (event.kind !== "bounced") continue;
      routes.push(routeText(event.recipient.address, "error", event.outcome.text));
    }
    fates.set(address, { reply: codeOf(reply), routes: routes.toSorted() });
  }
  return fates;
}

async function handOwn(gateway: TestGateway, address: string): Promise<string> {
  const client = smtp(gateway);
  await client.say("MAIL FROM:<>");
  const reply = await client.say(`RCPT TO:<${address}>`);
  const final = reply.startsWith("250") ? await client.data("Subject: x\n\nx\n") : reply;
  client.hangUp();
  return final;
}

const random = randomFrom(seed);
const worlds = Array.from({ length: sample(4, 40) }, (_, index) => ({ index, world: randomWorld(random) }));

describeWith(["postfix", "root"], `the same as Postfix (seed ${seed})`, () => {
  const folder = temporaryFolder();
  afterAll(() => folder[Symbol.dispose]());

  it.each(worlds)("world $index", async ({ index, world }) => {
    const postfix = await startReal(world, folder.path, `world-${index}`);
    try {
      const [real, own] = [await askReal(postfix), await askOwn(world)];
      const differences = addresses.flatMap((address) => {
        const [theirs, ours] = [JSON.stringify(real.get(address)), JSON.stringify(own.get(address))];
        return theirs === ours ? [] : [`${address}: Postfix ${theirs}, here ${ours}`];
      });
      expect(differences, JSON.stringify(world)).toEqual([]);
      // So that two who do nothing are not the same.
      expect([...real.values()].filter(({ routes }) => routes.length > 0).length).toBeGreaterThan(3);
    } finally {
      await postfix.stop();
    }
  });
});
