/**
 * XCLIENT (Postfix's XCLIENT_README): a trusted proxy says who the client is. Allowed by the address of the connection or of its
 * PROXY header, never by what an earlier XCLIENT said. Afterwards everything is judged anew: a new session, the connect stage,
 * the greeting again. Where ADDR comes without NAME the name is looked up, so that no name outlives its address.
 */
import { formatIp, isValidHostname, parseIp } from "../../address/index.ts";
import { isIdentity } from "../../authentication/index.ts";
import type { ClientName } from "../../dns/index.ts";
import { reply, type Client, type MaybePromise, type Session } from "../../model/index.ts";
import { lookUpClientName, nameless, nameUnavailable } from "../client-name.ts";
import type { Dialogue } from "../dialogue.ts";
import { greet } from "../greeting.ts";
import { askNetworks, type Membership } from "../own-clients.ts";
import { decodeXtext } from "../../address/xtext.ts";
import { mayUseXclient } from "../offers.ts";
import type { Command } from "./index.ts";
import { askHelo } from "./helo.ts";

const notAllowed = reply(550, "5.7.0", "XCLIENT is not for this client");
const syntax = reply(501, "5.5.4", "Syntax: XCLIENT attribute=value …".replace("…", "..."));
const badValue = reply(501, "5.5.4", "Bad XCLIENT attribute or value");

/** What of the session the command changes; a key that is there with `undefined` was said to be unavailable. */
interface Override {
  name?: ClientName;
  reverseName?: string;
  address?: string | undefined;
  port?: number | undefined;
  proto?: "HELO" | "EHLO";
  helo?: string | undefined;
  serverAddress?: string;
  serverPort?: number;
  login?: string | undefined;
}

const unavailable = "[UNAVAILABLE]";
const temporarilyUnavailable = "[TEMPUNAVAIL]";

type Reader = (override: Override, value: string) => boolean;

/** Each takes a decoded value and says whether it is one. */
const attributes: Readonly<Record<string, Reader>> = {
  NAME(override, value) {
    if (value === temporarilyUnavailable) override.name = nameUnavailable;
    else if (value === unavailable) override.name = nameless;
    else if (isValidHostname(value)) override.name = { name: value, reverseName: value, nameStatus: "ok" };
    else return false;
    return true;
  },
  REVERSE_NAME(override, value) {
    if (value === unavailable || value === temporarilyUnavailable) override.reverseName = "unknown";
    else if (isValidHostname(value)) override.reverseName = value;
    else return false;
    return true;
  },
  ADDR(override, value) {
    if (value === unavailable) override.address = undefined;
    else {
      const address = addressOf(value);
      if (address === undefined) return false;
      override.address = address;
    }
    return true;
  },
  PORT(override, value) {
    if (value === unavailable) override.port = undefined;
    else if (isPort(value)) override.port = Number(value);
    else return false;
    return true;
  },
  PROTO(override, value) {
    const proto = value.toUpperCase();
    if (proto !== "SMTP" && proto !== "ESMTP") return false;
    override.proto = proto === "SMTP" ? "HELO" : "EHLO";
    return true;
  },
  HELO(override, value) {
    if (value === unavailable) override.helo = undefined;
    else if (/^[\u0021-\u007e]{1,255}$/.test(value)) override.helo = value;
    else return false;
    return true;
  },
  LOGIN(override, value) {
    if (value === unavailable) override.login = undefined;
    else if (isIdentity(value)) override.login = value;
    else return false;
    return true;
  },
  DESTADDR(override, value) {
    const address = addressOf(value);
    if (address !== undefined) override.serverAddress = address;
    return address !== undefined || value === unavailable;
  },
  DESTPORT(override, value) {
    if (isPort(value)) override.serverPort = Number(value);
    else return value === unavailable;
    return true;
  },
};

export const xclient: Command = (dialogue, argument) => {
  if (!mayUseXclient(dialogue)) return dialogue.say(notAllowed);
  if (argument === "") return dialogue.say(syntax);
  const override: Override = {};
  for (const word of argument.split(/ +/)) {
    const equals = word.indexOf("=");
    const name = word.slice(0, Math.max(equals, 0)).toUpperCase();
    const value = decodeXtext(word.slice(equals + 1));
    const read = Object.hasOwn(attributes, name) ? attributes[name] : undefined;
    if (read === undefined || value === undefined || !read(override, value)) return dialogue.say(badValue);
  }
  const address = addressFor(dialogue, override);
  const membership = askNetworks(dialogue.generation.networks, address);
  return dialogue.proceed(nameFor(dialogue, override), (name) =>
    dialogue.proceed(membership, (own) => begin(dialogue, override, { ...name, ...own, address })),
  );
};

/** IPv6 comes as `IPV6:2001:db8::1`; without the prefix it is tolerated. */
function addressOf(value: string): string | undefined {
  const ip = parseIp(/^ipv6:/i.test(value) ? value.slice(5) : value);
  return ip === undefined ? undefined : formatIp(ip);
}

function isPort(value: string): boolean {
  return /^\d{1,5}$/.test(value) && Number(value) <= 65535;
}

function nameFor(dialogue: Dialogue, override: Override): MaybePromise<ClientName> {
  if (override.name !== undefined) return override.name;
  if (!("address" in override)) return dialogue.session.client;
  if (override.address === undefined) return nameless;
  return lookUpClientName(override.address, dialogue.generation.resolver, dialogue.host.clock);
}

function addressFor({ session }: Dialogue, override: Override): string | undefined {
  return "address" in override ? override.address : session.client.address;
}

type Known = ClientName & Membership & Pick<Client, "address">;

function begin(dialogue: Dialogue, override: Override, known: Known): MaybePromise<void> {
  const { host, generation, session } = dialogue;
  const { name, reverseName, nameStatus, address, inNetworks, networksUnavailable = false } = known;
  const client: Client = {
    address,
    port: "port" in override || "address" in override ? override.port : session.client.port,
    name,
    reverseName: override.reverseName ?? reverseName,
    nameStatus,
    inNetworks,
    ...(networksUnavailable ? { networksUnavailable } : {}),
  };
  const { closed } = generation.hooks.smtp;
  if (closed.tapped) closed.call(session);
  const next: Session = {
    ...session,
    id: host.ids(),
    startedAt: host.clock.now(),
    client,
    server: {
      address: override.serverAddress ?? session.server.address,
      port: override.serverPort ?? session.server.port,
    },
    helo: undefined,
    // As in Postfix: a login holds for the session that it was given with.
    auth: override.login === undefined ? undefined : { identity: override.login, mechanism: "XCLIENT" },
  };
  generation.renew(next.id);
  dialogue.renew(next, "start");
  host.log({ kind: "connected", session: next });
  return greet(dialogue, () => sayHelo(dialogue, override, session));
}

/** HELO said by the proxy counts as said by the client, and is judged like it. */
function sayHelo(dialogue: Dialogue, override: Override, before: Session): MaybePromise<boolean> {
  if (override.helo === undefined) return true;
  const helo = { verb: override.proto ?? before.helo?.verb ?? "EHLO", name: override.helo } as const;
  let accepted = false;
  const asked = askHelo(dialogue, { ...dialogue.session, helo }, () => {
    dialogue.state = "ready";
    accepted = true;
  });
  return asked === undefined ? accepted : asked.then(() => accepted);
}
