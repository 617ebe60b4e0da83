/** All that the config says about where mail goes, opened: its tables, its keys, and the question itself. */
import { ConfigError } from "../errors.ts";
import type { ResolvedConfig } from "../config/resolve.ts";
import { after, type MaybePromise, type Route } from "../model/index.ts";
import type { AddressBook } from "./address-book.ts";
import type { OwnEndpoints } from "./own-endpoints.ts";
import {
  parseNextHops,
  parseRouteResult,
  parseTransport,
  type RouteResult,
  type TransportNames,
} from "./route-result.ts";
import { openRouteTables, type RouteTablesOptions } from "./route-tables.ts";
import { bounceTextOf, createRouter, routeByFilter, type ResolveRoute, type RoutedClass } from "./router.ts";
import { openSenderTables } from "./sender-tables.ts";

export type RoutingConfig = Pick<
  ResolvedConfig,
  "recipientDelimiter" | "relayhost" | "routes" | "senderRelayhosts" | "senderTransports" | "transports"
>;

export interface RoutingScope extends Pick<RouteTablesOptions, "clock" | "openTable"> {
  readonly addresses: Pick<AddressBook, "classOf">;
  /** Those that plugins bring; core's own are known. */
  readonly transports: TransportNames;
  readonly own: OwnEndpoints;
  /** The domain that addresses without one get. */
  readonly origin: string;
}

export interface Routing {
  readonly route: ResolveRoute;
  /** The route that a content filter prescribes, `transport:nexthop`. Throws `ConfigError` for what cannot be used. */
  readonly routeFor: (filter: string, address: string) => Omit<Route, "class">;
  /** A key or a table may say that mail bounces; otherwise only what is written to our own address literal does. */
  readonly mayBounce: boolean;
}

/** Throws `ConfigError` for a table that cannot be opened, and for the first value in sight that cannot be used. */
export async function openRouting(config: RoutingConfig, scope: RoutingScope): Promise<Routing> {
  const { recipientDelimiter, relayhost, routes, senderRelayhosts, senderTransports } = config;
  const { addresses, clock, openTable, transports, own, origin } = scope;
  const shared = { recipientDelimiter, openTable };
  const byClass: Partial<Record<RoutedClass, RouteResult>> = {};
  for (const name of ["local", "virtualMailbox", "relay", "default"] as const) {
    const given = config.transports[name];
    if (given !== undefined) byClass[name] = parseKey(`transports.${name}`, given, transports);
  }
  const route = createRouter({
    addresses,
    relayhost,
    transports: byClass,
    own,
    origin,
    tables: routes.length === 0 ? undefined : await openRouteTables(routes, { ...shared, clock, transports }),
    senderRelayhosts:
      senderRelayhosts.length === 0
        ? undefined
        : await openSenderTables(senderRelayhosts, { ...shared, key: "senderRelayhosts", parse: parseNextHops }),
    senderTransports:
      senderTransports.length === 0
        ? undefined
        : await openSenderTables(senderTransports, {
            ...shared,
            key: "senderTransports",
            parse: (value) => parseTransport(value, transports),
          }),
  });
  return Object.freeze({
    route,
    routeFor: (filter: string, address: string) => routeByFilter(filter, address, transports),
    mayBounce: routes.length > 0 || senderTransports.length > 0 || Object.keys(byClass).length > 0,
  });
}

function parseKey(key: string, value: string, transports: TransportNames): RouteResult {
  try {
    return parseRouteResult(value, transports);
  } catch (error) {
    throw new ConfigError(`${key}: ${(error as Error).message}`, { cause: error });
  }
}

/** What would bounce for good can be refused before it is taken; an alias goes elsewhere. */
export function withBounces(
  book: AddressBook,
  { route, mayBounce }: Pick<Routing, "route" | "mayBounce">,
  isAlias: (address: string) => MaybePromise<boolean>,
): AddressBook {
  return Object.freeze({
    ...book,
    bounceText(address: string, sender: string): MaybePromise<string | undefined> {
      if (!mayBounce && !address.endsWith("]")) return undefined;
      return after(route({ address, sender }), (found): MaybePromise<string | undefined> => {
        const text = bounceTextOf(found);
        if (text === undefined) return undefined;
        return after(isAlias(address), (alias) => (alias ? undefined : text));
      });
    },
  });
}
