/**
 * The addresses of this machine, for the question whether an MX record points back at us. Loopback and the unspecified address
 * are ours whatever the interfaces say: a server there takes whoever connects for one of its own.
 */
import { networkInterfaces } from "node:os";
import { createNetworkList, formatIp, parseIp, type Clock } from "@postern/core";

/** Interfaces come and go, but not with every message. */
const rememberedMs = 60_000;
const alwaysOurs = createNetworkList(["127.0.0.0/8", "0.0.0.0/8", "::1", "::"]);

export function createOwnAddresses(clock: Clock): (address: string) => boolean {
  let known: ReadonlySet<string> = new Set();
  let readAt = -Infinity;
  return (address) => {
    if (clock.monotonic() - readAt > rememberedMs) {
      readAt = clock.monotonic();
      known = readOwnAddresses();
    }
    return alwaysOurs.contains(address) || known.has(canonical(address));
  };
}

function readOwnAddresses(): ReadonlySet<string> {
  const own = new Set<string>();
  for (const addresses of Object.values(networkInterfaces())) {
    for (const { address } of addresses ?? []) own.add(canonical(address));
  }
  return own;
}

function canonical(address: string): string {
  const ip = parseIp(address);
  return ip === undefined ? address : formatIp(ip);
}
