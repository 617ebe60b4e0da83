/** Recipient → transport and next-hop, by address class and the config's transport tables. Opens nothing. */
import { after, type AddressClass, type MaybePromise, type Recipient, type Route } from "../model/index.ts";
import type { AddressBook } from "./address-book.ts";
import type { RouteResult } from "./route-result.ts";
import type { RouteTables } from "./route-tables.ts";

export interface RouterOptions {
  readonly addresses: Pick<AddressBook, "classOf">;
  /** Where mail that we do not keep goes in place of its domain's MX; a next-hop as the config has checked it. */
  readonly relayhost: string | undefined;
  /** `undefined` when the config has none. */
  readonly tables?: RouteTables | undefined;
}

/** Throws `TableUnavailable` when the class cannot be told, or a transport table cannot be asked. */
export type ResolveRoute = (recipient: Pick<Recipient, "address">) => MaybePromise<Route>;

/**
 * `local` and `virtualMailbox` stay here; `relay` and all other domains leave by SMTP, to the relayhost when there is one
 * (Postfix's relayhost holds for both). What a transport table says goes before that. An address of `virtualAlias` that nobody
 * expanded goes to "error", which bounces it, whatever a table says.
 */
export function createRouter({ addresses, relayhost, tables }: RouterOptions): ResolveRoute {
  return ({ address }) => {
    const at = address.lastIndexOf("@");
    const domain = at < 0 ? "" : address.slice(at + 1);
    const name: MaybePromise<AddressClass> = at < 0 ? "local" : addresses.classOf(domain);
    if (tables === undefined) return after(name, (known) => routeFor(known, domain));
    return after(name, (known) => {
      const route = routeFor(known, domain);
      if (known === "virtualAlias") return route;
      return after(tables.find(address), (said) => override(route, said, domain));
    });
  };

  function routeFor(name: AddressClass, domain: string): Route {
    switch (name) {
      case "local":
      case "virtualMailbox":
        return { class: name, transport: "maildir", nextHop: "" };
      case "virtualAlias":
        return { class: name, transport: "error", nextHop: "5.1.1 User unknown in virtual alias table" };
      case "relay":
      case "default":
        return { class: name, transport: "smtp", nextHop: relayhost ?? domain };
    }
  }
}

function override(route: Route, said: RouteResult | undefined, domain: string): Route {
  if (said === undefined) return route;
  const { transport, nextHop } = said;
  if (transport === "") return nextHop === "" ? route : { ...route, nextHop };
  return { ...route, transport, nextHop: nextHop === "" ? domain : nextHop };
}

/**
 * The code and text with which a route of "error" bounces for good; `undefined` for any other route. An address that is no alias
 * can be refused with it before it is taken.
 */
export function bounceTextOf({ class: name, transport, nextHop }: Route): string | undefined {
  return transport === "error" && name !== "virtualAlias" && nextHop.startsWith("5") ? nextHop : undefined;
}
