/** Networks in CIDR notation, as in `networks` of the config and in greylisting. IPv4-mapped IPv6 is IPv4 throughout. */
import { ConfigError } from "../errors.ts";
import { formatIp, parseIp, type Ip } from "./ip.ts";

export interface Network {
  readonly ip: Ip;
  /** 0 to 32 or 0 to 128. */
  readonly prefixLength: number;
}

/** `hostBits`: the address has bits set beyond its prefix, so that it is unclear what was meant. */
export type NetworkFault = { readonly ok: false; readonly reason: "address" | "prefix" | "hostBits" };

/** The first `bits` (0 to 32) of a 32-bit word; a shift by 32 would be none at all. */
function maskWord(word: number, bits: number): number {
  if (bits <= 0) return 0;
  return bits >= 32 ? word : (word & (-1 << (32 - bits))) >>> 0;
}

function maskIp(ip: Ip, prefixLength: number): Ip {
  if (ip.family === 4) return { family: 4, words: [maskWord(ip.words[0], prefixLength)] };
  const [a, b, c, d] = ip.words;
  return {
    family: 6,
    words: [
      maskWord(a, prefixLength),
      maskWord(b, prefixLength - 32),
      maskWord(c, prefixLength - 64),
      maskWord(d, prefixLength - 96),
    ],
  };
}

/**
 * Reads `127.0.0.0/8`, `2001:db8::/32`, a single address, and Postfix's `[::1]/128`. `::ffff:10.0.0.0/104` is 10.0.0.0/8.
 */
export function parseCidr(text: string): ({ readonly ok: true } & Network) | NetworkFault {
  const slash = text.indexOf("/");
  let address = slash < 0 ? text : text.slice(0, slash);
  const length = slash < 0 ? undefined : text.slice(slash + 1);
  if (address.startsWith("[") && address.endsWith("]")) address = address.slice(1, -1);
  const ip = address.includes("%") ? undefined : parseIp(address);
  if (ip === undefined) return { ok: false, reason: "address" };
  const bits = ip.family === 4 ? 32 : 128;
  let prefixLength = bits;
  if (length !== undefined) {
    if (!/^(?:0|[1-9]\d{0,2})$/.test(length)) return { ok: false, reason: "prefix" };
    prefixLength = Number(length) - (ip.family === 4 && address.includes(":") ? 96 : 0);
    if (prefixLength < 0 || prefixLength > bits) return { ok: false, reason: "prefix" };
  }
  if (keyOf(maskIp(ip, prefixLength)) !== keyOf(ip)) return { ok: false, reason: "hostBits" };
  return { ok: true, ip, prefixLength };
}

function keyOf({ words }: Ip): number | string {
  return words.length === 1 ? words[0] : words.join(" ");
}

export interface NetworkList {
  /** `false` for `undefined` and for what is no address. */
  contains(address: string | undefined): boolean;
}

/** For each prefix length in use, the networks of that length: a lookup costs one probe a length, however many there are. */
class PrefixIndex {
  readonly #byLength = new Map<number, Set<number | string>>();

  add({ ip, prefixLength }: Network): void {
    let networks = this.#byLength.get(prefixLength);
    if (networks === undefined) this.#byLength.set(prefixLength, (networks = new Set()));
    networks.add(keyOf(ip));
  }

  has(ip: Ip): boolean {
    for (const [prefixLength, networks] of this.#byLength) {
      if (networks.has(keyOf(maskIp(ip, prefixLength)))) return true;
    }
    return false;
  }
}

const explanations = {
  address: "is not an IP address or network",
  prefix: "has a prefix length out of range",
  hostBits: "has bits set beyond its prefix",
} as const;

function explain(text: string, reason: NetworkFault["reason"]): string {
  const sentence = `network ${JSON.stringify(text.slice(0, 80))} ${explanations[reason]}`;
  if (reason !== "hostBits") return sentence;
  const [address = "", length = ""] = text.replace(/[[\]]/g, "").split("/");
  const network = networkOf(address, { v4: Number(length), v6: Number(length) });
  return network === undefined ? sentence : `${sentence}; did you mean ${network}?`;
}

/** Throws `ConfigError` that names the entry. */
export function createNetworkList(entries: readonly string[]): NetworkList {
  const ipv4 = new PrefixIndex();
  const ipv6 = new PrefixIndex();
  for (const entry of entries) {
    const network = parseCidr(entry);
    if (!network.ok) throw new ConfigError(explain(entry, network.reason));
    (network.ip.family === 4 ? ipv4 : ipv6).add(network);
  }
  return Object.freeze({
    contains(address: string | undefined): boolean {
      const ip = address === undefined ? undefined : parseIp(address);
      return ip !== undefined && (ip.family === 4 ? ipv4 : ipv6).has(ip);
    },
  });
}

/** The network an address is in, `192.0.2.0/24` or `2001:db8::/64`; `undefined` when it is no address. */
export function networkOf(
  address: string,
  prefixLengths: { readonly v4: number; readonly v6: number },
): string | undefined {
  const ip = parseIp(address);
  if (ip === undefined) return undefined;
  const prefixLength = ip.family === 4 ? Math.min(prefixLengths.v4, 32) : Math.min(prefixLengths.v6, 128);
  return `${formatIp(maskIp(ip, prefixLength))}/${prefixLength}`;
}
