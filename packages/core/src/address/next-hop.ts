/** Next-hops as Postfix writes them: `[host]:port`, `host:port`, `host`. Brackets say: this host, do not ask for its MX. */
import { canonicalDomain } from "./domain.ts";
import { formatIp, parseIp } from "./ip.ts";

export interface NextHop {
  /** A name in lower case, or an IP address without brackets. */
  readonly host: string;
  readonly port: number;
  /** Ask for the MX of `host`; never for an address. */
  readonly mx: boolean;
}

export const smtpPort = 25;
const form = /^(?:\[([^[\]\s]+)\]|([^[\]\s:]+))(?::(\d{1,5}|[a-z][a-z0-9-]*))?$/i;
/** Services of /etc/services that carry SMTP. */
const services: Readonly<Record<string, number>> = { smtp: 25, submission: 587, submissions: 465, smtps: 465 };

/** `undefined` for what is no next-hop. `defaultPort` is for one that names none. */
export function parseNextHop(text: string, defaultPort = smtpPort): NextHop | undefined {
  const [, bracketed, bare, service] = form.exec(text.trim()) ?? [];
  const port = service === undefined ? defaultPort : parsePort(service);
  if (port === undefined) return undefined;
  const ip = parseIp((bracketed ?? bare ?? "").replace(/^ipv6:/i, ""));
  if (ip !== undefined) return { host: formatIp(ip), port, mx: false };
  const host = canonicalDomain(bracketed ?? bare ?? "");
  return host === undefined ? undefined : { host, port, mx: bracketed === undefined };
}

function parsePort(service: string): number | undefined {
  const port = /^\d/.test(service) ? Number(service) : services[service.toLowerCase()];
  return port !== undefined && port > 0 && port <= 65_535 ? port : undefined;
}
