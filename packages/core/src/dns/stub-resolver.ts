/**
 * The resolver of a running gateway: a stub that asks recursive servers, with a TTL cache, one question in flight for all
 * who ask the same, and a deadline for each. It does not validate DNSSEC.
 */
import { isIP, isIPv4, isIPv6 } from "node:net";
import type { Answer } from "dns-packet";
import { parseNameServer, type NameServer } from "../address/name-server.ts";
import { ConfigError, DnsUnavailable } from "../errors.ts";
import { systemClock, type Clock } from "../model/clock.ts";
import { createAnswerCache } from "./answer-cache.ts";
import { describe, exchange, ServerSilent, type Question } from "./exchange.ts";
import { canonicalIp, isLocalhost, isLoopback, questionName, reverseName } from "./names.ts";
import { createPlaces } from "./places.ts";
import type { Records, RecordType } from "./question.ts";
import type { MxRecord, Resolver } from "./resolver.ts";
import { createServerOrder } from "./server-order.ts";
import { systemNameServers } from "./servers.ts";

export interface ResolverOptions {
  /** Addresses, with `:port` where it is not 53; those of /etc/resolv.conf by default. Throws `ConfigError`. */
  readonly servers?: readonly string[] | undefined;
  /** For one try with one server; 5 s. */
  readonly timeoutMs?: number;
  /** For a question as a whole: all servers, all tries, all aliases, and waiting for a place; 8 s. */
  readonly deadlineMs?: number;
  /** Rounds over all servers; 2. */
  readonly attempts?: number;
  /** What is kept, failures too; 10,000. */
  readonly cacheEntries?: number;
  /** Bounds for how long an answer is kept: 0, and a day. */
  readonly minTtlMs?: number;
  readonly maxTtlMs?: number;
  /** For an answer that nothing is there; 5 min. */
  readonly maxNegativeTtlMs?: number;
  /** How long a question that got no answer is not asked again; 5 s. RFC 9520 §3.2 wants 1 s to 5 min. */
  readonly failureTtlMs?: number;
  /** Questions on the wire at a time, the rest wait; 256. */
  readonly concurrency?: number;
  readonly clock?: Clock;
}

const longestChain = 10;
/** Records taken of one answer: nobody sane has more, and each may cost a connection later. */
const mostRecords = 100;

