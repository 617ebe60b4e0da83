/** The addresses of this machine, for the question whether an MX record points back at us. Loopback is everybody's. */
import { networkInterfaces } from "node:os";
import { formatIp, parseIp, type Clock } from "@postern/core";

/** Interfaces come and go, but not with every message. */
const rememberedMs = 60_000;

export function createOwnAddresses(clock: Clock): (address: string) => boolean {
  let known: ReadonlySet<string> = new Set();
  let readAt = -Infinity;
  return (address) => {
    if (clock.monotonic() - readAt > rememberedMs) {
      readAt = clock.monotonic();
      known = readOwnAddresses();
    }
    return known.has(canonical(address));
  };
}

function readOwnAddresses(): ReadonlySet<string> {
  const own = new Set<string>();
  for (const addresses of Object.values(networkInterfaces())) {
    for (const { address, internal } of addresses ?? []) if (!internal) own.add(canonical(address));
  }
  return own;
}

function canonical(address: string): string {
  const ip = parseIp(address);
  return ip === undefined ? address : formatIp(ip);
}
