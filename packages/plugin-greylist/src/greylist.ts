/**
 * Greylisting (RFC 6647): a triplet of client network, sender and recipient that nobody has seen is put off once; what comes
 * back after the delay is known. A network stands for the client, since large senders retry from another host.
 */
import { createHash } from "node:crypto";
import {
  after,
  networkOf,
  reply,
  type Answer,
  type Ask,
  type Clock,
  type MaybePromise,
  type StateSpace,
} from "@postern/core";
import type { Options } from "./options.ts";

/**
 * Milliseconds since 1970 under `w:` (waiting: first seen) and `p:` (passed: last mail), a count under `c:` (triplets of a
 * network that came back).
 */
export type Triplets = Pick<StateSpace<number>, "get" | "put" | "delete" | "update">;

export function createGreylist(triplets: Triplets, options: Options, clock: Clock): (ask: Ask) => MaybePromise<Answer> {
  const { delay, retryWindow, lifetime, autoWhitelistAfter } = options;
  // As an effect, not a verdict: when a later word refuses the recipient for good, that is told at once and nobody retries.
  // Postfix's postgrey says DEFER_IF_PERMIT for the same reason.
  const putOff: Answer = Object.freeze({ kind: "deferIfPermit", reply: reply(450, "4.7.1", options.text) });

  function judgeTriplet(triplet: string, network: string, dry: boolean): MaybePromise<Answer> {
    return after(triplets.get(`p:${triplet}`), (passedAt) => {
      if (passedAt === undefined) return judgeWaiting(triplet, network, dry);
      // A write for each mail would cost more than it tells: known for the lifetime, give or take a tenth.
      const fresh = Math.abs(clock.now() - passedAt) < lifetime / 10;
      return fresh || dry ? undefined : after(triplets.put(`p:${triplet}`, clock.now(), lifetime), nothing);
    });
  }

  function judgeWaiting(triplet: string, network: string, dry: boolean): MaybePromise<Answer> {
    const key = `w:${triplet}`;
    const now = clock.now();
    // The first attempt counts, however often it is tried; one from before the window, or from the future, does not.
    const seen = (first: number | undefined): number =>
      first === undefined || first > now || now - first > retryWindow ? now : first;
    const first = dry ? after(triplets.get(key), seen) : triplets.update(key, retryWindow, seen);
    return after(first, (since) => {
      if (now - (since ?? now) < delay) return putOff;
      return dry ? undefined : after(pass(triplet, network, now), nothing);
    });
  }

  function pass(triplet: string, network: string, now: number): MaybePromise<unknown> {
    return after(triplets.put(`p:${triplet}`, now, lifetime), () =>
      after(triplets.delete(`w:${triplet}`), () =>
        autoWhitelistAfter === 0 ? undefined : triplets.update(`c:${network}`, lifetime, (count) => (count ?? 0) + 1),
      ),
    );
  }

  return ({ session: { client, auth }, transaction, recipient, dry }) => {
    if (client.inNetworks || auth !== undefined || transaction === undefined || recipient === undefined)
      return undefined;
    const network = networkOf(client.address ?? "", { v4: options.ipv4Prefix, v6: options.ipv6Prefix }) ?? "unknown";
    const triplet = keyOf(network, transaction.sender, recipient.address);
    if (autoWhitelistAfter === 0) return judgeTriplet(triplet, network, dry);
    return after(triplets.get(`c:${network}`), (count) =>
      (count ?? 0) >= autoWhitelistAfter ? undefined : judgeTriplet(triplet, network, dry),
    );
  };
}

const nothing = (): undefined => undefined;

/** Without case: mailboxes that differ only in it are no two people. The null sender is a sender like any other. */
function keyOf(network: string, sender: string, recipient: string): string {
  const key = `${network} ${sender.toLowerCase()} ${recipient.toLowerCase()}`;
  return key.length <= 1_000 ? key : `${network} ${createHash("sha256").update(key).digest("hex")}`;
}
