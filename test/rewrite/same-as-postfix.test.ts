// What becomes of addresses: the same as in the real Postfix, for any tables and settings. One Postfix and one gateway with the same random
// world; each mail is handed to both, and what a server behind each of them gets is compared: sender, recipients, address fields.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "@postern/core";
import access from "@postern/plugin-access";
import files from "@postern/plugin-maps-file";
import rewrite from "@postern/plugin-rewrite";
import smtpTransport from "@postern/plugin-transport-smtp";
import { createTestGateway, createSink, type Sink, type SinkTransaction } from "@postern/testkit";
import { afterAll, expect, it } from "vitest";
import { dial } from "../e2e/dialogue.ts";
import { talk, type Client } from "../e2e/client.ts";
import { until } from "../e2e/until.ts";
import { randomFrom, sample, seed } from "../sampling.ts";
import { describeWith } from "../services/describe-with.ts";
import { temporaryFolder } from "../services/folder.ts";
import { startPostfixRelay, type Postfix } from "../services/postfix.ts";
import { readFields } from "./address-fields.ts";
import { differs } from "./known-differences.ts";
import { randomMail, randomWorld, type Mail, type Table, type World } from "./world.ts";

const mailsPerWorld = 80;

/** What the client heard and what came out behind. */
interface Fate {
  /** `250`, `550 5.1.6`; all that is for now is `4`. */
  readonly replies: readonly string[];
  readonly sender: string | undefined;
  readonly recipients: readonly string[];
  readonly addresses: readonly string[];
  readonly others: readonly string[];
}

const ownClient = "192.0.2.7";
const stranger = "203.0.113.9";

const codeOf = (reply: string): string =>
  reply.startsWith("4") ? "4" : reply.startsWith("2") ? "250" : reply.slice(0, 9);

async function say(client: Client, mail: Mail): Promise<string[]> {
  const replies: string[] = [];
  const step = async (line: string): Promise<boolean> => {
    const reply = codeOf(await client.say(line));
    replies.push(reply);
    return reply === "250";
  };
  if (await step(`MAIL FROM:<${mail.sender}>`)) {
    let taken = 0;
    for (const recipient of mail.recipients) if (await step(`RCPT TO:<${recipient}>`)) taken += 1;
    if (taken > 0) replies.push(codeOf(await client.data(`${mail.fields.join("")}\r\nbody\r\n`)));
  }
  await client.say("RSET");
  return replies;
}

const addressOf = (line: string): string => (/<(.*)>/.exec(line)?.[1] ?? "").toLowerCase();

function fatesOf(mails: readonly Mail[], heard: ReadonlyMap<string, readonly string[]>, sink: Sink): Map<string, Fate> {
  const bySource = new Map<string, SinkTransaction[]>();
  for (const transaction of sink.transactions) {
    const head = transaction.content.toString("latin1").split("\r\n\r\n")[0] ?? "";
    const id = /^X-Case: (.*)$/m.exec(head)?.[1]?.trim();
    if (id !== undefined) bySource.set(id, [...(bySource.get(id) ?? []), transaction]);
  }
  return new Map(
    mails.map(({ id }) => {
      const taken = bySource.get(id) ?? [];
      const [first] = taken;
      const fields = first === undefined ? { addresses: [], others: [] } : readFields(first.content.toString("latin1"));
      const recipients = [...new Set(taken.flatMap(({ rcpt }) => rcpt.map(addressOf)))].toSorted();
      return [id, { replies: heard.get(id) ?? [], sender: first && addressOf(first.mail), recipients, ...fields }];
    }),
  );
}

async function askReal(world: World, mails: readonly Mail[], folder: string, name: string): Promise<Map<string, Fate>> {
  const sink = await createSink();
  const table = (title: string, entries: Table): string => {
    const path = join(folder, `${name}-${title}`);
    writeFileSync(path, entries.map(([key, value]) => `${key} ${value}\n`).join(""), { mode: 0o644 });
    return entries.length === 0 ? "" : `texthash:${path}`;
  };
  const yes = (is: boolean): string => (is ? "yes" : "no");
  const postfix = await startPostfixRelay({
    folder,
    name,
    relayhost: sink.nextHop,
    main: {
      myhostname: "mx.local.test",
      mydomain: "inside.test",
      myorigin: "local.test",
      mydestination: "local.test",
      local_transport: `smtp:${sink.nextHop}`,
      relay_transport: `smtp:${sink.nextHop}`,
      relay_domains: "relay.test",
      local_recipient_maps: "",
      relay_recipient_maps: "",
      mynetworks: `${ownClient}/32`,
      smtpd_relay_restrictions: "permit_mynetworks reject_unauth_destination",
      smtpd_authorized_xclient_hosts: "127.0.0.1",
      smtpd_client_connection_count_limit: "0",
      // Without it the quick ones lose their sessions.
      smtpd_error_sleep_time: "0",
      smtpd_soft_error_limit: "10000",
      smtpd_hard_error_limit: "10000",
      smtpd_peername_lookup: "no",
      smtp_tls_security_level: "none",
      in_flow_delay: "0",
      message_drop_headers: "",
      local_header_rewrite_clients: "permit_mynetworks",
      canonical_maps: `${table("canonical", world.canonical)} ${patternsOf(world, folder, name)}`,
      canonical_classes: world.canonicalClasses.join(", "),
      sender_canonical_maps: table("sender-canonical", world.senderCanonical),
      sender_canonical_classes: world.senderCanonicalClasses.join(", "),
      recipient_canonical_maps: table("recipient-canonical", world.recipientCanonical),
      recipient_canonical_classes: world.recipientCanonicalClasses.join(", "),
      masquerade_domains: world.masquerade.join(" "),
      masquerade_exceptions: world.masqueradeExceptions.join(" "),
      masquerade_classes: world.masqueradeClasses.join(", "),
      virtual_alias_maps: table("virtual", world.virtual),
      virtual_alias_domains: "",
      smtp_generic_maps: table("generic", world.generic),
      relocated_maps: table("relocated", world.relocated),
      always_bcc: world.alwaysBcc ?? "",
      sender_bcc_maps: table("sender-bcc", world.senderBcc),
      recipient_bcc_maps: table("recipient-bcc", world.recipientBcc),
      propagate_unmatched_extensions: world.propagateExtensions.join(", "),
      recipient_delimiter: world.recipientDelimiter,
      append_dot_mydomain: yes(world.appendDomain),
      swap_bangpath: yes(world.swapBangpath),
      allow_percent_hack: yes(world.percentHack),
      remote_header_rewrite_domain: world.remoteHeaderDomain ?? "",
    },
  });
  try {
    const heard = await handToReal(postfix, mails);
    return fatesOf(mails, heard, sink);
  } finally {
    await postfix.stop();
    await sink.close();
  }
}

