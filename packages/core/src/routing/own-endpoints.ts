/**
 * Which addresses and ports lead back to us: mail that is sent there would come in again (RFC 5321 §5.1). Reads the machine's
 * interfaces; opens nothing.
 */
import { networkInterfaces } from "node:os";
import { createNetworkList, formatIp, parseIp } from "../address/index.ts";
import type { Clock } from "../model/index.ts";

export interface OwnEndpoints {
  /**
   * An address of this machine, or one of `proxyInterfaces`. Loopback and the unspecified address are always ours: a server there
   * takes whoever connects for one of its own.
   */
  isOwnAddress(address: string): boolean;
  /** A connection to it would be taken by one of our listeners. */
  isOwnEndpoint(address: string, port: number): boolean;
}

export interface OwnEndpointsOptions {
  readonly clock: Pick<Clock, "monotonic">;
  /** Addresses of what stands before us and hands on to us: NAT, a load balancer. */
  readonly proxyInterfaces: readonly string[];
  /** Where we listen now; a port is never 0. */
  readonly listening: () => readonly { readonly host: string; readonly port: number }[];
}

/** Interfaces come and go, but not with every message. */
const rememberedMs = 60_000;
const alwaysOurs = createNetworkList(["127.0.0.0/8", "0.0.0.0/8", "::1", "::"]);
const unspecified = createNetworkList(["0.0.0.0", "::"]);
const loopback: readonly string[] = ["127.0.0.1", "::1"];
const smtpPort = 25;

export function createOwnEndpoints({ clock, proxyInterfaces, listening }: OwnEndpointsOptions): OwnEndpoints {
  const proxies = new Set(proxyInterfaces.map(canonical));
  let known: ReadonlySet<string> = new Set();
  let readAt = -Infinity;

  function isOfMachine(address: string): boolean {
    if (clock.monotonic() - readAt > rememberedMs) {
      readAt = clock.monotonic();
      known = readInterfaces();
    }
    return alwaysOurs.contains(address) || known.has(address);
  }

  return Object.freeze({
    isOwnAddress(address: string) {
      const own = canonical(address);
      return isOfMachine(own) || proxies.has(own);
    },
    isOwnEndpoint(address: string, port: number) {
      const own = canonical(address);
      const listeners = listening();
      if (proxies.has(own)) return port === smtpPort || listeners.some((listener) => listener.port === port);
      // Who connects to the unspecified address comes to loopback.
      const targets = unspecified.contains(own) ? loopback : [own];
      return listeners.some(
        (listener) =>
          listener.port === port &&
          targets.some((target) =>
            unspecified.contains(listener.host) ? isOfMachine(target) : canonical(listener.host) === target,
          ),
      );
    },
  });
}

function readInterfaces(): ReadonlySet<string> {
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
