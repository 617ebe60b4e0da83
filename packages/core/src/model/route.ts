/** Where a recipient goes: transport (how) and next-hop (where). */
import type { AddressClass } from "./envelope.ts";

export interface Route {
  readonly class: AddressClass;
  /** Name of a transport: "smtp", "maildir". */
  readonly transport: string;
  /** `example.test` (ask MX), `[host]`, `[host]:port`, `host:port`; empty for transports that need none. */
  readonly nextHop: string;
}

/** Messages with equal keys may share a delivery and its connection. */
export function destinationKey({ transport, nextHop }: Pick<Route, "transport" | "nextHop">): string {
  return `${transport}:${nextHop}`;
}

/** The other way; a transport's name holds no colon. */
export function parseDestination(key: string): Pick<Route, "transport" | "nextHop"> {
  const colon = key.indexOf(":");
  return { transport: key.slice(0, colon), nextHop: key.slice(colon + 1) };
}
