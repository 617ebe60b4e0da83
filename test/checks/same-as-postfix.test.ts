// Header and body checks do what they do in the real Postfix, for any tables and messages: one world of tables for both, each message is
// handed to both, and what the client hears and what comes out behind is compared: recipients, next-hop, every octet of header and body.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import checks from "@postern/plugin-checks";
import files from "@postern/plugin-maps-file";
import access from "@postern/plugin-access";
import { createSink, createTestGateway, type Sink } from "@postern/testkit";
import { afterAll, expect, it } from "vitest";
import { dial } from "../e2e/dialogue.ts";
import { talk, type Client } from "../e2e/client.ts";
import { until } from "../e2e/until.ts";
import { randomFrom, sample, seed } from "../sampling.ts";
import { describeWith } from "../services/describe-with.ts";
import { temporaryFolder } from "../services/folder.ts";
import { startPostfixRelay, type Postfix } from "../services/postfix.ts";
import { programPath } from "../services/programs.ts";
import { differs, normalize } from "./known-differences.ts";
import { pairsMails, pairsWorld, randomMail, randomWorld, type Mail, type Rules, type World } from "./world.ts";

const mailsPerWorld = 60;
const stranger = "203.0.113.9";

interface Fate {
  /** The reply to the final dot; `250` without its text. */
  readonly reply: string;
  readonly held: boolean;
  readonly recipients: readonly string[];
  /** Where it came out: `next` or `filter`. */
  readonly at: string | undefined;
  readonly content: string | undefined;
}

/** What a server behind got. */
interface Arrived {
  readonly at: string;
  readonly recipients: readonly string[];
  readonly content: string;
}

async function say(client: Client, mail: Mail): Promise<string> {
  await client.say("MAIL FROM:<sender@source.test> BODY=8BITMIME");
  for (const recipient of mail.recipients) await client.say(`RCPT TO:<${recipient}>`);
  const reply = await client.data(mail.content.toString("latin1").replaceAll("\r\n.", "\r\n.."));
  await client.say("RSET");
  return reply;
}

const idOf = (reply: string): string => / as (\S+)$/.exec(reply)?.[1] ?? "";
const caseOf = (content: string): string => /^X-Case: (.*)$/m.exec(content)?.[1]?.trim() ?? "";

function fatesOf(
  mails: readonly Mail[],
  heard: ReadonlyMap<string, string>,
  arrived: readonly Arrived[],
  held: ReadonlySet<string>,
): Map<string, Fate> {
  const byCase = Map.groupBy(arrived, ({ content }) => caseOf(content));
  return new Map(
    mails.map(({ id }) => {
      const reply = heard.get(id) ?? "";
      const all = byCase.get(id) ?? [];
      const recipients = [...new Set(all.flatMap((one) => one.recipients))].toSorted();
      return [
        id,
        {
          reply: reply.startsWith("250") ? "250" : reply,
          held: held.has(idOf(reply)),
          recipients,
          at: all[0]?.at,
          content: all[0] && normalize(all[0].content),
        },
      ];
    }),
  );
}

const arrivedAt = (at: string, sink: Sink): Arrived[] =>
  sink.transactions.map(({ rcpt, content }) => ({
    at,
    recipients: rcpt.map((line) => /<(.*)>/.exec(line)?.[1] ?? ""),
    content: content.toString("latin1"),
  }));

async function askReal(world: World, mails: readonly Mail[], folder: string, name: string): Promise<Map<string, Fate>> {
  const [next, filter] = [await createSink(), await createSink()];
  const table = tablesIn(folder, name, filter.port);
  const { headerChecks, mimeHeaderChecks, nestedHeaderChecks, bodyChecks, bodyChecksSizeLimit } = world;
  const optional = (title: string, rules: Rules | undefined): Record<string, string> =>
    rules === undefined ? {} : { [title]: table(title, rules) };
  const postfix = await startPostfixRelay({
    folder,
    name,
    relayhost: next.nextHop,
    main: {
      relay_domains: "relay.test",
      relay_transport: `smtp:${next.nextHop}`,
      relay_recipient_maps: "",
      mydestination: "",
      mynetworks: "192.0.2.1/32",
      smtpd_relay_restrictions: "reject_unauth_destination",
      smtpd_client_connection_count_limit: "0",
      smtpd_error_sleep_time: "0",
      smtpd_soft_error_limit: "10000",
      smtpd_hard_error_limit: "10000",
      smtpd_peername_lookup: "no",
      smtp_tls_security_level: "none",
      smtp_line_length_limit: "0",
      disable_mime_output_conversion: "yes",
      in_flow_delay: "0",
      message_drop_headers: "",
      // Whoever connects is a stranger: nothing is added, no address is rewritten.
      local_header_rewrite_clients: "",
      header_checks: table("header_checks", headerChecks),
      ...optional("mime_header_checks", mimeHeaderChecks),
      ...optional("nested_header_checks", nestedHeaderChecks),
      body_checks: table("body_checks", bodyChecks),
      body_checks_size_limit: String(bodyChecksSizeLimit),
    },
  });
  try {
    const heard = new Map<string, string>();
    using client = await dial(postfix.port);
    await client.say("EHLO client.test");
    for (const mail of mails) heard.set(mail.id, await say(client, mail));
    let held = new Set<string>();
    await until(() => {
      const queue = queueOf(postfix);
      held = new Set(queue.filter(({ queue_name }) => queue_name === "hold").map(({ queue_id }) => queue_id));
      return held.size === queue.length;
    });
    return fatesOf(mails, heard, [...arrivedAt("next", next), ...arrivedAt("filter", filter)], held);
  } finally {
    await postfix.stop();
    await next.close();
    await filter.close();
  }
}

