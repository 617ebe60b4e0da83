/** `transport:nexthop` as transport(5) writes it, in tables, per-class keys and filters; and lists of next-hops. Pure. */
import { didYouMean } from "../config/nearest.ts";
import { parseNextHop } from "../address/next-hop.ts";
import { ConfigError } from "../errors.ts";

/** What a table says about a recipient's route. */
export interface RouteResult {
  /** A transport's name here; empty: the one that it would have without the table. */
  readonly transport: string;
  /** Empty: the recipient's domain, or with an empty transport what it would be without the table. */
  readonly nextHop: string;
}

export interface TransportNames {
  has(name: string): boolean;
  /** For the nearest word. */
  names(): readonly string[];
}

/** Services of Postfix's master.cf by the transports that do their work here, unless a plugin brings one of that name. */
const postfixNames: Readonly<Record<string, string>> = { relay: "smtp", local: "maildir", virtual: "maildir" };

/** Core's own, which no plugin brings. */
export const coreTransports: readonly string[] = Object.freeze(["error", "retry", "discard"]);

const enhancedFirst = /^[245]\.\d{1,3}\.\d{1,3}(?:\s|$)/;
const longestNextHop = 1000;

/** Throws `ConfigError`, without a place, for a transport that nobody brings and for what is no next-hop. */
export function parseRouteResult(value: string, transports: TransportNames): RouteResult {
  const colon = value.indexOf(":");
  const written = (colon < 0 ? value : value.slice(0, colon)).trim();
  const nextHop = colon < 0 ? "" : value.slice(colon + 1).trim();
  if (nextHop.length > longestNextHop)
    throw new ConfigError(`the next-hop is longer than ${longestNextHop} characters`);
  if (written === "error" || written === "retry") return { transport: "error", nextHop: failureText(written, nextHop) };
  const transport = resolveTransport(written, transports);
  return { transport, nextHop: transport === "smtp" && nextHop !== "" ? parseNextHops(nextHop) : nextHop };
}

/** The same where a transport must be named: per class, by sender, as a content filter. */
export function parseTransport(value: string, transports: TransportNames): RouteResult {
  const result = parseRouteResult(value, transports);
  if (result.transport === "") throw new ConfigError(`"${value}" names no transport`);
  return result;
}

function resolveTransport(written: string, transports: TransportNames): string {
  if (written === "" || written === "discard" || transports.has(written)) return written;
  const own = postfixNames[written];
  if (own !== undefined && transports.has(own)) return own;
  if (own !== undefined)
    throw new ConfigError(`transport "${written}" needs the transport "${own}", which no plugin brings`);
  const names = [...transports.names(), ...Object.keys(postfixNames), ...coreTransports];
  throw new ConfigError(`no plugin brings the transport "${written}"${didYouMean(written, names)}`);
}

/** The text of error(8) with an enhanced code that says whether it is final. */
export function failureText(transport: "error" | "retry", text: string): string {
  const code = transport === "error" ? "5.0.0" : "4.0.0";
  if (text === "") return `${code} Address is undeliverable`;
  if (!enhancedFirst.test(text)) return `${code} ${text}`;
  // The transport says whether it is for now or for good.
  return `${code.charAt(0)}${text.slice(1)}`;
}

/** One or several, by commas or blanks, in the order in which they are tried. Throws `ConfigError`, without a place. */
export function parseNextHops(text: string): string {
  const hops = text.split(/[\s,]+/).filter((hop) => hop !== "");
  if (hops.length === 0) throw new ConfigError(`"${text}" is no next-hop`);
  for (const hop of hops) if (parseNextHop(hop) === undefined) throw new ConfigError(`"${hop}" is no next-hop`);
  return hops.join(", ");
}
