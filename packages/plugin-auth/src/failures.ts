/**
 * Failed logins, counted in the session and in the state store: what is held back, for how long, and who is told to come later. A
 * client's network can be shut out for a while; an identity only gets slower, or anybody could lock anybody out.
 */
import { networkOf, type MaybePromise, after, type StateSpace } from "@postern/core";

export interface FailureLimits {
  /** Holds the first refusal back; each further one twice as long. */
  readonly delay: number;
  readonly longestDelay: number;
  /** Of one session, with the last of which it ends; 0: no limit. */
  readonly perSession: number;
  /** Of one client network in `window`; 0: no limit. */
  readonly perClient: number;
  /** Of one identity in `window`, beyond which every reply about it has the longest delay; 0: no limit. */
  readonly perIdentity: number;
  readonly window: number;
}

/** Milliseconds, and how many have failed. */
export interface Standing {
  /** Nothing of this network is looked at now. */
  readonly shutOut: boolean;
  /** What every reply is held back, whatever it is. */
  readonly delayMs: number;
}

const calm: Standing = Object.freeze({ shutOut: false, delayMs: 0 });

/** A network stands for its client: /32, and /64 for IPv6. */
const prefixes = Object.freeze({ v4: 32, v6: 64 });

export class Failures {
  readonly #counts: Pick<StateSpace<number>, "increment">;
  readonly #limits: FailureLimits;

  constructor(counts: Pick<StateSpace<number>, "increment">, limits: FailureLimits) {
    this.#counts = counts;
    this.#limits = limits;
  }

  /** Before anything is looked up. Rejects when the store does. */
  standing(address: string | undefined, identity: string): MaybePromise<Standing> {
    const { perClient, perIdentity, longestDelay } = this.#limits;
    return after(this.#count("client", networkKey(address), 0, perClient), (client) => {
      if (perClient > 0 && client >= perClient) return { shutOut: true, delayMs: longestDelay };
      return after(this.#count("identity", identity, 0, perIdentity), (failed) =>
        perIdentity > 0 && failed >= perIdentity ? { shutOut: false, delayMs: longestDelay } : calm,
      );
    });
  }

  /** One more; `inSession` counts it too. */
  note(
    address: string | undefined,
    identity: string,
    inSession: number,
  ): MaybePromise<Standing & { readonly ends: boolean }> {
    const { delay, longestDelay, perSession, perClient, perIdentity } = this.#limits;
    const ends = perSession > 0 && inSession >= perSession;
    return after(this.#count("client", networkKey(address), 1, perClient), (client) =>
      after(this.#count("identity", identity, 1, perIdentity), () => {
        const failures = Math.max(inSession, client);
        const delayMs = Math.min(delay * 2 ** Math.min(failures - 1, 30), longestDelay);
        return { shutOut: perClient > 0 && client > perClient, delayMs, ends };
      }),
    );
  }

  #count(kind: "client" | "identity", key: string, by: number, limit: number): MaybePromise<number> {
    return limit === 0 ? 0 : this.#counts.increment(`${kind}:${key}`, by, this.#limits.window);
  }
}

function networkKey(address: string | undefined): string {
  return networkOf(address ?? "", prefixes) ?? "unknown";
}
