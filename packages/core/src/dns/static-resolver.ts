/** A resolver over records given as an object: for closed networks, and for tests. */
import { isIP, isIPv4, isIPv6 } from "node:net";
import { DnsUnavailable } from "../errors.ts";
import { canonicalIp, isLocalhost, isLoopback, questionName } from "./names.ts";
import type { MxRecord, Resolver } from "./resolver.ts";

/** What stands at one name. `"unavailable"` in place of a list: the question gets no answer. */
export interface StaticRecords {
  readonly mx?: readonly (MxRecord | readonly [priority: number, exchange: string])[] | "unavailable";
  readonly a?: readonly string[] | "unavailable";
  readonly aaaa?: readonly string[] | "unavailable";
  /** Under the address itself, not under in-addr.arpa. */
  readonly ptr?: readonly string[] | "unavailable";
  readonly ns?: readonly string[] | "unavailable";
  readonly txt?: readonly string[] | "unavailable";
}

/** Keys are domain names, and addresses for `ptr`. */
export function createStaticResolver(records: Readonly<Record<string, StaticRecords>>): Resolver {
  const byName = new Map(Object.entries(records).map(([name, entry]) => [keyOf(name), entry]));

  async function find<K extends keyof StaticRecords>(
    name: string,
    type: K,
  ): Promise<Exclude<NonNullable<StaticRecords[K]>, string>> {
    const answer = byName.get(keyOf(name))?.[type] ?? [];
    if (answer === "unavailable") throw new DnsUnavailable(`${type} ${name}: no answer`);
    return answer as Exclude<NonNullable<StaticRecords[K]>, string>;
  }

  return {
    async mx(name) {
      const found: MxRecord[] = [];
      for (const entry of await find(name, "mx")) {
        found.push("exchange" in entry ? entry : { priority: entry[0], exchange: entry[1].toLowerCase() });
      }
      return found.toSorted((one, other) => one.priority - other.priority);
    },
    async a(name) {
      if (isIP(name) !== 0) return isIPv4(name) ? [name] : [];
      return isLocalhost(name) ? ["127.0.0.1"] : find(name, "a");
    },
    async aaaa(name) {
      if (isIP(name) !== 0) return isIPv6(name) ? [name] : [];
      return isLocalhost(name) ? ["::1"] : find(name, "aaaa");
    },
    async reverse(address) {
      const known = await find(address, "ptr");
      return known.length === 0 && isLoopback(canonicalIp(address)) ? ["localhost"] : known;
    },
    ns: (name) => find(name, "ns"),
    txt: (name) => find(name, "txt"),
  };
}

function keyOf(name: string): string {
  return isIP(name) === 0 ? (questionName(name) ?? name) : canonicalIp(name);
}
