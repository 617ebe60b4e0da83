// The same milters behind a real Postfix and behind the gateway, and clients that say the same to both.
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { definePlugin } from "@postern/core";
import access from "@postern/plugin-access";
import milter from "@postern/plugin-milter";
import { createSink, createTestGateway, type Sink, type TestGateway } from "@postern/testkit";
import { z } from "zod";
import { talk, type Client } from "../e2e/client.ts";
import { dial } from "../e2e/dialogue.ts";
import { until } from "../e2e/until.ts";
import { makeCertificate, type Certificate } from "../services/certificate.ts";
import { startPostfixRelay, type Postfix } from "../services/postfix.ts";
import { startPyMilter, type MilterNote, type PyMilter } from "../services/pymilter.ts";
import type { MilterSession, SessionStep } from "./sessions.ts";

/** SMFIP_…: no reply to anything but the end of a message; the blank behind the colon; skip; not connect, HELO and MAIL. */
const noReplies = 0xff080;
const leadingSpace = 0x100000;
const skip = 0x400;
const refusedRecipients = 0x800;
const noReplyToRecipient = 0x8000;
const noEnvelope = 0x7;

/** Which milters a client is asked about, by the third octet of its address. */
const sets: readonly (readonly string[])[] = [
  ["plain"],
  ["silent"],
  ["exact"],
  ["plain", "silent"],
  ["old"],
  ["late"],
  ["curious"],
  ["curious", "eager"],
];
export const variants = sets.length;

/** What is asked for by one that wants to know everything, by stage. */
const wanted = {
  connect:
    "j v _ {daemon_name} {daemon_addr} {daemon_port} {client_addr} {client_name} {client_port} {client_ptr} {client_resolve}",
  helo: "{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}",
  mail: "{auth_type} {auth_authen} {auth_author} {auth_ssf} {mail_addr} {mail_host} {mail_mailer} {client_name}",
  recipient: "{rcpt_addr} {rcpt_host} {rcpt_mailer} {mail_addr} {auth_author} {client_ptr}",
  data: "{auth_authen} {client_port} {mail_mailer}",
  endOfHeaders: "{mail_host} {no_such_macro}",
  endOfMessage: "i {auth_author} {daemon_port} {if_name}",
};

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
  const [plain, silent, exact, late, curious, eager] = await Promise.all([
    startPyMilter({ folder, name: "plain" }),
    startPyMilter({ folder, name: "silent", variant: { steps: noReplies } }),
    startPyMilter({ folder, name: "exact", variant: { steps: leadingSpace | skip } }),
    startPyMilter({
      folder,
      name: "late",
      variant: { steps: noEnvelope | skip, macros: { recipient: "{rcpt_addr} {client_addr} {mail_addr}" } },
    }),
    startPyMilter({ folder, name: "curious", variant: { steps: refusedRecipients | skip, macros: wanted } }),
    startPyMilter({ folder, name: "eager", variant: { steps: refusedRecipients | noReplyToRecipient } }),
  ]);
  const milters = new Map([
    ["plain", plain],
    ["silent", silent],
    ["exact", exact],
    ["late", late],
    ["curious", curious],
    ["eager", eager],
  ]);
  const sink = await createSink();
  const tls = makeCertificate(folder, ["mx.example.test"]);
  const postfix = await startBeside(folder, milters, sink, tls);
  return {
    milters,
    behindPostfix: (sessions) => behindPostfix(sessions, milters, postfix, sink),
    behindUs: (sessions) => behindUs(sessions, milters, sink, tls),
    async [Symbol.asyncDispose]() {
      await Promise.all([postfix.stop(), sink.close(), ...[...milters.values()].map((each) => each.kill())]);
    },
  };
}

/** Recipients that exist, and those that are refused by a table. */
const known = ["r0@example.test", "r1@example.test", "r2@example.test"];
const turnedAway = { "barred@example.test": "550 5.7.1 barred here", "later@example.test": "450 4.2.1 come back" };

/** `old` is `plain`, spoken to in version 2 of the protocol. */
const serverOf = (name: string): string => (name === "old" ? "plain" : name);

