/** A network as `cidr` tables write it: `[addr/len]`, `[addr]/len`, `addr/len`, `addr` (cidr_match_parse). */
import { readIpv4, readIpv6, writeAddress, type AddressWords } from "./address.ts";

export interface Network {
  /** First and last address. */
  readonly first: AddressWords;
  readonly last: AddressWords;
}

/** The network, or what is wrong with it in Postfix's words. */
export function parseNetwork(text: string): Network | string {
  let pattern = text;
  let mask: string | undefined;
  if (pattern.startsWith("[")) {
    const close = pattern.indexOf("]");
    if (close < 0) return `missing ']' character after "[${pattern.slice(1)}"`;
    const after = pattern.slice(close + 1);
    pattern = pattern.slice(1, close);
    if (after.startsWith("/")) mask = after.slice(1);
    else if (after !== "") return `garbage after "[${pattern}]"`;
  }
  if (mask === undefined) {
    const slash = pattern.indexOf("/");
    if (slash >= 0) {
      mask = pattern.slice(slash + 1);
      pattern = pattern.slice(0, slash);
    }
  }
  const address = readAddress(pattern);
  if (mask === undefined) {
    return address === undefined ? `bad address pattern: "${pattern}"` : { first: address, last: address };
  }
  const written = `"${pattern}/${mask}"`;
  if (!/^[0-9]+$/.test(mask)) return `bad mask value in ${written}`;
  const bits = Number(mask);
  if (bits > (pattern.includes(":") ? 128 : 32)) return `bad mask length in ${written}`;
  if (address === undefined) return `bad network value in ${written}`;
  const first = address.map((word, at) => (word & maskWord(bits - at * 32)) >>> 0);
  const last = address.map((word, at) => (word | ~maskWord(bits - at * 32)) >>> 0);
  if (first.some((word, at) => word !== address[at])) {
    const better = `"${writeAddress(first)}/${bits}"`;
    return `non-null host address bits in ${written}, perhaps you should use ${better} instead`;
  }
  return { first, last };
}

function readAddress(text: string): AddressWords | undefined {
  if (!text.includes(":")) {
    const address = readIpv4(text);
    return address < 0 ? undefined : Uint32Array.of(address);
  }
  const words = new Uint32Array(4);
  return readIpv6(text, words) ? words : undefined;
}

function maskWord(bits: number): number {
  if (bits <= 0) return 0;
  return bits >= 32 ? 0xffff_ffff : (0xffff_ffff << (32 - bits)) >>> 0;
}
