/** Host names that are stripped to their domain (Postfix's masquerade_domains). Pure. */
import { canonicalDomain, foldKey } from "@postern/core";

interface Masked {
  readonly domain: string;
  readonly strips: boolean;
}

/**
 * `domains` in order: the first that is the address's domain or one of its parents decides, and one with `!` leaves the address alone (two of
 * them do not). `exceptions` are users.
 */
export function createMasquerade(
  domains: readonly string[],
  exceptions: readonly string[],
): (address: string) => string {
  const known: Masked[] = domains.map((written) => {
    const marks = /^!*/.exec(written)?.[0].length ?? 0;
    const domain = written.slice(marks);
    return { domain: canonicalDomain(domain) ?? domain, strips: marks % 2 === 0 };
  });
  const kept = new Set(exceptions.map(foldKey));
  return (address) => {
    const at = address.lastIndexOf("@");
    if (at < 0 || kept.has(foldKey(address.slice(0, at)))) return address;
    const domain = address.slice(at + 1).toLowerCase();
    const found = known.find((masked) => domain === masked.domain || domain.endsWith(`.${masked.domain}`));
    if (found === undefined || !found.strips || found.domain === domain) return address;
    return `${address.slice(0, at)}@${found.domain}`;
  };
}
