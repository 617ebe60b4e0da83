/** What a client hears that a DNS list names: default_rbl_reply and rbl_reply_maps, with Postfix's `$names`. */
import {
  after,
  ConfigError,
  defer,
  fitEnhanced,
  reject,
  type Ask,
  type CompileScope,
  type MaybePromise,
  type Objection,
  type Subject,
} from "@postern/core";
import type { DnsList } from "./dns-list.ts";
import type { Options } from "./options.ts";
import { parseTemplate, type Template } from "./template.ts";

export interface Listed {
  readonly list: DnsList;
  /** What is listed: an address, a domain or a mail address. */
  readonly what: string;
  readonly label: Subject["label"];
  readonly reason: string;
}

export type RblReply = (listed: Listed, ask: Ask) => MaybePromise<Objection>;

/** maps_rbl_reject_code. */
const rblCode = "554";

type Values = (listed: Listed, ask: Ask) => string;

const names: Readonly<Record<string, Values>> = {
  rbl_code: () => rblCode,
  rbl_domain: ({ list }) => list.zone,
  rbl_reason: ({ reason }) => reason,
  rbl_txt: ({ reason }) => reason,
  rbl_what: ({ what }) => what,
  rbl_class: ({ label }) => label,
  client: (_, { session: { client } }) => `${client.name}[${client.address ?? "unknown"}]`,
  client_address: (_, { session: { client } }) => client.address ?? "unknown",
  client_name: (_, { session: { client } }) => client.name,
  client_port: (_, { session: { client } }) => String(client.port ?? ""),
  reverse_client_name: (_, { session: { client } }) => client.reverseName,
  helo_name: (_, { session }) => session.helo?.name ?? "",
  server_address: (_, { session }) => session.server.address,
  server_port: (_, { session }) => String(session.server.port),
  sender: (_, { transaction }) => senderOf(transaction?.sender),
  sender_name: (_, { transaction }) => localPartOf(senderOf(transaction?.sender)),
  sender_domain: (_, { transaction }) => domainOf(senderOf(transaction?.sender)),
  recipient: (_, { recipient }) => recipient?.address ?? "",
  recipient_name: (_, { recipient }) => localPartOf(recipient?.address ?? ""),
  recipient_domain: (_, { recipient }) => domainOf(recipient?.address ?? ""),
};

/** Throws `ConfigError` for a reply that cannot be one. */
export async function openRblReply(options: Options, scope: Pick<CompileScope, "table">): Promise<RblReply> {
  const standard = readOwnReply(options.rblReply, "rblReply");
  if (options.rblReplies === undefined) return standard;
  const table = await scope.table(options.rblReplies);
  const read = new Map<string, RblReply>();
  for (const { key, value } of table.entries?.() ?? [])
    read.set(value, readOwnReply(value, `rblReplies, key "${key}"`));
  return (listed, ask) =>
    after(table.lookup(listed.list.written), (value) => {
      if (value === undefined) return standard(listed, ask);
      return (read.get(value) ?? readReply(value, "rblReplies"))(listed, ask);
    });
}

/** What is known at the start begins with a code, or with a name that may be one. */
function readOwnReply(text: string, where: string): RblReply {
  if (/^(?:\$|[45]\d\d )/.test(text)) return readReply(text, where);
  throw new ConfigError(
    `${where}: expected a code and a text such as "554 5.7.1 Go away", got ${JSON.stringify(text)}`,
  );
}

function readReply(text: string, where: string): RblReply {
  let template: Template;
  try {
    template = parseTemplate(text, (name) => Object.hasOwn(names, name));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(`${where}: ${error.message}`, { cause: error });
  }
  return (listed, ask) =>
    toObjection(
      template((name) => printable(names[name]?.(listed, ask) ?? "")),
      listed.label,
    );
}

/** A code, perhaps an enhanced one, and a text. */
function toObjection(text: string, label: Subject["label"]): Objection {
  const [, code, detail = ".7.1", rest = ""] =
    /^([45]\d\d) (?:[245](\.\d{1,3}\.\d{1,3})(?:\s+|$))?(.*)$/s.exec(text) ?? [];
  if (code === undefined) return defer("Service unavailable", "4.7.1", 450);
  const say = code.startsWith("4") ? defer : reject;
  return say(
    rest === "" ? "Service unavailable" : rest,
    fitEnhanced(`${code.charAt(0)}${detail}`, label),
    Number(code),
  );
}

/** smtpd_expansion_filter. */
function printable(value: string): string {
  return value.replace(/[^\t\x20-\x7e]/g, "_");
}

function senderOf(sender: string | undefined): string {
  return sender === "" ? "<>" : (sender ?? "");
}

function localPartOf(address: string): string {
  const at = address.lastIndexOf("@");
  return at < 0 ? address : address.slice(0, at);
}

function domainOf(address: string): string {
  const at = address.lastIndexOf("@");
  return at < 0 ? "" : address.slice(at + 1);
}
