/**
 * Recipient and sender → transport and next-hop, by address class, the config's keys and its tables, in the order of Postfix's
 * trivial-rewrite(8). Opens nothing.
 */
import { formatIp, parseAddressLiteral } from "../address/index.ts";
import { after, isPromise, type AddressClass, type MaybePromise, type Route } from "../model/index.ts";
import type { AddressBook, OwnClass } from "./address-book.ts";
import type { OwnEndpoints } from "./own-endpoints.ts";
import { failureText, parseTransport, type RouteResult, type TransportNames } from "./route-result.ts";
import type { RouteTables } from "./route-tables.ts";
import type { SenderTables } from "./sender-tables.ts";

/** Classes whose transport a config may name. */
export type RoutedClass = Exclude<OwnClass, "virtualAlias"> | "default";
export type ClassTransports = Readonly<Partial<Record<RoutedClass, RouteResult>>>;

export interface RouterOptions {
  readonly addresses: Pick<AddressBook, "classOf">;
  /** Where mail that we do not keep goes in place of its domain's MX; next-hops as the config has checked them. */
  readonly relayhost: string | undefined;
  /** `transports` of the config. */
  readonly transports?: ClassTransports;
  /** Transport tables; `undefined` when the config has none, as with the others. */
  readonly tables?: RouteTables | undefined;
  readonly senderRelayhosts?: SenderTables<string> | undefined;
  readonly senderTransports?: SenderTables<RouteResult> | undefined;
  /** Our own domain: its senders are local whatever its class. */
  readonly origin?: string;
  /** Addresses that mail written to an address literal must not be sent to. */
  readonly own?: Pick<OwnEndpoints, "isOwnAddress">;
}

export interface RouteAsk {
  /** The recipient. */
  readonly address: string;
  /** Of the envelope; "" is the null sender. */
  readonly sender: string;
}

/** Throws `TableUnavailable` when the class cannot be told, or a table cannot be asked. */
export type ResolveRoute = (ask: RouteAsk) => MaybePromise<Route>;

/**
 * `local` and `virtualMailbox` stay here; `relay` and all other domains leave by SMTP, unless `transports` says otherwise. Where
 * they leave to is said, first to last, by the next-hop of the transport's own key, the sender's relayhost, the relayhost, the domain. What a
 * transport table says goes before all that. An address of `virtualAlias` that nobody expanded goes to "error", which bounces
 * it, whatever a table says.
 */
export function createRouter(options: RouterOptions): ResolveRoute {
  const { addresses, relayhost, transports = {}, tables, senderRelayhosts, senderTransports, own, origin } = options;
  const { local, virtualMailbox, relay = smtp, default: other = smtp } = transports;

  return ({ address: written, sender }) => {
    const at = written.lastIndexOf("@");
    // One final dot says nothing.
    const hasFinalDot = at >= 0 && written.endsWith(".") && !written.endsWith("..");
    const address = hasFinalDot ? written.slice(0, -1) : written;
    const domain = at < 0 ? "" : address.slice(at + 1).toLowerCase();
    const name: MaybePromise<AddressClass> = at < 0 ? "local" : addresses.classOf(domain);
    const draft = isPromise(name) ? name.then((known) => draftFor(known, sender)) : draftFor(name, sender);
    if (tables === undefined) {
      return isPromise(draft) ? draft.then((known) => routeTo(known, domain)) : routeTo(draft, domain);
    }
    return after(draft, (known) => {
      if (known.class === "virtualAlias") return routeTo(known, domain);
      return after(tables.find(address), (said) => routeTo(override(known, said), domain));
    });
  };

  function draftFor(name: AddressClass, sender: string): MaybePromise<Draft> {
    switch (name) {
      case "local":
        return draftOf(name, local ?? kept);
      case "virtualMailbox":
        return draftOf(name, virtualMailbox ?? kept);
      case "virtualAlias":
        return { class: name, transport: "error", nextHop: "5.1.1 User unknown in virtual alias table" };
      case "relay":
        return leave(name, relay, sender);
      case "default":
        if (senderTransports === undefined) return leave(name, other, sender);
        return after(askSender(senderTransports, sender), (found) => leave(name, found ?? other, sender));
    }
  }

  /** A next-hop of the transport's own key goes before every relayhost. */
  function leave(name: AddressClass, by: RouteResult, sender: string): MaybePromise<Draft> {
    if (by.nextHop !== "") return draftOf(name, by);
    const { transport } = by;
    if (senderRelayhosts === undefined) return { class: name, transport, nextHop: relayhost };
    return after(askSender(senderRelayhosts, sender), (found) => ({
      class: name,
      transport,
      nextHop: found ?? relayhost,
    }));
  }

  function askSender<T>(asked: SenderTables<T>, sender: string): MaybePromise<T | undefined> {
    const domain = sender.slice(sender.lastIndexOf("@") + 1).toLowerCase();
    if (sender === "" || domain === origin) return asked.find(sender, sender !== "");
    return after(addresses.classOf(domain), (name) => asked.find(sender, name === "local"));
  }

  function routeTo({ class: name, transport, nextHop }: Draft, domain: string): Route {
    if (nextHop !== undefined) return { class: name, transport, nextHop };
    if (own !== undefined && domain.startsWith("[")) {
      const ip = parseAddressLiteral(domain);
      if (ip !== undefined && own.isOwnAddress(formatIp(ip))) {
        return { class: name, transport: "error", nextHop: `5.4.6 mail for ${domain} loops back to myself` };
      }
    }
    return { class: name, transport, nextHop: domain };
  }
}

/** A route whose next-hop may still be the recipient's domain: `undefined`. */
interface Draft {
  readonly class: AddressClass;
  readonly transport: string;
  readonly nextHop: string | undefined;
}

const smtp: RouteResult = Object.freeze({ transport: "smtp", nextHop: "" });
/** Mailboxes are one destination, whatever their domains. */
const kept = Object.freeze({ transport: "maildir", nextHop: "" });

function draftOf(name: AddressClass, by: RouteResult): Draft {
  const { transport, nextHop } = by;
  return { class: name, transport, nextHop: nextHop === "" && by !== kept ? undefined : nextHop };
}

function override(draft: Draft, said: RouteResult | undefined): Draft {
  if (said === undefined) return draft;
  const { transport, nextHop } = said;
  if (transport === "") {
    if (nextHop === "") return draft;
    // What was refused for now, or for good, is so still, in other words.
    const kind = draft.nextHop?.startsWith("4") === true ? "retry" : "error";
    return { ...draft, nextHop: draft.transport === "error" ? failureText(kind, nextHop) : nextHop };
  }
  return { ...draft, transport, nextHop: nextHop === "" ? undefined : nextHop };
}

/**
 * The route that a content filter prescribes, `transport:nexthop`, whatever the recipient's own would be; without a next-hop it
 * is the recipient's domain. Throws `ConfigError` for what cannot be used.
 */
export function routeByFilter(filter: string, address: string, transports: TransportNames): Omit<Route, "class"> {
  const { transport, nextHop } = parseTransport(filter, transports);
  return { transport, nextHop: nextHop === "" ? address.slice(address.lastIndexOf("@") + 1).toLowerCase() : nextHop };
}

/**
 * The code and text with which a route of "error" bounces for good; `undefined` for any other route. An address that is no alias
 * can be refused with it before it is taken.
 */
export function bounceTextOf({ class: name, transport, nextHop }: Route): string | undefined {
  return transport === "error" && name !== "virtualAlias" && nextHop.startsWith("5") ? nextHop : undefined;
}
