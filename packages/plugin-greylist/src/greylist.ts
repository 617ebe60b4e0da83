/**
 * Greylisting (RFC 6647): a triplet of client network, sender and recipient that nobody has seen is put off once; what comes
 * back after the delay is known. A network stands for the client, since large senders retry from another host.
 */
import {
  after,
  formatDate,
  isOwnClient,
  networkOf,
  reply,
  type Answer,
  type Ask,
  type Clock,
  type MaybePromise,
  type StateSpace,
} from "@postern/core";
import { Familiar } from "./familiar.ts";
import { Newcomers } from "./newcomers.ts";
import type { Options } from "./options.ts";
import { tripletKey } from "./triplet.ts";

/** What one customer is given of IPv6 (RFC 6177). */
const sitePrefix = 48;

type Space = Pick<StateSpace<number>, "get" | "put" | "delete" | "update">;

export interface GreylistSpaces {
  /** Triplets by key: first attempt, milliseconds since 1970. */
  readonly waiting: Space;
  /** Triplets that came back: last mail, to a tenth of the lifetime. */
  readonly known: Space;
  /** `c:` network: how many of its triplets came back; `a:` network that is let in: last mail, likewise. */
  readonly networks: Space;
}

export interface GreylistParts {
  readonly spaces: GreylistSpaces;
  readonly options: Options;
  readonly clock: Clock;
  /** For `X-Greylist`. */
  readonly hostname: string;
  /** Let in without a question to the store: `allow` and `only`. Throws, or rejects, when its tables cannot be asked. */
  readonly isExempt: (ask: Ask) => MaybePromise<boolean>;
}

export function createGreylist(parts: GreylistParts): (ask: Ask) => MaybePromise<Answer> {
  const { spaces, options, clock, hostname, isExempt } = parts;
  const { waiting, known, networks } = spaces;
  const { delay, retryWindow, lifetime, autoWhitelistAfter, autoWhitelistLifetime } = options;
  const prefixes = { v4: options.ipv4Prefix, v6: options.ipv6Prefix };
  const familiar = new Familiar();
  const newcomers = new Newcomers(options.maxNewPerNetwork);
  // Whoever has one network of IPv6 has 65,536 of them, and would fill the store by himself.
  const site = { v4: prefixes.v4, v6: Math.min(prefixes.v6, sitePrefix) };
  /** A message for many recipients came late once. */
  const marked = new WeakSet<object>();
  // As an effect, not a verdict: when a later word refuses the recipient for good, that is told at once and nobody retries.
  // Postfix's postgrey says DEFER_IF_PERMIT for the same reason.
  const putOff: Answer = Object.freeze({ kind: "deferIfPermit", reply: reply(450, "4.7.1", options.text) });

  /** One question, with what is known of it so far. */
  interface Case {
    readonly ask: Ask;
    readonly network: string;
    readonly triplet: string;
    readonly now: number;
  }

  function judgeTriplet(one: Case): MaybePromise<Answer> {
    return after(known.get(one.triplet), (passedAt) => {
      if (passedAt !== undefined) return letIn(known, one.triplet, passedAt, lifetime, one);
      return autoWhitelistAfter === 0 ? judgeWaiting(one) : judgeNetwork(one);
    });
  }

  function judgeNetwork(one: Case): MaybePromise<Answer> {
    const key = `a:${one.network}`;
    return after(networks.get(key), (lastMail) =>
      lastMail === undefined ? judgeWaiting(one) : letIn(networks, key, lastMail, autoWhitelistLifetime, one),
    );
  }

  /** A write for each mail would cost more than it tells: known for the lifetime, give or take a tenth. */
  function letIn(space: Space, key: string, last: number, life: number, { ask, now }: Case): MaybePromise<undefined> {
    if (ask.dry) return undefined;
    const until = last + life / 10;
    if (until > now && last <= now) {
      familiar.add(key, until);
      return undefined;
    }
    return after(space.put(key, now, life), () => familiar.add(key, now + life / 10) as undefined);
  }

  function judgeWaiting(one: Case): MaybePromise<Answer> {
    const { ask, triplet, network, now } = one;
    return after(waiting.get(triplet), (first) => {
      // The first attempt counts, however often it is tried; one from before the window, or from the future, does not.
      if (first !== undefined && first <= now && now - first <= retryWindow)
        return now - first < delay ? putOff : pass(one, now - first);
      if (ask.dry) return delay === 0 ? undefined : putOff;
      if (delay === 0) return pass(one, 0);
      const crowd = networkOf(ask.session.client.address ?? "", site) ?? network;
      if (!newcomers.admit(crowd, clock.monotonic())) return putOff;
      return after(waiting.put(triplet, now, retryWindow), () => putOff);
    });
  }

  function pass(one: Case, waitedMs: number): MaybePromise<Answer> {
    const { ask, triplet, network, now } = one;
    const late = header(one, waitedMs);
    if (ask.dry) return late;
    return after(known.put(triplet, now, lifetime), () =>
      after(waiting.delete(triplet), () =>
        after(autoWhitelistAfter === 0 ? undefined : countNetwork(network, now), () => late),
      ),
    );
  }

  function countNetwork(network: string, now: number): MaybePromise<unknown> {
    const count = networks.update(`c:${network}`, autoWhitelistLifetime, (before) => (before ?? 0) + 1);
    return after(count, (passed = 0) =>
      passed < autoWhitelistAfter ? undefined : networks.put(`a:${network}`, now, autoWhitelistLifetime),
    );
  }

  function header({ ask: { transaction, dry }, now }: Case, waitedMs: number): Answer {
    if (!options.header || waitedMs === 0 || transaction === undefined) return undefined;
    if (marked.has(transaction)) return undefined;
    if (!dry) marked.add(transaction);
    const seconds = Math.round(waitedMs / 1000);
    const value = `delayed ${seconds} seconds by postern-greylist at ${hostname}; ${formatDate(now)}`;
    return { kind: "prepend", name: "X-Greylist", value };
  }

  function judge(ask: Ask, sender: string, recipient: string): MaybePromise<Answer> {
    const network = networkOf(ask.session.client.address ?? "", prefixes) ?? "unknown";
    const triplet = tripletKey(network, sender, recipient);
    const now = clock.now();
    if (familiar.has(triplet, now) || familiar.has(`a:${network}`, now)) return undefined;
    return judgeTriplet({ ask, network, triplet, now });
  }

  return (ask) => {
    const { session, transaction, recipient } = ask;
    if (isOwnClient(session) || transaction === undefined || recipient === undefined) return undefined;
    return after(isExempt(ask), (exempt) => (exempt ? undefined : judge(ask, transaction.sender, recipient.address)));
  };
}
