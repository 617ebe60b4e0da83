/** Search orders by host name, domain, network or next-hop: a name and its parents, an address and its networks. Pure. */
import { isValidHostname } from "../address/domain.ts";
import { parseIp } from "../address/ip.ts";

/**
 * How a table names the subdomains of `dom.test` (parent_domain_matches_subdomains). `parent`: `dom.test` stands for them too;
 * `dotted`: `.dom.test` stands for them, and for them alone.
 */
export type ParentStyle = "parent" | "dotted";

/** A host name and its parent domains; an address in place of a name has no parents. */
export function domainKeys(name: string, style: ParentStyle = "parent"): string[] {
  if (name === "") return [];
  const keys = [name];
  if (parseIp(name) !== undefined || (name.startsWith("[") && name.endsWith("]"))) return keys;
  for (let dot = name.indexOf(".", 1); dot >= 0; dot = name.indexOf(".", dot + 2)) {
    if (dot + 1 === name.length) break;
    keys.push(name.slice(style === "parent" ? dot + 1 : dot));
  }
  return keys;
}

/** A client's address and its parent networks: `1.2.3.4`, `1.2.3`, `1.2`, `1`; IPv6 at the colons of its short form. */
export function networkKeys(address: string): string[] {
  const delimiter = address.includes(":") ? ":" : ".";
  const keys: string[] = [];
  for (let end = address.length; end > 0; end = address.lastIndexOf(delimiter, end - 1))
    keys.push(address.slice(0, end));
  return keys;
}

/** smtp_tls_policy_maps: the next-hop as written; a bare domain also by `.parent`. */
export function tlsPolicyKeys(nextHop: string): string[] {
  return isValidHostname(nextHop) ? domainKeys(nextHop, "dotted") : [nextHop];
}
