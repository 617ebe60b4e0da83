/** A DNS list as words name it, `zone`, `zone=127.0.0.[2..4;8]`, and what it says about an address or a domain (RFC 5782). */
import { ConfigError, isValidHostname, parseIp, type Resolver } from "@postern/core";
import { orUnavailable, type Budget } from "./budget.ts";

export interface DnsList {
  /** As written, the key of `rblReplies`. */
  readonly written: string;
  readonly zone: string;
  /** Is an answer of the list meant? Every one is, without a filter. */
  matches(address: string): boolean;
}

/** Throws `ConfigError`. */
export function parseDnsList(written: string): DnsList {
  const [, zone = "", filter] = /^([^=]*)(?:=(.*))?$/s.exec(written) ?? [];
  if (!isValidHostname(zone)) throw new ConfigError(`"${zone}" is no domain name of a DNS list`);
  return { written, zone, matches: filter === undefined ? () => true : parseAnswerFilter(filter) };
}

/**
 * Postfix's patterns of IPv4 addresses: four fields, each a number or `[…]` with numbers and ranges, `127.0.0.[2;4..8]`; brackets around
 * the whole are allowed. Throws `ConfigError`.
 */
export function parseAnswerFilter(text: string): (address: string) => boolean {
  const pattern = /^\[(.*\..*\..*\..*)\]$/s.exec(text)?.[1] ?? text;
  const fields = pattern.match(/\[[^\]]*\]|[^.[\]]+/g) ?? [];
  if (fields.length !== 4 || fields.join(".") !== pattern) {
    throw new ConfigError(`"${text}" is no pattern of answers; write one such as 127.0.0.[2..11]`);
  }
  const octets = fields.map(parseField);
  return (address) => {
    const ip = parseIp(address);
    if (ip === undefined || ip.family !== 4) return false;
    return address.split(".").every((octet, at) => octets[at]?.has(Number(octet)) === true);
  };
}

function parseField(field: string): ReadonlySet<number> {
  const members = field.startsWith("[") ? field.slice(1, -1).split(";") : [field];
  const octets = new Set<number>();
  for (const member of members) {
    const [, first = "", last = first] = /^(\d{1,3})(?:\.\.(\d{1,3}))?$/.exec(member) ?? [];
    const [from, to] = [Number(first), Number(last)];
    if (first === "" || to > 255 || from > to || (members.length === 1 && field === member && last !== first)) {
      throw new ConfigError(`"${field}" is neither a number up to 255 nor a list of such, as [2;4..8]`);
    }
    for (let octet = from; octet <= to; octet++) octets.add(octet);
  }
  return octets;
}

/** `2.0.0.127.zone`; nibbles for IPv6. `undefined` for what is no address. */
export function addressQuestion(address: string, { zone }: DnsList): string | undefined {
  const ip = parseIp(address);
  if (ip === undefined) return undefined;
  if (ip.family === 4) return `${address.split(".").toReversed().join(".")}.${zone}`;
  const nibbles = ip.words.map((word) => word.toString(16).padStart(8, "0")).join("");
  return `${nibbles.split("").toReversed().join(".")}.${zone}`;
}

/** `domain.zone`. `undefined` for what is no name, and for one that ends like an address: lists of domains refuse those. */
export function domainQuestion(domain: string, { zone }: DnsList): string | undefined {
  if (/(?:^|\.)\d+$/.test(domain) || !isValidHostname(domain)) return undefined;
  return `${domain}.${zone}`;
}

/** Is it listed? `undefined` when the list gave no answer. */
export async function askList(
  question: string,
  list: DnsList,
  dns: Resolver,
  budget: Budget,
): Promise<boolean | undefined> {
  const answers = await orUnavailable(budget.ask(() => dns.a(question)));
  return answers?.some((answer) => list.matches(answer));
}

const longestReason = 500;

/** The list's own words, all of them joined; none when they cannot be had. */
export async function reasonFor(question: string, dns: Resolver, budget: Budget): Promise<string> {
  const texts = (await orUnavailable(budget.ask(() => dns.txt(question)))) ?? [];
  return texts.join(" / ").slice(0, longestReason);
}
