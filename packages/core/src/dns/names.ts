/** Names and addresses as DNS wants them (RFC 1035 §2.3.4, RFC 3596 §2.5, RFC 6761 §6.3). No I/O. */
import { isIPv4 } from "node:net";
import { domainToAscii } from "../address/idn.ts";
import { formatIp, parseIp } from "../address/ip.ts";

/** Lower case, A-labels, no trailing dot; `undefined` for what cannot stand in a question. */
export function questionName(name: string): string | undefined {
  const bare = name.endsWith(".") ? name.slice(0, -1) : name;
  // Underscores and other octets are legal in DNS, so only U-labels go through IDNA.
  const ascii = /^[\x21-\x7e]*$/.test(bare) ? bare.toLowerCase() : domainToAscii(bare);
  if (ascii === null || ascii === "" || ascii.length > 253) return undefined;
  return ascii.split(".").every((label) => label.length > 0 && label.length <= 63) ? ascii : undefined;
}

/** `4.3.2.1.in-addr.arpa` or the nibbles under `ip6.arpa`; `undefined` for what is no address. */
export function reverseName(address: string): string | undefined {
  const ip = parseIp(address);
  if (ip === undefined) return undefined;
  if (ip.family === 4) return `${formatIp(ip).split(".").toReversed().join(".")}.in-addr.arpa`;
  const nibbles = ip.words.map((word) => word.toString(16).padStart(8, "0")).join("");
  return `${nibbles.split("").toReversed().join(".")}.ip6.arpa`;
}

/** An address in one spelling (RFC 5952); anything else as it is. */
export function canonicalIp(address: string): string {
  const ip = parseIp(address);
  return ip === undefined ? address : formatIp(ip);
}

/** `localhost` and everything below it (RFC 6761 §6.3). */
export function isLocalhost(name: string): boolean {
  return /^(?:.+\.)?localhost\.?$/i.test(name);
}

export function isLoopback(address: string): boolean {
  return address === "::1" || (isIPv4(address) && address.startsWith("127."));
}
