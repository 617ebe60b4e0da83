/**
 * Next-hop to the addresses to try, in order (RFC 5321 §5.1, RFC 7505): MX by preference, equal ones shuffled, A and AAAA
 * together; the name itself where there is no MX; `[host]` as it is.
 */
import { isIP } from "node:net";
import {
  bounced,
  deferred,
  DnsUnavailable,
  parseNextHop,
  smtpPort,
  type MxRecord,
  type NextHop,
  type Outcome,
  type Resolver,
} from "@postern/core";
import type { Endpoint } from "./outbound-session.ts";

export type HostList = (
  | { readonly kind: "endpoints"; readonly endpoints: readonly Endpoint[] }
  /** Nothing to connect to; so stands it for every recipient. */
  | { readonly kind: "failed"; readonly outcome: Outcome }
) & {
  /** We are among the destination's hosts: no other next-hop is tried, since it could only send the mail back. */
  readonly final?: true;
};

export interface HostOptions {
  readonly dns: Resolver;
  readonly random: () => number;
  /** Where a next-hop names no port. */
  readonly port: number;
  /** Our own name; and addresses, and listeners, of ours: mail must not come back to us. */
  readonly hostname: string;
  readonly isOwnAddress: (address: string) => boolean;
  readonly isOwnEndpoint: (address: string, port: number) => boolean;
}

/** Hosts of one MX list whose addresses are looked up. */
const mostHosts = 20;
/** Next-hops of one destination. */
const mostHops = 20;

/** Next-hops of one destination, divided by commas or blanks, in the order in which they are tried (transport(5)). */
export function splitNextHops(text: string): readonly string[] {
  if (!/[\s,]/.test(text)) return [text];
  return text
    .split(/[\s,]+/)
    .filter((hop) => hop !== "")
    .slice(0, mostHops);
}

/** The hosts of one next-hop. Never rejects. */
export async function findHosts(text: string, options: HostOptions): Promise<HostList> {
  const hop = parseNextHop(text, options.port);
  if (hop === undefined) return failed(bounced(`"${text}" is no next hop`, { enhanced: "5.4.4" }));
  try {
    return hop.mx ? await findMailExchangers(hop, options) : await findHost(hop, options);
  } catch (error) {
    const why = error instanceof DnsUnavailable ? "Host or domain name not found for now" : "Name service failed";
    return failed(deferred(`${why}. Name service error for name=${hop.host}`, { enhanced: "4.4.3" }));
  }
}

async function findHost(hop: NextHop, options: HostOptions): Promise<HostList> {
  const addresses = await findAddresses(hop.host, options.dns);
  if (addresses.length === 0) return notFound(hop.host, "A", "5.4.4");
  if (addresses.some((address) => options.isOwnEndpoint(address, hop.port))) return looping(hop.host);
  return endpoints(shuffle(addresses, options.random).map((address) => ({ name: hop.host, address, port: hop.port })));
}

async function findMailExchangers(hop: NextHop, options: HostOptions): Promise<HostList> {
  const records = await options.dns.mx(hop.host);
  if (records.some(({ exchange }) => exchange === "")) {
    const text = `Domain ${hop.host} does not accept mail (nullMX)`;
    return failed(bounced(text, { enhanced: "5.1.10" }));
  }
  if (records.length === 0) {
    const own = await findAddresses(hop.host, options.dns);
    if (own.length === 0) return notFound(hop.host, "MX", "5.1.2");
    const candidates = own.map((address) => ({ name: hop.host, address, port: hop.port, priority: 0 }));
    return withoutLoop(hop, candidates, [], options);
  }

  let unavailable = false;
  const found = await Promise.all(
    shuffleEqual(records, options.random)
      .slice(0, mostHosts)
      .map(async ({ exchange, priority }) => {
        try {
          const addresses = await findAddresses(exchange, options.dns);
          return addresses.map((address) => ({ name: exchange, address, port: hop.port, priority }));
        } catch {
          unavailable = true;
          return [];
        }
      }),
  );
  const candidates = found.flat();
  const list = withoutLoop(hop, candidates, records, options);
  if (list.final === true || candidates.length > 0) return list;
  if (unavailable) throw new DnsUnavailable(`no address of any MX of ${hop.host}`);
  return notFound(hop.host, "A", "5.4.4");
}

interface Candidate extends Endpoint {
  readonly priority: number;
}

/**
 * RFC 5321 §5.1: where we are in the list ourselves, only better hosts are tried. Our name and our addresses are ourselves at
 * port 25; elsewhere another server may well live on this machine, and only our own listeners count.
 */
function withoutLoop(
  { host, port }: NextHop,
  candidates: readonly Candidate[],
  records: readonly MxRecord[],
  options: HostOptions,
): HostList {
  const { hostname, isOwnAddress, isOwnEndpoint } = options;
  const isSelf = ({ name, address }: Candidate): boolean =>
    isOwnEndpoint(address, port) || (port === smtpPort && (name === hostname || isOwnAddress(address)));
  // A name of ours that the DNS gives no address to us is still a place in the list.
  const named = port === smtpPort ? records.filter(({ exchange }) => exchange === hostname) : [];
  const own = [...named, ...candidates.filter(isSelf)].map(({ priority }) => priority);
  if (own.length === 0) return endpoints(candidates);
  const self = Math.min(...own);
  const better = candidates.filter(({ priority }) => priority < self);
  if (better.length > 0) return { ...endpoints(better), final: true };
  // There are better hosts; it is not known now where.
  if (records.some(({ priority }) => priority < self)) {
    return { ...failed(deferred(`unable to find primary relay for ${host}`, { enhanced: "4.4.4" })), final: true };
  }
  return looping(host);
}

function looping(host: string): HostList {
  return { ...failed(bounced(`mail for ${host} loops back to myself`, { enhanced: "5.4.6" })), final: true };
}

/** A and AAAA; one of them may fail as long as the other answers with something. */
async function findAddresses(name: string, dns: Resolver): Promise<readonly string[]> {
  if (isIP(name) !== 0) return [name];
  const [v4, v6] = await Promise.allSettled([dns.a(name), dns.aaaa(name)]);
  const addresses = [v6, v4].flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
  if (addresses.length === 0) {
    for (const answer of [v4, v6]) if (answer.status === "rejected") throw answer.reason;
  }
  return addresses;
}

function shuffleEqual(records: readonly MxRecord[], random: () => number): readonly MxRecord[] {
  return shuffle(records, random).toSorted((one, other) => one.priority - other.priority);
}

/** Fisher and Yates. */
function shuffle<T>(list: readonly T[], random: () => number): T[] {
  const result = [...list];
  for (let at = result.length - 1; at > 0; at -= 1) {
    const other = Math.floor(random() * (at + 1));
    const kept = result[at] as T;
    result[at] = result[other] as T;
    result[other] = kept;
  }
  return result;
}

function endpoints(list: readonly Endpoint[]): HostList {
  return { kind: "endpoints", endpoints: list.map(({ name, address, port }) => ({ name, address, port })) };
}

function failed(outcome: Outcome): HostList {
  return { kind: "failed", outcome };
}

function notFound(name: string, type: string, enhanced: string): HostList {
  const text = `Host or domain name not found. Name service error for name=${name} type=${type}: Host not found`;
  return failed(bounced(text, { enhanced }));
}
