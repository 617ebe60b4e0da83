/**
 * A client's name by its address, believed only when it resolves back (FCrDNS), as Postfix's smtpd_peer does it. What is
 * not there is "permanent", what could not be asked "temporary".
 */
import { isValidHostname } from "../address/domain.ts";
import type { Client } from "../model/session.ts";
import { canonicalIp } from "./names.ts";
import type { Resolver } from "./resolver.ts";

export type ClientName = Pick<Client, "name" | "reverseName" | "nameStatus">;

/** A hostile PTR may list any number of names. */
const mostNames = 5;

/** Never throws. The first name that resolves back is taken; `reverseName` is the first one that is a hostname at all. */
export async function verifyClientName(
  resolver: Pick<Resolver, "reverse" | "a" | "aaaa">,
  address: string,
): Promise<ClientName> {
  let names: readonly string[];
  try {
    // An answer that is no hostname could forge log lines and headers.
    names = (await resolver.reverse(address)).filter(isValidHostname).slice(0, mostNames);
  } catch {
    return { name: "unknown", reverseName: "unknown", nameStatus: "temporary" };
  }
  const wanted = canonicalIp(address);
  let nameStatus: ClientName["nameStatus"] = "permanent";
  for (const name of names) {
    try {
      const addresses = await (address.includes(":") ? resolver.aaaa(name) : resolver.a(name));
      if (addresses.some((found) => canonicalIp(found) === wanted)) {
        return { name, reverseName: names[0] ?? name, nameStatus: "ok" };
      }
    } catch {
      nameStatus = "temporary";
    }
  }
  return { name: "unknown", reverseName: names[0] ?? "unknown", nameStatus };
}
