/** The client's name: PTR, confirmed by its own addresses (FCrDNS). Without confirmation the name is "unknown", as in Postfix. */
import { formatIp, isValidHostname, parseIp } from "../address/index.ts";
import type { Resolver } from "../dns/resolver.ts";
import type { Client, Clock, MaybePromise } from "../model/index.ts";

export type ClientName = Pick<Client, "name" | "reverseName" | "nameStatus">;

export const nameless: ClientName = Object.freeze({ name: "unknown", reverseName: "unknown", nameStatus: "permanent" });
export const nameUnavailable: ClientName = Object.freeze({ ...nameless, nameStatus: "temporary" });
const localhost: ClientName = Object.freeze({ name: "localhost", reverseName: "localhost", nameStatus: "ok" });

/** For all questions about one client together; the greeting waits for them. */
const deadlineMs = 10_000;
/** A hostile PTR may list any number of names. */
const mostNames = 5;

/** Never rejects: what could not be asked is `temporary`. Loopback is not asked about. */
export function lookUpClientName(
  address: string,
  resolver: Pick<Resolver, "reverse" | "a" | "aaaa"> | undefined,
  clock: Clock,
): MaybePromise<ClientName> {
  if (address === "127.0.0.1" || address === "::1") return localhost;
  const ip = parseIp(address);
  if (resolver === undefined || ip === undefined) return nameless;
  return new Promise((resolve) => {
    const timer = clock.setTimer(() => resolve(nameUnavailable), deadlineMs);
    void confirm(formatIp(ip), ip.family, resolver)
      .catch(() => nameUnavailable)
      .then((name) => {
        timer.cancel();
        resolve(name);
      });
  });
}

async function confirm(
  address: string,
  family: 4 | 6,
  resolver: Pick<Resolver, "reverse" | "a" | "aaaa">,
): Promise<ClientName> {
  const names = (await resolver.reverse(address)).map(clean).filter(isValidHostname).slice(0, mostNames);
  const [reverseName] = names;
  if (reverseName === undefined) return nameless;
  let status: ClientName["nameStatus"] = "permanent";
  for (const name of names) {
    try {
      const forward = await (family === 4 ? resolver.a(name) : resolver.aaaa(name));
      if (forward.some((text) => canonical(text) === address)) return { name, reverseName: name, nameStatus: "ok" };
    } catch {
      status = "temporary";
    }
  }
  return { name: "unknown", reverseName, nameStatus: status };
}

function clean(name: string): string {
  return name.replace(/\.$/, "").toLowerCase();
}

function canonical(address: string): string {
  const ip = parseIp(address);
  return ip === undefined ? address : formatIp(ip);
}
