/**
 * Internationalised domains (RFC 5890, UTS 46 by tr46). `node:url` is not used: it takes `1.2` for an IPv4 address.
 * Answers are remembered, because the conversion is slow and a gateway sees the same few domains all day.
 */
import { createRequire } from "node:module";
import type * as Tr46 from "tr46";
import { remembered } from "./remembered.ts";

/** No domain of RFC 5321's 255 octets has more code units. */
const longestInput = 255;
const cacheSize = 1000;

// Hyphens in third and fourth place exist in real names; which ASCII a name may hold is for `domain.ts` to say.
const options = { checkBidi: true, checkJoiners: true, checkHyphens: false, useSTD3ASCIIRules: false } as const;
const plainAscii = /^[\u0021-\u007e]*$/;

/** With the first name that needs it: its tables take some megabytes. */
let tr46: typeof Tr46 | undefined;
function loadTr46(): typeof Tr46 {
  tr46 ??= createRequire(import.meta.url)("tr46") as typeof Tr46;
  return tr46;
}

const convertToAscii = remembered(
  (domain) => loadTr46().toASCII(domain, { ...options, verifyDNSLength: true }),
  cacheSize,
);
const convertToUnicode = remembered((domain) => {
  const { domain: unicode, error } = loadTr46().toUnicode(domain, options);
  return error || unicode === "" ? null : unicode;
}, cacheSize);

function hasALabel(lower: string): boolean {
  return lower.startsWith("xn--") || lower.includes(".xn--");
}

/**
 * Lower-case A-labels, `xn--mnchen-3ya.example`; null when `domain` has no such form. Which ASCII characters a name may have
 * is not asked here: see `isValidHostname`.
 */
export function domainToAscii(domain: string): string | null {
  if (plainAscii.test(domain)) {
    const lower = domain.toLowerCase();
    if (lower !== "" && lower.length <= longestInput && !hasALabel(lower)) return lower;
  }
  return domain.length > longestInput ? null : convertToAscii(domain);
}

/** Normalised U-labels, `münchen.example`; null when `domain` is not a valid name. */
export function domainToUnicode(domain: string): string | null {
  if (plainAscii.test(domain)) {
    const lower = domain.toLowerCase();
    if (lower !== "" && lower.length <= longestInput && !hasALabel(lower)) return lower;
  }
  return domain.length > longestInput ? null : convertToUnicode(domain);
}
