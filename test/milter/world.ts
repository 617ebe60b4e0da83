// The same milters behind a real Postfix and behind the gateway, and clients that say the same to both.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import access from "@postern/plugin-access";
import milter from "@postern/plugin-milter";
import { createSink, createTestGateway, type Sink, type TestGateway } from "@postern/testkit";
import { talk, type Client } from "../e2e/client.ts";
import { dial } from "../e2e/dialogue.ts";
import { until } from "../e2e/until.ts";
import { startPostfixRelay, type Postfix } from "../services/postfix.ts";
import { startPyMilter, type MilterNote, type PyMilter } from "../services/pymilter.ts";
import type { MilterSession, SessionStep } from "./sessions.ts";

/** SMFIP_…: no reply to anything but the end of a message; the blank behind the colon; skip; not connect, HELO and MAIL. */
const noReplies = 0xff080;
const leadingSpace = 0x100000;
const skip = 0x400;
const noEnvelope = 0x7;

/** Which milters a client is asked about, by the third octet of its address. */
const sets: readonly (readonly string[])[] = [["plain"], ["silent"], ["exact"], ["plain", "silent"], ["old"], ["late"]];
export const variants = sets.length;

export interface Delivered {
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly fields: readonly string[];
  readonly body: string;
}

/** What became of a session. */
export interface Fate {
  /** A reply for each step; the first is the greeting. */
  readonly replies: readonly string[];
  /** By the message's id. */
  readonly delivered: ReadonlyMap<string, Delivered>;
  /** By the milter's name. */
  readonly notes: ReadonlyMap<string, readonly MilterNote[]>;
}

export interface MilterWorld extends AsyncDisposable {
  readonly milters: ReadonlyMap<string, PyMilter>;
  /** One after the other. Deliveries and the milters' notes are complete. */
  behindPostfix(sessions: readonly MilterSession[]): Promise<Map<string, Fate>>;
  behindUs(sessions: readonly MilterSession[]): Promise<Map<string, Fate>>;
}

export async function startMilterWorld(folder: string): Promise<MilterWorld> {
  const [plain, silent, exact, late] = await Promise.all([
    startPyMilter({ folder, name: "plain" }),
    startPyMilter({ folder, name: "silent", variant: { steps: noReplies } }),
    startPyMilter({ folder, name: "exact", variant: { steps: leadingSpace | skip } }),
    startPyMilter({
      folder,
      name: "late",
      variant: { steps: noEnvelope | skip, macros: { recipient: "{rcpt_addr} {client_addr} {mail_addr}" } },
    }),
  ]);
  const milters = new Map([
    ["plain", plain],
    ["silent", silent],
    ["exact", exact],
    ["late", late],
  ]);
  const sink = await createSink();
  const postfix = await startBeside(folder, milters, sink);
  return {
    milters,
    behindPostfix: (sessions) => behindPostfix(sessions, milters, postfix, sink),
    behindUs: (sessions) => behindUs(sessions, milters, sink),
    async [Symbol.asyncDispose]() {
      await Promise.all([postfix.stop(), sink.close(), ...[...milters.values()].map((each) => each.kill())]);
    },
  };
}

/** `old` is `plain`, spoken to in version 2 of the protocol. */
const serverOf = (name: string): string => (name === "old" ? "plain" : name);

function startBeside(folder: string, milters: ReadonlyMap<string, PyMilter>, sink: Sink): Promise<Postfix> {
  const map = join(folder, "milters.cidr");
  const spoken = (name: string): string => {
    const address = milters.get(serverOf(name))?.address ?? "";
    return name === "old" ? `{ ${address}, protocol=2 }` : address;
  };
  const networks = sets.flatMap((set, index) =>
    Array.from({ length: 20 }, (_, turn) => `127.${turn + 1}.${index}.0/24 ${set.map(spoken).join(", ")}\n`),
  );
  writeFileSync(map, networks.join(""));
  return startPostfixRelay({
    folder,
    relayhost: sink.nextHop,
    main: {
      myhostname: "mx.example.test",
      relay_domains: "example.test",
      smtpd_peername_lookup: "no",
      smtpd_milter_maps: `cidr:${map}`,
      milter_default_action: "tempfail",
      milter_macro_v: "same",
      milter_macro_daemon_name: "same",
      smtpd_relay_restrictions: "reject_unauth_destination",
      smtpd_client_connection_count_limit: "0",
      smtpd_error_sleep_time: "0",
      smtpd_hard_error_limit: "1000",
      smtpd_soft_error_limit: "1000",
      smtpd_junk_command_limit: "1000",
      local_header_rewrite_clients: "",
      smtp_tls_security_level: "none",
      disable_mime_output_conversion: "yes",
      strict_7bit_headers: "no",
      message_drop_headers: "",
      smtp_header_checks: "",
      smtpd_discard_ehlo_keywords: "chunking",
    },
  });
}

