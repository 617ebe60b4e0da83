/** The client's name, in time for the greeting. */
import { formatIp, parseIp } from "../address/index.ts";
import { verifyClientName, type ClientName, type Resolver } from "../dns/index.ts";
import type { Clock, MaybePromise } from "../model/index.ts";

export const nameless: ClientName = Object.freeze({ name: "unknown", reverseName: "unknown", nameStatus: "permanent" });
export const nameUnavailable: ClientName = Object.freeze({ ...nameless, nameStatus: "temporary" });
const localhost: ClientName = Object.freeze({ name: "localhost", reverseName: "localhost", nameStatus: "ok" });

/** For all questions about one client together; the greeting waits for them. */
const deadlineMs = 10_000;

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
    void verifyClientName(resolver, formatIp(ip)).then((name) => {
      timer.cancel();
      resolve(name);
    });
  });
}
