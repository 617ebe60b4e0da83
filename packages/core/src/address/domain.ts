/** Host and domain names: what Postfix's valid_hostname takes, and the domain of a mailbox (RFC 5321 §4.1.2). */
import { domainToAscii, domainToUnicode } from "./idn.ts";
import { formatAddressLiteral, parseAddressLiteral } from "./ip.ts";

/** RFC 5321 §4.5.3.1.2, octets. */
const longestName = 255;
const longestLabel = 63;

const hyphen = 0x2d;
const dot = 0x2e;

function isAsciiHostname(name: string): boolean {
  if (name.length === 0 || name.length > longestName) return false;
  let labelLength = 0;
  let numeric = true;
  let previous = dot;
  for (let at = 0; at < name.length; at++) {
    const code = name.charCodeAt(at);
    if (code === dot) {
      if (labelLength === 0 || previous === hyphen) return false;
      labelLength = 0;
    } else {
      const digit = code >= 0x30 && code <= 0x39;
      const lower = code | 0x20;
      // Underscores are in no RFC and in many names.
      if (!digit && !(lower >= 0x61 && lower <= 0x7a) && code !== 0x5f && (code !== hyphen || labelLength === 0)) {
        return false;
      }
      if (++labelLength > longestLabel) return false;
      if (!digit) numeric = false;
    }
    previous = code;
  }
  return labelLength > 0 && previous !== hyphen && !numeric;
}

/**
 * A host name as Postfix's valid_hostname has it: labels of 1 to 63 letters, digits, hyphens inside and underscores, 255
 * octets in all, not wholly numeric, no final dot. U-labels count by their A-labels.
 */
export function isValidHostname(name: string): boolean {
  if (isAsciiHostname(name)) return true;
  const ascii = isAscii(name) ? null : domainToAscii(name);
  return ascii !== null && isAsciiHostname(ascii);
}

/** A valid host name with a dot inside; one final dot is allowed, as in reject_non_fqdn_*. Literals are not names. */
export function isFqdn(name: string): boolean {
  const bare = name.endsWith(".") ? name.slice(0, -1) : name;
  return bare.includes(".") && isValidHostname(bare);
}

export function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0x7f) return false;
  return true;
}

/**
 * The canonical form of a mailbox's domain: a name in lower case, its U-labels normalised (UTS 46) but kept as U-labels, or an
 * address literal in its canonical text. `undefined` when it is neither.
 */
export function canonicalDomain(text: string): string | undefined {
  if (text.startsWith("[")) {
    const ip = parseAddressLiteral(text);
    return ip === undefined ? undefined : formatAddressLiteral(ip);
  }
  if (isAsciiHostname(text)) return text.toLowerCase();
  if (isAscii(text)) return undefined;
  if (!isValidHostname(text)) return undefined;
  const unicode = domainToUnicode(text);
  return unicode === null || Buffer.byteLength(unicode) > longestName ? undefined : unicode;
}
