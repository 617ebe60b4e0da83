/** Clients' names as a question gives them. */
import { formatIp, parseIp } from "../address/index.ts";
import type { Resolver } from "../dns/index.ts";

/** Knows one client by its name. */
export function namedResolver(client: string, name: string): Pick<Resolver, "reverse" | "a" | "aaaa"> {
  const ip = parseIp(client);
  const address = ip === undefined ? client : formatIp(ip);
  const known = name.toLowerCase() !== "unknown";
  const addresses = async (asked: string): Promise<readonly string[]> =>
    known && asked.toLowerCase() === name.toLowerCase() ? [address] : [];
  return {
    reverse: async () => (known ? [name] : []),
    a: (asked) => (address.includes(":") ? Promise.resolve([]) : addresses(asked)),
    aaaa: (asked) => (address.includes(":") ? addresses(asked) : Promise.resolve([])),
  };
}
