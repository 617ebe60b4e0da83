/** Somebody from outside, of whom nothing bad can be said: addresses that are for documentation, and DNS that knows them well. */
import type { Resolver } from "../../dns/index.ts";

/** Nobody's, ever (RFC 2606). */
export const strangerDomain = "stranger.invalid";
export const strangerName = `mail.${strangerDomain}`;
const addresses: Readonly<Record<"v4" | "v6", readonly string[]>> = {
  v4: ["192.0.2.25", "198.51.100.25", "203.0.113.25"],
  v6: ["2001:db8::25", "3fff::25"],
};

/** Of each family those that documents use (RFC 5737, RFC 3849, RFC 9637), in the order in which they are tried. */
export const strangers: readonly (readonly string[])[] = Object.freeze([addresses.v4, addresses.v6]);

const all = [...addresses.v4, ...addresses.v6];
const isStranger = (name: string): boolean => {
  const plain = name.toLowerCase().replace(/\.$/, "");
  return plain === strangerDomain || plain.endsWith(`.${strangerDomain}`);
};

/** Knows strangers and nobody else: no block list has them, and no proof waits for a network. */
export const strangersResolver: Resolver = Object.freeze<Resolver>({
  mx: async (name) => (isStranger(name) ? [{ exchange: strangerName, priority: 10 }] : []),
  a: async (name) => (isStranger(name) ? addresses.v4 : []),
  aaaa: async (name) => (isStranger(name) ? addresses.v6 : []),
  reverse: async (address) => (all.includes(address) ? [strangerName] : []),
  ns: async (name) => (isStranger(name) ? [strangerName] : []),
  txt: async () => [],
});
