/** Recipient → transport and next-hop, by address class. Opens nothing. */
import { after, type AddressClass, type MaybePromise, type Recipient, type Route } from "../model/index.ts";
import type { AddressBook } from "./address-book.ts";

export interface RouterOptions {
  readonly addresses: Pick<AddressBook, "classOf">;
  /** Where mail that we do not keep goes in place of its domain's MX; a next-hop as the config has checked it. */
  readonly relayhost: string | undefined;
}

/** Throws `TableUnavailable` when the class cannot be told. */
export type ResolveRoute = (recipient: Pick<Recipient, "address">) => MaybePromise<Route>;

/**
 * `local` and `virtualMailbox` stay here; `relay` and all other domains leave by SMTP, to the relayhost when there is one
 * (Postfix's relayhost holds for both). An address of `virtualAlias` that nobody expanded goes to "error", which bounces it.
 */
export function createRouter({ addresses, relayhost }: RouterOptions): ResolveRoute {
  return ({ address }) => {
    const at = address.lastIndexOf("@");
    if (at < 0) return routeFor("local", "");
    const domain = address.slice(at + 1);
    return after(addresses.classOf(domain), (name) => routeFor(name, domain));
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
