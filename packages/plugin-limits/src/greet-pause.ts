/**
 * New clients wait for their greeting. A mail server does; who speaks first is a program that does not listen, and the gateway
 * turns it away (RFC 5321 §3.1; Postfix's postscreen calls it the pregreet test). Who has waited once need not again for a while.
 */
import { networkOf, type Clock, type MaybePromise, type Session, type StateSpace } from "@postern/core";
import { unless, type Exemptions } from "./exemptions.ts";
import type { Options } from "./options.ts";

export interface GreetPause {
  connect(session: Session): MaybePromise<undefined>;
  closed(session: Session): void;
}

/** `troubled` is told when the store fails: then everybody waits each time. */
export function createGreetPause(
  { delay, remember }: NonNullable<Options["greetPause"]>,
  { ipv4Prefix, ipv6Prefix }: Pick<Options, "ipv4Prefix" | "ipv6Prefix">,
  known: Pick<StateSpace<number>, "get" | "put">,
  exempt: Pick<Exemptions, "client">,
  clock: Clock,
  troubled: (error: unknown) => void,
): GreetPause {
  /** By session id: gives the wait up. */
  const waiting = new Map<string, () => void>();

  async function greet(network: string, { id }: Session): Promise<undefined> {
    // Who leaves may do so before the store has answered.
    const gone = Promise.withResolvers<boolean>();
    waiting.set(id, () => gone.resolve(false));
    const isKnown = await tried(() => known.get(network));
    const stayed = Promise.withResolvers<boolean>();
    const timer = isKnown === undefined ? clock.setTimer(() => stayed.resolve(true), delay) : undefined;
    const hasStayed = timer !== undefined && (await Promise.race([gone.promise, stayed.promise]));
    timer?.cancel();
    waiting.delete(id);
    // Who spoke meanwhile, or did not stay, has not waited.
    if (hasStayed) await tried(() => known.put(network, clock.now(), remember));
  }

  async function tried<T>(ask: () => MaybePromise<T>): Promise<T | undefined> {
    try {
      return await ask();
    } catch (error) {
      troubled(error);
      return undefined;
    }
  }

  return {
    connect: (session) =>
      unless(exempt.client(session), () => {
        const network = networkOf(session.client.address ?? "", { v4: ipv4Prefix, v6: ipv6Prefix }) ?? "unknown";
        return greet(network, session);
      }),
    closed: ({ id }) => waiting.get(id)?.(),
  };
}
