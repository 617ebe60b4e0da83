/** The limits as questions at each stage: an objection, or nothing. Each counts whether or not another has objected before. */
import {
  after,
  defer,
  networkOf,
  type Envelope,
  type MaybePromise,
  type Objection,
  type Recipient,
  type Session,
} from "@postern/core";
import { unless, type Exemptions } from "./exemptions.ts";
import type { Options } from "./options.ts";
import type { Rate } from "./rate.ts";
import type { SessionCounts } from "./session-counts.ts";
import type { SharedRates } from "./shared-rates.ts";

export interface Limits {
  connect(session: Session): MaybePromise<Objection | undefined>;
  auth(identity: string, session: Session): Objection | undefined;
  mail(sender: string, session: Session): MaybePromise<Objection | undefined>;
  rcpt(recipient: Recipient, envelope: Envelope, session: Session): MaybePromise<Objection | undefined>;
  closed(session: Session): void;
}

type Limited = () => MaybePromise<Objection | undefined>;

export function createLimits(
  options: Options,
  rates: Pick<SharedRates, "exceeds">,
  sessions: Pick<SessionCounts, "exceeds" | "leave">,
  exempt: Exemptions,
): Limits {
  const { clients, senders, users, recipients } = options;
  const prefixes = { v4: options.ipv4Prefix, v6: options.ipv6Prefix };
  const networkKey = ({ client: { address } }: Session): string => networkOf(address ?? "", prefixes) ?? "unknown";

  function over(what: string, who: string, limit: Rate | undefined, text: string, code = 450, enhanced = "4.7.1") {
    if (limit === undefined || !rates.exceeds(`${what} ${keyOf(who)}`, limit)) return undefined;
    return defer(text, enhanced, code);
  }

  function connect(session: Session): MaybePromise<Objection | undefined> {
    if (clients.sessions === undefined && clients.newSessions === undefined) return undefined;
    return unless(exempt.client(session), () => {
      const network = networkKey(session);
      const address = session.client.address ?? "unknown";
      const isNew = over(
        "new sessions",
        network,
        clients.newSessions,
        `Too many new sessions from ${address}`,
        421,
        "4.7.0",
      );
      const isOpen = clients.sessions !== undefined && sessions.exceeds(`client ${network}`, session, clients.sessions);
      return isOpen ? defer(`Too many sessions from ${address}`, "4.7.0", 421) : isNew;
    });
  }

  /** The same rate of clients, users and senders, by what is counted. */
  function byOrigin(what: "messages" | "recipients", text: string, sender: string, session: Session): Limited[] {
    const { auth, client } = session;
    const limited: Limited[] = [];
    if (auth !== undefined && users[what] !== undefined && !exempt.user(auth.identity)) {
      limited.push(() => over(`${what} user`, auth.identity, users[what], `${text} from ${auth.identity}`));
    }
    if (clients[what] !== undefined && auth === undefined) {
      const of = (): Objection | undefined =>
        over(`${what} client`, networkKey(session), clients[what], `${text} from ${client.address ?? "unknown"}`);
      limited.push(() => unless(exempt.client(session), of));
    }
    if (senders[what] !== undefined && sender !== "") {
      const of = (): Objection | undefined => over(`${what} sender`, sender, senders[what], `${text} from <${sender}>`);
      limited.push(() => unless(exempt.client(session), () => unless(exempt.sender(sender), of)));
    }
    return limited;
  }

  return {
    connect,
    auth(identity, session) {
      const most = users.sessions;
      if (most === undefined || exempt.user(identity)) return undefined;
      if (!sessions.exceeds(`user ${keyOf(identity)}`, session, most)) return undefined;
      sessions.leave(`user ${keyOf(identity)}`, session);
      return defer("Too many sessions of this user", "4.7.0", 454);
    },
    mail: (sender, session) => first(byOrigin("messages", "Too much mail", sender, session)),
    rcpt({ address }, { sender }, session) {
      const limited = byOrigin("recipients", "Too many recipients", sender, session);
      if (recipients.messages !== undefined) {
        const of = (): Objection | undefined =>
          over(
            "recipient",
            address,
            recipients.messages,
            `<${address}>: Too much mail for this recipient`,
            450,
            "4.2.1",
          );
        limited.push(() => unless(exempt.client(session), () => unless(exempt.recipient(address), of)));
      }
      return first(limited);
    },
    closed(session) {
      if (clients.sessions !== undefined) sessions.leave(`client ${networkKey(session)}`, session);
      if (users.sessions !== undefined && session.auth !== undefined)
        sessions.leave(`user ${keyOf(session.auth.identity)}`, session);
    },
  };
}

/** Asks all; the first objection stands. */
function first(limited: readonly Limited[], at = 0): MaybePromise<Objection | undefined> {
  const ask = limited[at];
  if (ask === undefined) return undefined;
  return after(ask(), (objection) => after(first(limited, at + 1), (next) => objection ?? next));
}

/** Without case, and bounded: addresses may be long. */
function keyOf(who: string): string {
  return who.toLowerCase().slice(0, 512);
}