async function behindPostfix(
  sessions: readonly MilterSession[],
  milters: ReadonlyMap<string, PyMilter>,
  postfix: Postfix,
  sink: Sink,
): Promise<Map<string, Fate>> {
  prepare(milters, sessions, "postfix");
  const before = sink.transactions.length;
  const replies = new Map<string, readonly string[]>();
  for (const session of sessions) {
    const client = await dial(postfix.port, { localAddress: session.address, expectGreeting: false });
    replies.set(session.address, await converse(client, session.steps));
    client.hangUp();
  }
  // What a milter puts aside stays in Postfix's hold queue.
  const held = (): number => (postfix.mailLog().match(/milter-hold/g) ?? []).length;
  postfix.flush();
  await until(() => postfix.queueIds().length <= held());
  const mails = sink.transactions.slice(before).map(({ mail, rcpt, content }) => ({
    sender: /<(.*?)>/.exec(mail)?.[1] ?? "",
    recipients: rcpt.map((line) => /<(.*?)>/.exec(line)?.[1] ?? ""),
    content,
  }));
  return gather(sessions, replies, mails, milters, "postfix");
}

async function behindUs(
  sessions: readonly MilterSession[],
  milters: ReadonlyMap<string, PyMilter>,
  sink: Sink,
): Promise<Map<string, Fate>> {
  prepare(milters, sessions, "postern");
  await using gateway = await startOwn(sessions, milters, sink);
  const replies = new Map<string, readonly string[]>();
  for (const session of sessions) {
    const client = talk(gateway.connect({ remoteAddress: session.address }));
    replies.set(session.address, await converse(client, session.steps));
    client.hangUp();
  }
  const settled = (): boolean =>
    gateway.events.filter(({ kind }) => kind === "received").length <= gateway.deliveries.length;
  await until(settled);
  return gather(sessions, replies, gateway.deliveries, milters, "postern");
}

function startOwn(
  sessions: readonly MilterSession[],
  milters: ReadonlyMap<string, PyMilter>,
  sink: Sink,
): Promise<TestGateway> {
  const macroValues = { v: "same", "{daemon_name}": "same" };
  const entries = [...new Set(sets.flat())].map((name) => ({
    name,
    address: milters.get(serverOf(name))?.address ?? "",
    onError: "defer",
    macroValues,
    ...(name === "old" ? { protocol: 2 } : {}),
  }));
  const clients = Object.fromEntries(sessions.map(({ address }) => [address, setOf(address).join(", ")]));
  return createTestGateway(
    { domains: { relay: ["example.test"] }, networks: [], relayhost: sink.nextHop },
    { plugins: [access, [milter, { milters: entries, clients }]] },
  );
}

function setOf(address: string): readonly string[] {
  return sets[Number(address.split(".")[2])] ?? [];
}

function prepare(milters: ReadonlyMap<string, PyMilter>, sessions: readonly MilterSession[], tag: string): void {
  for (const each of milters.values()) each.tag(tag);
  for (const { address, plan } of sessions) for (const each of milters.values()) each.plan(address, plan);
}

/** A reply for each step as far as the session goes. */
async function converse(client: Client, steps: readonly SessionStep[]): Promise<readonly string[]> {
  const replies = [await client.reply()];
  const isOver = (): boolean => /^(?:421|554 .*not accepting|$)/.test(replies.at(-1) ?? "") || replies.at(-1) === "";
  for (const { kind, text } of steps) {
    if (isOver()) break;
    if (kind === "hangUp") break;
    if (kind === "command") replies.push(await client.say(text));
    else replies.push(await client.data(text.replaceAll("\r\n.", "\r\n..")));
  }
  return replies;
}

interface Mail {
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly content: Buffer;
}

/** Notes are complete when the milters have heard that their clients are gone. */
async function gather(
  sessions: readonly MilterSession[],
  replies: ReadonlyMap<string, readonly string[]>,
  mails: readonly Mail[],
  milters: ReadonlyMap<string, PyMilter>,
  tag: string,
): Promise<Map<string, Fate>> {
  const fates = new Map<string, Fate>();
  for (const { address } of sessions) {
    const notes = new Map<string, readonly MilterNote[]>();
    for (const name of new Set(setOf(address).map(serverOf))) {
      const read = (): readonly MilterNote[] => milters.get(name)?.notes(tag, address) ?? [];
      await until(() => read().length === 0 || read().at(-1)?.event === "close");
      notes.set(name, read());
    }
    fates.set(address, { replies: replies.get(address) ?? [], delivered: deliveredOf(address, mails), notes });
  }
  return fates;
}

/** What went out in several transactions is one message to all of their recipients. */
function deliveredOf(address: string, mails: readonly Mail[]): Map<string, Delivered> {
  const delivered = new Map<string, Delivered>();
  for (const { sender, recipients, content } of mails) {
    const text = content.toString("latin1");
    const id = /^X-Session: (\S+)\r$/m.exec(text)?.[1] ?? "";
    if (!id.startsWith(`${address}-`)) continue;
    const end = text.startsWith("\r\n") ? -2 : text.indexOf("\r\n\r\n");
    const fields = text.slice(0, Math.max(end, 0)).split(/\r\n(?![ \t])/);
    const known = delivered.get(id)?.recipients ?? [];
    delivered.set(id, {
      sender,
      recipients: [...known, ...recipients].toSorted(),
      fields: fields.filter((field) => !/^Received: [^]*by mx\.example\.test/.test(field)),
      body: end < 0 ? "" : text.slice(end + 4),
    });
  }
  return delivered;
}