async function handToReal(postfix: Postfix, mails: readonly Mail[]): Promise<Map<string, readonly string[]>> {
  const heard = new Map<string, readonly string[]>();
  for (const own of [true, false]) {
    using client = await dial(postfix.port);
    await client.say("EHLO client.test");
    await client.say(`XCLIENT NAME=[UNAVAILABLE] ADDR=${own ? ownClient : stranger}`);
    await client.say("EHLO client.test");
    for (const mail of mails) if (mail.own === own) heard.set(mail.id, await say(client, mail));
  }
  // A bounce goes into the queue before the mail that it is about goes out of it.
  await until(() => postfix.queueIds().length === 0);
  return heard;
}

function patternsOf({ patterns }: World, folder: string, name: string): string {
  const path = join(folder, `${name}-patterns`);
  writeFileSync(path, patterns.map(([key, value]) => `${key} ${value}\n`).join(""), { mode: 0o644 });
  return patterns.length === 0 ? "" : `regexp:${path}`;
}

async function askOwn(world: World, mails: readonly Mail[], patterns: string): Promise<Map<string, Fate>> {
  const sink = await createSink();
  const table = (entries: Table): Record<string, string>[] =>
    entries.length === 0 ? [] : [Object.fromEntries(entries)];
  const given = {
    ...world,
    canonical: [...table(world.canonical), ...(patterns === "" ? [] : [patterns])],
    patterns: undefined,
    senderCanonical: table(world.senderCanonical),
    recipientCanonical: table(world.recipientCanonical),
    virtual: table(world.virtual),
    generic: table(world.generic),
    relocated: table(world.relocated),
    senderBcc: table(world.senderBcc),
    recipientBcc: table(world.recipientBcc),
    appendDomain: world.appendDomain ? "inside.test" : undefined,
    recipientDelimiter: undefined,
  };
  const options = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const config: Partial<Config> = {
    hostname: "mx.local.test",
    origin: "local.test",
    networks: [ownClient],
    domains: { local: ["local.test"], relay: ["relay.test"] },
    transports: { local: `smtp:${sink.nextHop}` },
    relayhost: sink.nextHop,
    recipientDelimiter: world.recipientDelimiter,
  };
  await using gateway = await createTestGateway(config, {
    memoryTransports: false,
    plugins: [access, files, [rewrite, options], smtpTransport],
  });
  const heard = new Map<string, readonly string[]>();
  for (const own of [true, false]) {
    const client = talk(gateway.connect({ remoteAddress: own ? ownClient : stranger }));
    await client.reply();
    await client.say("EHLO client.test");
    for (const mail of mails) if (mail.own === own) heard.set(mail.id, await say(client, mail));
    client.hangUp();
  }
  await until(() => gateway.runtime.status().queue.messages === 0);
  await sink.close();
  return fatesOf(mails, heard, sink);
}

const random = randomFrom(seed);
const worlds = Array.from({ length: sample(4, 60) }, (_, index) => ({
  index,
  world: randomWorld(random),
  mails: Array.from({ length: mailsPerWorld }, (_unused, at) => randomMail(random, `${index}-${at}`)),
}));

describeWith(["postfix", "root"], `addresses are rewritten as by Postfix (seed ${seed})`, () => {
  const folder = temporaryFolder();
  afterAll(() => folder[Symbol.dispose]());
  let mailsCompared = 0;

  it.each(worlds)("world $index", async ({ index, world, mails }) => {
    const [real, own] = await Promise.all([
      askReal(world, mails, folder.path, `world-${index}`),
      askOwn(world, mails, patternsOf(world, folder.path, `own-${index}`)),
    ]);
    const compared = mails.filter((mail) => differs(mail, world) === undefined);
    mailsCompared += compared.length;
    const differences = compared.flatMap((mail) => {
      const [theirs, ours] = [JSON.stringify(real.get(mail.id)), JSON.stringify(own.get(mail.id))];
      return theirs === ours ? [] : [`${JSON.stringify(mail)}\n  Postfix ${theirs}\n  here    ${ours}`];
    });
    expect(differences.join("\n"), JSON.stringify(world)).toBe("");
    // So that two who do nothing are not the same.
    const fates = [...real.values()];
    expect(fates.filter(({ recipients }) => recipients.length > 0).length).toBeGreaterThan(mailsPerWorld / 2);
  });

  it("few mails are left out for a known difference", () => {
    expect(mailsCompared).toBeGreaterThan(worlds.length * mailsPerWorld * 0.8);
  });
});
