/** A question of another mail server, read: attributes of the policy protocol, and what they mean here. */
import {
  formatMailbox,
  parseIp,
  formatIp,
  type Client,
  type MaybePromise,
  type Recipient,
  type Session,
  type Stage,
  type Transaction,
  type Ask,
  after,
} from "@postern/core";

export type Attributes = ReadonlyMap<string, string>;

/** Attributes of one question: Postfix sends about thirty. */
const mostAttributes = 100;

/** `undefined` for what is no question of the protocol. `text`: lines without the blank one. */
export function parseQuestion(text: string): Attributes | undefined {
  const attributes = new Map<string, string>();
  for (const line of text.split("\n")) {
    const equals = line.indexOf("=");
    if (equals <= 0 || attributes.size >= mostAttributes) return undefined;
    const name = line.slice(0, equals);
    // The first counts, whoever may have added another.
    if (!attributes.has(name)) attributes.set(name, line.slice(equals + 1).replace(/[\u0000-\u001f\u007f]/g, "?"));
  }
  return attributes.get("request") === "smtpd_access_policy" ? attributes : undefined;
}

const stageOf: Readonly<Record<string, Stage>> = Object.freeze({
  CONNECT: "connect",
  // The connect list once more, for whom XCLIENT names.
  XCLIENT: "connect",
  EHLO: "helo",
  HELO: "helo",
  LHLO: "helo",
  MAIL: "mail",
  RCPT: "rcpt",
  DATA: "data",
  BDAT: "data",
  "END-OF-MESSAGE": "message",
});

export interface QuestionScope {
  /** For `session.listener`. */
  readonly listener: string;
  readonly now: () => number;
  readonly inNetworks: (address: string | undefined) => MaybePromise<boolean>;
  /** For what comes without an `instance`. */
  readonly nextId: () => string;
}

/** `undefined` for a state that no list is asked at: VRFY, ETRN. Throws `TableUnavailable`. */
export function toAsk(attributes: Attributes, scope: QuestionScope): MaybePromise<Ask | undefined> {
  const stage = stageOf[attributes.get("protocol_state") ?? ""];
  if (stage === undefined) return undefined;
  const address = ipOf(attributes.get("client_address"));
  return after(scope.inNetworks(address), (inNetworks) => composeAsk(stage, attributes, scope, address, inNetworks));
}

function composeAsk(
  stage: Stage,
  attributes: Attributes,
  { listener, now, nextId }: QuestionScope,
  address: string | undefined,
  inNetworks: boolean,
): Ask {
  const get = (name: string): string => attributes.get(name) ?? "";
  const id = get("instance") || nextId();
  const startedAt = now();
  const helo = get("helo_name");
  const session: Session = {
    id: `policy-${id}`,
    listener,
    startedAt,
    client: clientOf(get, address, inNetworks),
    server: { address: get("server_address"), port: portOf(get("server_port")) ?? 0 },
    helo: helo === "" ? undefined : { verb: get("protocol_name") === "SMTP" ? "HELO" : "EHLO", name: helo },
    tls:
      get("encryption_protocol") === ""
        ? undefined
        : {
            protocol: get("encryption_protocol"),
            cipher: get("encryption_cipher"),
            bits: Number(get("encryption_keysize")) || 0,
            servername: undefined,
          },
    auth: get("sasl_username") === "" ? undefined : { identity: get("sasl_username"), mechanism: get("sasl_method") },
  };
  if (stage === "connect" || stage === "helo") return { stage, session, dry: false };
  const recipient = recipientOf(get("recipient"));
  const late = stage === "data" || stage === "message";
  const size = Number(get("size"));
  const transaction: Transaction = {
    id: get("queue_id") || id,
    sessionId: session.id,
    startedAt,
    sender: quoted(get("sender")),
    // At RCPT those before it are not told; at DATA one that is alone.
    recipients: late && recipient !== undefined ? [recipient] : [],
    body: "7bit",
    smtputf8: false,
    declaredSizeBytes: size > 0 ? size : undefined,
  };
  return { stage, session, transaction, recipient: stage === "rcpt" ? recipient : undefined, dry: false };
}

function clientOf(get: (name: string) => string, address: string | undefined, inNetworks: boolean): Client {
  const name = get("client_name") || "unknown";
  return {
    address,
    port: portOf(get("client_port")),
    name,
    reverseName: get("reverse_client_name") || "unknown",
    // Nobody tells whether the name is not there or could not be asked; refused for good is the wrong guess.
    nameStatus: name === "unknown" ? "temporary" : "ok",
    inNetworks,
  };
}

function ipOf(text: string | undefined): string | undefined {
  const ip = text === undefined ? undefined : parseIp(text);
  return ip === undefined ? undefined : formatIp(ip);
}

function portOf(text: string): number | undefined {
  const port = Number(text);
  return Number.isInteger(port) && port > 0 && port <= 65_535 ? port : undefined;
}

function recipientOf(text: string): Recipient | undefined {
  if (text === "") return undefined;
  const address = quoted(text);
  return { address, original: address };
}

/** smtpd has addresses without the quoting of the wire; here they have it where RFC 5321 needs it. */
function quoted(address: string): string {
  const at = address.lastIndexOf("@");
  if (at <= 0) return address;
  return formatMailbox({ localPart: address.slice(0, at), domain: address.slice(at + 1) });
}
