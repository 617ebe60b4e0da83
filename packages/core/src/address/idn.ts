/**
 * Internationalised domains (RFC 5890, UTS 46 by tr46). `node:url` is not used: it takes `1.2` for an IPv4 address.
 * Answers are remembered, because the conversion is slow and a gateway sees the same few domains all day.
 */
import { toASCII, toUnicode } from "tr46";

/** No domain of RFC 5321's 255 octets has more code units. */
const longestInput = 255;
const cacheSize = 1000;

// Hyphens in third and fourth place exist in real names; which ASCII a name may hold is for `domain.ts` to say.
const options = { checkBidi: true, checkJoiners: true, checkHyphens: false, useSTD3ASCIIRules: false } as const;
const plainAscii = /^[\u0021-\u007e]*$/;

function remember(convert: (domain: string) => string | null): (domain: string) => string | null {
  const known = new Map<string, string | null>();
  return (domain) => {
    if (domain.length > longestInput) return null;
    let answer = known.get(domain);
    if (answer === undefined) {
      answer = convert(domain);
      // The oldest goes first: cheap, and a flood of names costs no more than the conversions themselves.
      if (known.size >= cacheSize) known.delete(known.keys().next().value ?? "");
      known.set(domain, answer);
    }
    return answer;
  };
}

const convertToAscii = remember((domain) => toASCII(domain, { ...options, verifyDNSLength: true }));
const convertToUnicode = remember((domain) => {
  const { domain: unicode, error } = toUnicode(domain, options);
  return error || unicode === "" ? null : unicode;
});

function hasALabel(lower: string): boolean {
  return lower.startsWith("xn--") || lower.includes(".xn--");
}

/** Lower-case A-labels, `xn--mnchen-3ya.example`; null when `domain` is not a valid name. */
export function domainToAscii(domain: string): string | null {
  if (plainAscii.test(domain)) {
    const lower = domain.toLowerCase();
    if (lower !== "" && lower.length <= longestInput && !hasALabel(lower)) return lower;
  }
  return convertToAscii(domain);
}

/** Normalised U-labels, `münchen.example`; null when `domain` is not a valid name. */
export function domainToUnicode(domain: string): string | null {
  if (plainAscii.test(domain)) {
    const lower = domain.toLowerCase();
    if (lower !== "" && lower.length <= longestInput && !hasALabel(lower)) return lower;
  }
  return convertToUnicode(domain);
}