interface QueueEntry {
  readonly queue_name: string;
  readonly queue_id: string;
}

const queueOf = ({ config }: Postfix): QueueEntry[] =>
  execFileSync(programPath("postqueue"), ["-c", config, "-j"], { encoding: "utf8" })
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as QueueEntry);

/** Writes tables, and gives their names. */
function tablesIn(folder: string, name: string, filterPort: number): (title: string, rules: Rules) => string {
  return (title, rules) => {
    if (rules.length === 0) return "";
    const path = join(folder, `${name}-${title}`);
    const text = rules.map(([pattern, value]) => `${pattern} ${value.replace("$FILTER$", String(filterPort))}\n`);
    writeFileSync(path, text.join(""), { mode: 0o644 });
    return `pcre:${path}`;
  };
}

async function askOwn(world: World, mails: readonly Mail[], folder: string, name: string): Promise<Map<string, Fate>> {
  const table = tablesIn(folder, name, 10_025);
  const list = (title: string, rules: Rules): string[] => [table(title, rules)].filter((spec) => spec !== "");
  const optional = (key: string, rules: Rules | undefined): Record<string, string[]> =>
    rules === undefined ? {} : { [key]: list(key, rules) };
  const options = {
    onError: "defer",
    headerChecks: list("headerChecks", world.headerChecks),
    ...optional("mimeHeaderChecks", world.mimeHeaderChecks),
    ...optional("nestedHeaderChecks", world.nestedHeaderChecks),
    bodyChecks: list("bodyChecks", world.bodyChecks),
    bodyChecksSizeLimit: world.bodyChecksSizeLimit,
  };
  await using gateway = await createTestGateway(
    { domains: { relay: ["relay.test"] }, relayhost: "[127.0.0.1]:2526" },
    { plugins: [access, files, [checks, options]] },
  );
  const heard = new Map<string, string>();
  for (const mail of mails) {
    // One each: who is refused often loses the session.
    const client = talk(gateway.connect({ remoteAddress: stranger }));
    await client.reply();
    await client.say("EHLO client.test");
    heard.set(mail.id, await say(client, mail));
    client.hangUp();
  }
  const held = new Set(
    gateway.events.flatMap((event) =>
      event.kind === "received" && event.effects.some(({ kind }) => kind === "hold") ? [event.id] : [],
    ),
  );
  await until(() => gateway.runtime.status().queue.messages === held.size);
  const arrived = gateway.deliveries.map(({ nextHop, recipients, content }) => ({
    at: nextHop.includes("10025") ? "filter" : "next",
    recipients,
    content: content.toString("latin1"),
  }));
  return fatesOf(mails, heard, arrived, held);
}

/** Both from a little before the place where they part. */
function firstDifference(theirs: string, ours: string): string {
  let at = 0;
  while (at < theirs.length && theirs[at] === ours[at]) at += 1;
  const from = Math.max(at - 150, 0);
  return `from ${from}:\n  Postfix ${theirs.slice(from, at + 100)}\n  here    ${ours.slice(from, at + 100)}`;
}

const random = randomFrom(seed);
const randomWorlds = Array.from({ length: sample(3, 120) }, (_, index) => ({
  index: String(index),
  world: randomWorld(random),
  mails: Array.from({ length: mailsPerWorld }, (_unused, at) => randomMail(random, `${index}-${at}`)),
}));

const worlds = [{ index: "of pairs", world: pairsWorld, mails: pairsMails }, ...randomWorlds];

describeWith(["postfix", "root"], `header and body checks do what Postfix does (seed ${seed})`, () => {
  const folder = temporaryFolder();
  afterAll(() => folder[Symbol.dispose]());
  let compared = 0;
  let changed = 0;

  it.each(worlds)("world $index", async ({ index, world, mails }) => {
    const [real, own] = await Promise.all([
      askReal(world, mails, folder.path, `world-${index.replace(" ", "-")}`),
      askOwn(world, mails, folder.path, `own-${index.replace(" ", "-")}`),
    ]);
    const differences = mails.flatMap((mail) => {
      const [theirs, ours] = [JSON.stringify(real.get(mail.id)), JSON.stringify(own.get(mail.id))];
      if (differs(mail, world)) return [];
      compared += 1;
      if (real.get(mail.id)?.content !== normalize(mail.content.toString("latin1"))) changed += 1;
      return theirs === ours ? [] : [`${mail.id}: ${firstDifference(theirs ?? "", ours ?? "")}`];
    });
    expect(differences.slice(0, 5).join("\n"), JSON.stringify(world)).toBe("");
  });

  it("few messages are left out, and many are not as they were", () => {
    const all = randomWorlds.length * mailsPerWorld + pairsMails.length;
    expect([compared > all * 0.8, changed > all * 0.3]).toEqual([true, true]);
  });
});