function startBeside(
  folder: string,
  milters: ReadonlyMap<string, PyMilter>,
  sink: Sink,
  { key, cert }: Certificate,
): Promise<Postfix> {
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
      relay_recipient_maps: `inline:{ ${[...known, ...Object.keys(turnedAway)].map((each) => `{${each}=x}`).join(" ")} }`,
      smtpd_recipient_restrictions: `check_recipient_access inline:{ ${Object.entries(turnedAway)
        .map(([address, said]) => `{${address}=${said}}`)
        .join(" ")} }`,
      smtpd_authorized_xclient_hosts: "127.0.0.0/8",
      smtpd_sasl_auth_enable: "yes",
      smtpd_tls_security_level: "may",
      smtpd_tls_key_file: key,
      smtpd_tls_cert_file: cert,
      smtpd_peername_lookup: "no",
      smtpd_milter_maps: `cidr:${map}`,
      milter_default_action: "tempfail",
      milter_macro_v: "same",
      milter_macro_daemon_name: "same",
      smtpd_relay_restrictions: "permit_sasl_authenticated, reject_unauth_destination",
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
    replies.set(session.address, await converse(client.socket, client, session.steps));
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
  tls: Certificate,
): Promise<Map<string, Fate>> {
  prepare(milters, sessions, "postern");
  await using gateway = await startOwn(sessions, milters, sink, tls);
  const replies = new Map<string, readonly string[]>();
  for (const session of sessions) {
    const stream = gateway.connect({ remoteAddress: session.address });
    replies.set(session.address, await converse(stream, talk(stream), session.steps));
  }
  const settled = (): boolean =>
    gateway.events.filter(({ kind }) => kind === "received").length <= gateway.deliveries.length;
  await until(settled);
  return gather(sessions, replies, gateway.deliveries, milters, "postern");
}

/** Nobody has a password: logins come by XCLIENT. */
const logins = definePlugin({
  name: "logins",
  apiVersion: 1,
  options: z.strictObject({}),
  setup: (gateway) =>
    gateway.authenticator({ name: "logins", description: "Nobody's.", verify: () => ({ kind: "no" }) }),
});

function startOwn(
  sessions: readonly MilterSession[],
  milters: ReadonlyMap<string, PyMilter>,
  sink: Sink,
  tls: Certificate,
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
    {
      domains: {
        relay: {
          domains: ["example.test"],
          recipients: Object.fromEntries([...known, ...Object.keys(turnedAway)].map((each) => [each, "x"])),
        },
      },
      networks: [],
      tls: { key: tls.key, cert: tls.cert },
      relayhost: sink.nextHop,
      listeners: [{ name: "test", host: "127.0.0.1", port: 25, xclient: ["127.0.0.0/8"], auth: "offered" }],
      policy: { rcpt: [["check_recipient_access", turnedAway]] },
    },
    { plugins: [access, logins, [milter, { milters: entries, clients }]] },
  );
}

function setOf(address: string): readonly string[] {
  return sets[Number(address.split(".")[2])] ?? [];
}

function prepare(milters: ReadonlyMap<string, PyMilter>, sessions: readonly MilterSession[], tag: string): void {
  for (const each of milters.values()) each.tag(tag);
  for (const { address, plan } of sessions) for (const each of milters.values()) each.plan(address, plan);
}

/** A reply for each step as far as the session goes; it is over then. */
async function converse(stream: Duplex, first: Client, steps: readonly SessionStep[]): Promise<readonly string[]> {
  let client = first;
  const replies = [await client.reply()];
  const isOver = (): boolean => /^(?:421|554 .*not accepting|$)/.test(replies.at(-1) ?? "") || replies.at(-1) === "";
  for (const { kind, text } of steps) {
    if (isOver()) break;
    if (kind === "hangUp") break;
    if (kind === "message") replies.push(await client.data(text.replaceAll("\r\n.", "\r\n..")));
    else replies.push(await client.say(kind === "startTls" ? "STARTTLS" : text));
    if (kind === "startTls" && replies.at(-1)?.startsWith("220") === true) {
      stream.removeAllListeners("data");
      const secure = connectTls({ socket: stream, rejectUnauthorized: false, maxVersion: "TLSv1.2", ciphers: text });
      await once(secure, "secureConnect");
      client = talk(secure);
    }
  }
  client.hangUp();
  stream.destroy();
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
      await until(() => countOf(read(), "connect") === countOf(read(), "close"));
      notes.set(name, read());
    }
    fates.set(address, { replies: replies.get(address) ?? [], delivered: deliveredOf(address, mails), notes });
  }
  return fates;
}

export function countOf(notes: readonly MilterNote[], wanted: MilterNote["event"]): number {
  return notes.filter(({ event }) => event === wanted).length;
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