export function createResolver(options: ResolverOptions = {}): Resolver {
  const { timeoutMs = 5_000, deadlineMs = 8_000, attempts = 2, concurrency = 256, clock = systemClock } = options;
  const { cacheEntries: entries = 10_000, minTtlMs = 0, maxTtlMs = 86_400_000 } = options;
  const { maxNegativeTtlMs = 300_000, failureTtlMs = 5_000 } = options;
  const servers = createServerOrder(
    options.servers === undefined || options.servers.length === 0
      ? systemNameServers()
      : options.servers.map(readServer),
    timeoutMs,
  );
  const cache = createAnswerCache({ entries, minTtlMs, maxTtlMs, maxNegativeTtlMs, failureTtlMs }, clock);
  const places = createPlaces(concurrency, clock);
  const inFlight = new Map<string, Promise<readonly unknown[]>>();

  async function askServers(question: Question, until: number): Promise<Records> {
    const place = places.enter(until - clock.monotonic());
    if (place !== undefined) await place;
    try {
      let last: unknown;
      for (let attempt = 0; attempt < attempts; attempt += 1) {
        for (const server of servers.list()) {
          const waitMs = Math.min(servers.waitMs(server), until - clock.monotonic());
          if (waitMs <= 0) break;
          try {
            const records = await exchange(server, question, waitMs, clock);
            servers.heard(server);
            return records;
          } catch (error) {
            last = error;
            if (error instanceof ServerSilent) servers.silent(server);
            else servers.heard(server);
          }
        }
      }
      throw last instanceof DnsUnavailable
        ? last
        : new DnsUnavailable(`${describe(question)}: no answer within the deadline`, { cause: last });
    } finally {
      places.leave();
    }
  }

  /** Follows aliases that the server did not follow for us. */
  async function askChain(key: string, name: string, type: RecordType, read: (answer: Answer) => unknown) {
    const until = clock.monotonic() + deadlineMs;
    const seen = new Set<string>();
    let ttlMs = Infinity;
    let current = name;
    while (!seen.has(current) && seen.size < longestChain) {
      seen.add(current);
      const records = await askServers({ name: current, type }, until);
      ttlMs = Math.min(ttlMs, records.ttlMs);
      if (records.answers !== undefined) {
        const answer = Object.freeze(records.answers.slice(0, mostRecords).map(read));
        cache.keep(key, answer, ttlMs, records.negative === true);
        return answer;
      }
      current = questionName(records.alias ?? "") ?? name;
    }
    throw new DnsUnavailable(`${type} ${name}: aliases go round in a circle or never end`);
  }

  function ask<T>(given: string, type: RecordType, read: (answer: Answer) => T): Promise<readonly T[]> {
    const name = questionName(given);
    if (name === undefined) return Promise.resolve([]);
    const key = `${type} ${name}`;
    const known = cache.get(key);
    if (known instanceof DnsUnavailable) return Promise.reject(known);
    if (known !== undefined) return Promise.resolve(known as readonly T[]);
    let answer = inFlight.get(key);
    if (answer === undefined) {
      answer = askChain(key, name, type, read)
        .catch((error: unknown) => {
          if (error instanceof DnsUnavailable) cache.keepFailure(key, error);
          throw error;
        })
        .finally(() => inFlight.delete(key));
      inFlight.set(key, answer);
    }
    return answer as Promise<readonly T[]>;
  }

  return {
    mx: async (name) =>
      isIP(name) !== 0 || isLocalhost(name)
        ? []
        : (await ask(name, "MX", readMx)).toSorted((one, other) => one.priority - other.priority),
    a(name) {
      if (isIP(name) !== 0) return Promise.resolve(isIPv4(name) ? [name] : []);
      return isLocalhost(name) ? Promise.resolve(["127.0.0.1"]) : ask(name, "A", readText);
    },
    aaaa(name) {
      if (isIP(name) !== 0) return Promise.resolve(isIPv6(name) ? [name] : []);
      return isLocalhost(name) ? Promise.resolve(["::1"]) : ask(name, "AAAA", readAddress);
    },
    reverse(address) {
      if (isLoopback(canonicalIp(address))) return Promise.resolve(["localhost"]);
      const name = reverseName(address);
      return name === undefined ? Promise.resolve([]) : ask(name, "PTR", readName);
    },
    ns: (name) => (isIP(name) === 0 ? ask(name, "NS", readName) : Promise.resolve([])),
    txt: (name) => ask(name, "TXT", readTxt),
  };
}

function readServer(text: string): NameServer {
  const server = parseNameServer(text);
  if (server !== undefined) return server;
  throw new ConfigError(`dns.servers: "${text}" is no name server; write an address, with a port if it is not 53`);
}

function readMx(answer: Answer): MxRecord {
  if (answer.type !== "MX") return { exchange: "", priority: 65_535 };
  return Object.freeze({ exchange: bareName(answer.data.exchange), priority: answer.data.preference ?? 0 });
}

function readText(answer: Answer): string {
  return "data" in answer && typeof answer.data === "string" ? answer.data : "";
}

function readAddress(answer: Answer): string {
  return canonicalIp(readText(answer));
}

function readName(answer: Answer): string {
  return bareName(readText(answer));
}

function bareName(name: string): string {
  return (name.endsWith(".") ? name.slice(0, -1) : name).toLowerCase();
}

/** The strings of one record belong together (RFC 7208 §3.3, for one). */
function readTxt(answer: Answer): string {
  if (answer.type !== "TXT") return "";
  const parts = Array.isArray(answer.data) ? answer.data : [answer.data];
  return parts.map((part) => (typeof part === "string" ? part : part.toString("utf8"))).join("");
}
