/** Domains with labels beyond ASCII have two forms; what is written in tables and lists may be either. */
import { domainToAscii, domainToUnicode } from "../address/index.ts";

/** A domain as given, then by its other form: A-labels or U-labels. */
export function domainForms(domain: string): readonly string[] {
  if (domain.startsWith("[")) return [domain];
  const ascii = domainToAscii(domain);
  // Nearly every domain has one form.
  if (ascii === domain && !domain.includes("xn--")) return [domain];
  return [...new Set([domain, ascii ?? domain, domainToUnicode(domain) ?? domain])];
}

/** An address as given, then with the other form of its domain. */
export function addressForms(address: string): readonly string[] {
  const at = address.lastIndexOf("@");
  if (at < 0) return [address];
  const forms = domainForms(address.slice(at + 1));
  return forms.length === 1 ? [address] : forms.map((form) => `${address.slice(0, at)}@${form}`);
}
