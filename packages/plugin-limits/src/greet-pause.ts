/**
 * New clients wait for their greeting. A mail server does; who speaks first is a program that does not listen, and the gateway
 * turns it away (RFC 5321 §3.1; Postfix's postscreen calls it the pregreet test). Who has waited once need not again for a while.
 */
import { after, networkOf, type Clock, type MaybePromise, type Session, type StateSpace } from "@postern/core";
import { unless, type Exemptions } from "./exemptions.ts";
import type { Options } from "./options.ts";

export function createGreetPause(
  { delay, remember }: NonNullable<Options["greetPause"]>,
  { ipv4Prefix, ipv6Prefix }: Pick<Options, "ipv4Prefix" | "ipv6Prefix">,
  known: Pick<StateSpace<number>, "get" | "put">,
  exempt: Pick<Exemptions, "client">,
  clock: Clock,
): (session: Session) => MaybePromise<undefined> {
  async function pause(network: string): Promise<undefined> {
    await new Promise<void>((resolve) => clock.setTimer(resolve, delay));
    // Whoever spoke meanwhile is gone by now, and nobody goes on with its session.
    await known.put(network, clock.now(), remember);
  }
  return (session) =>
    unless(exempt.client(session), () => {
      const network = networkOf(session.client.address ?? "", { v4: ipv4Prefix, v6: ipv6Prefix }) ?? "unknown";
      return after(known.get(network), (since) => (since === undefined ? pause(network) : undefined));
    });
}
