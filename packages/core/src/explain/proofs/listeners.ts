/** What listeners believe: of whom a client may say to be (XCLIENT, PROXY), and where passwords may be sent in clear. */
import { createNetworkList } from "../../address/index.ts";
import type { ListenerConfig, ResolvedConfig } from "../../config/index.ts";
import type { Finding } from "./finding.ts";
import { loopback } from "./networks.ts";
import { strangers } from "./strangers.ts";

/** A peer that is believed is whoever it says: one of `networks`, or somebody who has logged in. */
export function findTrustInStrangers({ listeners }: ResolvedConfig): readonly Finding[] {
  return listeners.flatMap(({ xclient, proxy, auth, authWithoutTls, host }, index): readonly Finding[] => {
    const place = `listeners[${index}]`;
    const findings: Finding[] = [];
    if (holdsStrangers(xclient)) {
      findings.push({
        level: "error",
        rule: "open-relay",
        place: `${place}.xclient`,
        message: "every stranger may say XCLIENT here: be one of your own clients, or logged in, and send anywhere",
        remedy: "name the proxies alone",
      });
    }
    if (holdsStrangers(proxy)) {
      findings.push({
        level: "warning",
        rule: "open-relay",
        place: `${place}.proxy`,
        message:
          "every stranger is believed a PROXY header here, may be one of your own clients by it and send anywhere",
        remedy: "name the proxies alone",
      });
    }
    if (auth !== "off" && authWithoutTls && !loopback.contains(host)) {
      findings.push({
        level: "warning",
        rule: "clear-passwords",
        place: `${place}.authWithoutTls`,
        message: `whoever hears the network at ${host} hears passwords: they may be sent here without TLS`,
        remedy: "keep it to a loopback address or a tunnel",
      });
    }
    return findings;
  });
}

/** All of a family: a network that has one of them by chance has not the others. */
function holdsStrangers(networks: ListenerConfig["xclient"]): boolean {
  const list = createNetworkList(networks);
  return strangers.some((family) => family.every((address) => list.contains(address)));
}
