/** Names and addresses as DNS wants them (RFC 1035 §2.3.4, RFC 3596 §2.5, RFC 6761 §6.3). No I/O. */
import { isIP, isIPv4 } from "node:net";
import { domainToASCII } from "node:url";

/** Lower case, A-labels, no trailing dot; `undefined` for what cannot stand in a question. */
export function questionName(name: string): string | undefined {
  const bare = name.endsWith(".") ? name.slice(0, -1) : name;
  // Underscores and other octets are legal in DNS, so only U-labels go through IDNA.
  const ascii = /^[\x21-\x7e]*$/.test(bare) ? bare.toLowerCase() : domainToASCII(bare);
  if (ascii === "" || ascii.length > 253) return undefined;
  return ascii.split(".").every((label) => label.length > 0 && label.length <= 63) ? ascii : undefined;
}

/** `4.3.2.1.in-addr.arpa` or the nibbles under `ip6.arpa`; `undefined` for what is no address. */
export function reverseName(address: string): string | undefined {
  if (isIPv4(address)) return `${address.split(".").toReversed().join(".")}.in-addr.arpa`;
  if (isIP(address) !== 6) return undefined;
  const nibbles = groupsOf(address).map((group) => group.toString(16).padStart(4, "0"));
  return `${nibbles.join("").split("").toReversed().join(".")}.ip6.arpa`;
}

/** An IPv6 address in one spelling (RFC 5952 by way of the URL parser); anything else as it is. */
export function canonicalAddress(address: string): string {
  if (isIP(address) !== 6) return address;
  return new URL(`http://[${address.replace(/%.*$/, "")}]/`).hostname.slice(1, -1);
}

function groupsOf(address: string): number[] {
  const [head = "", tail] = canonicalAddress(address).split("::");
  const parse = (part: string): number[] => (part === "" ? [] : part.split(":").map((group) => parseInt(group, 16)));
  const [before, after] = [parse(head), parse(tail ?? "")];
  return tail === undefined
    ? before
    : [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
}

/** `localhost` and everything below it (RFC 6761 §6.3). */
export function isLocalhost(name: string): boolean {
  return /^(?:.+\.)?localhost\.?$/i.test(name);
}

export function isLoopback(address: string): boolean {
  return address === "::1" || (isIPv4(address) && address.startsWith("127."));
}
