/** Does a name exist for mail? In the order and with the meaning of Postfix's dns_lookup_l: what was answered goes before what was not. */
import { isValidHostname, type Resolver } from "@postern/core";
import { createBudget, orUnavailable, type Budget } from "./budget.ts";
import type { WordContext } from "./context.ts";

/** `none`: DNS says so. `unavailable`: it gave no answer that would settle it. `nullMx`: takes no mail (RFC 7505). */
export type Existence = "found" | "none" | "unavailable" | "nullMx";

/** An MX first, then an address. */
export async function findMailDomain(name: string, context: WordContext): Promise<Existence> {
  if (!isValidHostname(name)) return "none";
  const budget = createBudget(context);
  const mx = await findMx(name, context.dns, budget);
  if (mx === "found" || mx === "nullMx") return mx;
  const addresses = await findAddress(name, context.dns, budget);
  return addresses === "none" ? mx : addresses;
}

/** An address first, then an MX; a host may well take no mail. */
export async function findHost(name: string, context: WordContext): Promise<Existence> {
  if (!isValidHostname(name)) return "none";
  const budget = createBudget(context);
  const address = await findAddress(name, context.dns, budget);
  if (address === "found") return "found";
  const mx = await findMx(name, context.dns, budget);
  return mx === "none" || (mx === "nullMx" && address === "unavailable") ? address : mx;
}

/** At least one address. */
export async function findHostAddress(name: string, context: WordContext): Promise<Existence> {
  return isValidHostname(name) ? findAddress(name, context.dns, createBudget(context)) : "none";
}

async function findMx(name: string, dns: Resolver, budget: Budget): Promise<Existence> {
  const records = await orUnavailable(budget.ask(() => dns.mx(name)));
  if (records === undefined) return "unavailable";
  if (records.length === 0) return "none";
  return records.every(({ exchange }) => exchange === "") ? "nullMx" : "found";
}

async function findAddress(name: string, dns: Resolver, budget: Budget): Promise<Existence> {
  const ipv4 = await orUnavailable(budget.ask(() => dns.a(name)));
  if (ipv4 !== undefined && ipv4.length > 0) return "found";
  const ipv6 = await orUnavailable(budget.ask(() => dns.aaaa(name)));
  if (ipv6 !== undefined && ipv6.length > 0) return "found";
  return ipv4 === undefined || ipv6 === undefined ? "unavailable" : "none";
}
