/** IP addresses as numbers (RFC 4291, RFC 5952) and as address literals (RFC 5321 §4.1.3). */

/** `words` are unsigned 32-bit numbers, most significant first: one for IPv4, four for IPv6. */
export type Ip =
  | { readonly family: 4; readonly words: readonly [number] }
  | { readonly family: 6; readonly words: readonly [number, number, number, number] };

const dot = 0x2e;
const colon = 0x3a;
/** The longest form, `ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255`, and a zone. */
const longestText = 64;

function parseIpv4(text: string): number | undefined {
  if (text.length < 7 || text.length > 15) return undefined;
  let address = 0;
  let octets = 0;
  let value = -1;
  for (let at = 0; at <= text.length; at++) {
    const code = at < text.length ? text.charCodeAt(at) : dot;
    if (code === dot) {
      if (value < 0) return undefined;
      address = address * 256 + value;
      octets++;
      value = -1;
    } else {
      // A leading zero is octal to some and decimal to others: to us it is no address.
      if (code < 0x30 || code > 0x39 || value === 0) return undefined;
      value = (value < 0 ? 0 : value * 10) + code - 0x30;
      if (value > 255) return undefined;
    }
  }
  return octets === 4 ? address : undefined;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** Eight 16-bit groups. */
function parseIpv6(text: string): number[] | undefined {
  const groups: number[] = [];
  let gap = -1;
  let at = 0;
  if (text.startsWith("::")) {
    gap = 0;
    at = 2;
  }
  while (at < text.length) {
    if (groups.length === 8) return undefined;
    let value = 0;
    const start = at;
    for (let digit; at < text.length && (digit = hexDigit(text.charCodeAt(at))) >= 0; at++) value = value * 16 + digit;
    if (at < text.length && text.charCodeAt(at) === dot) {
      const ipv4 = parseIpv4(text.slice(start));
      if (ipv4 === undefined || groups.length > 6) return undefined;
      groups.push(Math.floor(ipv4 / 65536), ipv4 % 65536);
      at = text.length;
      break;
    }
    if (at === start || at - start > 4) return undefined;
    groups.push(value);
    if (at === text.length) break;
    if (text.charCodeAt(at) !== colon) return undefined;
    at++;
    if (at < text.length && text.charCodeAt(at) === colon) {
      if (gap >= 0) return undefined;
      gap = groups.length;
      at++;
    } else if (at === text.length) {
      return undefined;
    }
  }
  if (gap < 0) return groups.length === 8 ? groups : undefined;
  if (groups.length > 7) return undefined;
  groups.splice(gap, 0, ...Array<number>(8 - groups.length).fill(0));
  return groups;
}

/**
 * Reads `192.0.2.1` or `2001:db8::1`, without brackets. IPv4-mapped IPv6 comes back as IPv4; a zone (`%eth0`) is dropped.
 * `undefined` for anything else.
 */
export function parseIp(text: string): Ip | undefined {
  if (text.length > longestText) return undefined;
  const ipv4 = parseIpv4(text);
  if (ipv4 !== undefined) return { family: 4, words: [ipv4] };
  if (!text.includes(":")) return undefined;
  const zone = text.indexOf("%");
  const groups = parseIpv6(zone < 0 ? text : text.slice(0, zone));
  if (groups === undefined) return undefined;
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = groups;
  const last = g * 65536 + h;
  if ((a | b | c | d | e) === 0 && f === 0xffff) return { family: 4, words: [last] };
  return { family: 6, words: [a * 65536 + b, c * 65536 + d, e * 65536 + f, last] };
}

function formatIpv6(words: readonly number[]): string {
  const groups = words.flatMap((word) => [Math.floor(word / 65536), word % 65536]);
  // RFC 5952 §4.2: the longest run of at least two zeros, the first of equals.
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
    start += length;
  }
  const hex = (part: readonly number[]) => part.map((group) => group.toString(16)).join(":");
  if (best.start < 0) return hex(groups);
  return `${hex(groups.slice(0, best.start))}::${hex(groups.slice(best.start + best.length))}`;
}

/** Canonical text (RFC 5952), without brackets. */
export function formatIp({ family, words }: Ip): string {
  if (family === 6) return formatIpv6(words);
  const [word] = words;
  return `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}`;
}

/** Reads `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3); no other tag is known. */
export function parseAddressLiteral(text: string): Ip | undefined {
  if (!text.startsWith("[") || !text.endsWith("]") || text.includes("%")) return undefined;
  const inner = text.slice(1, -1);
  if (inner.slice(0, 5).toLowerCase() !== "ipv6:") {
    return inner.includes(":") ? undefined : parseIp(inner);
  }
  const address = inner.slice(5);
  return address.includes(":") ? parseIp(address) : undefined;
}

/** `[192.0.2.1]`, `[IPv6:2001:db8::1]`: as HELO, as a domain, in Received. */
export function formatAddressLiteral(ip: Ip): string {
  return ip.family === 4 ? `[${formatIp(ip)}]` : `[IPv6:${formatIp(ip)}]`;
}
