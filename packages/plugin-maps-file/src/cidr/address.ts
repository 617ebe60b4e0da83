/** IPv4 and IPv6 addresses as inet_pton reads them: no leading zeros, no blanks, no zones, `::` once. */

/** 32-bit words, the highest first: one of IPv4, four of IPv6. */
export type AddressWords = Uint32Array;

/** Reads an IPv4 address; -1 when it is none. */
export function readIpv4(text: string): number {
  let address = 0;
  let octet = -1;
  let dots = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 46) {
      if (octet < 0 || ++dots > 3) return -1;
      address = address * 256 + octet;
      octet = -1;
      continue;
    }
    // A zero with more behind it is refused: who wrote it may have meant an octal number.
    if (code < 48 || code > 57 || octet === 0) return -1;
    octet = octet < 0 ? code - 48 : octet * 10 + code - 48;
    if (octet > 255) return -1;
  }
  return dots === 3 && octet >= 0 ? address * 256 + octet : -1;
}

/** The groups of the address that is being read. */
const groups = new Uint16Array(8);

/** Reads an IPv6 address into `words`; false when it is none. */
export function readIpv6(text: string, words: AddressWords): boolean {
  const { length } = text;
  let count = 0;
  let gap = -1;
  let value = 0;
  let digits = 0;
  let start = 0;
  if (text.startsWith(":") && !text.startsWith("::")) return false;
  for (let at = text.startsWith(":") ? 1 : 0; at < length; at++) {
    const code = text.charCodeAt(at);
    const digit = hexDigit(code);
    if (digit >= 0) {
      if (++digits > 4) return false;
      value = value * 16 + digit;
      continue;
    }
    if (code === 46) {
      const tail = count > 6 ? -1 : readIpv4(text.slice(start));
      if (tail < 0) return false;
      groups[count++] = tail / 65_536;
      groups[count++] = tail % 65_536;
      digits = 0;
      break;
    }
    if (code !== 58) return false;
    start = at + 1;
    if (digits === 0) {
      if (gap >= 0) return false;
      gap = count;
      continue;
    }
    if (start === length || count === 8) return false;
    groups[count++] = value;
    value = 0;
    digits = 0;
  }
  if (digits > 0) {
    if (count === 8) return false;
    groups[count++] = value;
  }
  if (gap < 0 ? count !== 8 : count === 8) return false;
  if (gap >= 0) {
    groups.copyWithin(8 - (count - gap), gap, count);
    groups.fill(0, gap, 8 - (count - gap));
  }
  for (let at = 0; at < 4; at++) words[at] = (groups[at * 2] ?? 0) * 65_536 + (groups[at * 2 + 1] ?? 0);
  return true;
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  if (code >= 97 && code <= 102) return code - 87;
  if (code >= 65 && code <= 70) return code - 55;
  return -1;
}

/** As inet_ntop writes it, for the suggestion in a warning. */
export function writeAddress(words: AddressWords): string {
  if (words.length === 1) {
    const [word = 0] = words;
    return [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255].join(".");
  }
  const all = Array.from(words, (word) => [word >>> 16, word & 0xffff]).flat();
  let best = { start: 8, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (all[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const text = (from: number, to: number) =>
    all
      .slice(from, to)
      .map((each) => each.toString(16))
      .join(":");
  if (best.start === 8) return text(0, 8);
  // What holds an IPv4 address shows it.
  if (best.start === 0 && (best.length === 6 || (best.length === 5 && all[5] === 0xffff))) {
    return `::${best.length === 5 ? "ffff:" : ""}${writeAddress(words.subarray(3))}`;
  }
  return `${text(0, best.start)}::${text(best.start + best.length, 8)}`;
}
