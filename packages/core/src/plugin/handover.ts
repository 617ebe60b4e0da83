/**
 * The handover seam: the last word on a message that everybody has let through, in place of the queue. One plugin may have it: it gives the
 * message to somebody else while the client waits, or says by which content filter it leaves the queue.
 */
import { PluginError } from "../errors.ts";
import type { Message } from "../message/index.ts";
import { Failed, InvalidAnswer, objectionFor, soundObjection, type Guard, type Owner } from "../guard/index.ts";
import {
  after,
  isObjection,
  replyLines,
  type MaybePromise,
  type Objection,
  type Reply,
  type Session,
  type Transaction,
} from "../model/index.ts";

export interface HandoverAsk {
  readonly session: Session;
  /** As it would be queued: rewritten, with blind copies. */
  readonly envelope: Transaction;
  /** As it would be queued, with our Received on top. */
  readonly message: Message;
  /** The content filter that the policy has named, `transport:nexthop`. */
  readonly filter: string | undefined;
  /** It will be held or put aside: it may be given a filter for later, and nothing else. */
  readonly held: boolean;
  /** Aborted when the client is gone, and at the deadline. */
  readonly signal: AbortSignal;
}

/**
 * `undefined`: it is queued. `filter`: it is queued and leaves by `transport:nexthop`, whatever the policy named. `taken`: somebody else has it
 * now and answers for it; `reply`, 2yz, is what the client hears.
 */
export type HandoverAnswer =
  | undefined
  | Objection
  | { readonly kind: "filter"; readonly destination: string }
  | { readonly kind: "taken"; readonly reply: Reply };

export interface Handover {
  readonly name: string;
  readonly description: string;
  /** Absent: the config entry's `deadline`. */
  readonly deadlineMs?: number;
  /** The filters that it names; a transport that nobody brings is found before ready. */
  readonly filters?: readonly string[];
  /** The listeners that it treats apart, by name; one that does not exist is found before ready, for mail would pass it by. */
  readonly listeners?: readonly string[];
  /**
   * Whatever it throws, the client is told to come again and nothing is queued: nobody could say whether the message was taken. A plugin that
   * may do otherwise says so in its answer.
   */
  take(ask: HandoverAsk): MaybePromise<HandoverAnswer>;
  /** What `take` would most likely answer, with nothing done: for `postern explain`, which never calls `take`. Absent: it is queued. */
  explain?(ask: Omit<HandoverAsk, "signal">): HandoverAnswer;
}

export interface OwnedHandover {
  readonly owner: Owner;
  readonly value: Handover;
}

export type HandOver = (ask: Omit<HandoverAsk, "signal">, controller: AbortController) => MaybePromise<HandoverAnswer>;

/** Throws `InvalidAnswer`. */
function checkHandover(answer: unknown): HandoverAnswer {
  if (answer === undefined) return undefined;
  if (isObjection(answer)) return soundObjection(answer);
  const { kind, destination, reply } = (answer ?? {}) as Readonly<Record<string, unknown>>;
  if (kind === "filter" && typeof destination === "string" && destination.length <= 1000 && destination.includes(":")) {
    return { kind, destination };
  }
  if (kind === "taken") {
    const { code, enhanced, text, more = [] } = (reply ?? {}) as Partial<Reply>;
    if (typeof code === "number" && code >= 200 && code <= 299) {
      return { kind, reply: replyLines(code, enhanced, [text ?? "", ...more]) };
    }
  }
  throw new InvalidAnswer(
    "a handover answers undefined, reject, defer, filter with transport:nexthop, or taken with a 2yz reply",
  );
}

/** `check` throws for what is no filter. Throws `PluginError`. */
export function checkFilters({ owner, value }: OwnedHandover, check: (destination: string) => void): void {
  for (const destination of value.filters ?? []) {
    try {
      check(destination);
    } catch (error) {
      throw new PluginError(owner.name, error instanceof Error ? error.message : String(error), { cause: error });
    }
  }
}

/** Throws `PluginError`. */
export function checkListeners({ owner, value }: OwnedHandover, names: readonly string[]): void {
  const unknown = value.listeners?.find((name) => !names.includes(name));
  if (unknown === undefined) return;
  throw new PluginError(owner.name, `there is no listener ${JSON.stringify(unknown)}, there is ${names.join(", ")}`);
}

/** `dry`: nothing is to be done. */
export function guardHandover({ owner, value }: OwnedHandover, guard: Guard, dry = false): HandOver {
  const patient: Owner = {
    ...owner,
    onError: "defer",
    ...(value.deadlineMs === undefined ? {} : { deadlineMs: value.deadlineMs }),
  };
  return (ask, controller) => {
    const { signal } = controller;
    const answer = guard.run(patient, `handover ${value.name}`, checkHandover, () =>
      dry ? value.explain?.(ask) : value.take({ ...ask, signal }),
    );
    return after(answer, (said) => {
      if (!(said instanceof Failed)) return said;
      controller.abort(said.error); // at a deadline it still runs
      return objectionFor(said);
    });
  };
}
