/** What the driver needs from outside. */
import type { Owner } from "../guard/index.ts";
import type { Hooks } from "../hooks/index.ts";
import type { Blob } from "../message/index.ts";
import type { OutboundMail, RewriteTrace } from "../rewrite/index.ts";
import type { Clock, MaybePromise, Outcome, QueuedMessage, Recipient, Route } from "../model/index.ts";
import type { QueueStore, SchedulerOptions } from "../queue/index.ts";
import type { MailEvent } from "./mail-events.ts";
import type { Transport } from "./transport.ts";

/** One generation as deliveries see it, held from the routing of a message or the start of a delivery to its end. */
export interface DeliveryGeneration {
  readonly hooks: Pick<Hooks, "queue" | "delivery">;
  /** Throws `TableUnavailable` when it cannot be told now. */
  route(recipient: Recipient, sender: string): MaybePromise<Route>;
  /** The route that a content filter prescribes, `transport:nexthop`. Throws `ConfigError` for what cannot be used. */
  routeFor(filter: string, address: string): Omit<Route, "class">;
  transport(name: string): { readonly owner: Owner; readonly value: Transport } | undefined;
  /** For transports that say `outbound`: the mail with the addresses that the world is to see. `undefined`: as it is. Rejects when it cannot be told. */
  readonly rewriteOutbound?: (<M extends OutboundMail>(mail: M, trace?: RewriteTrace) => Promise<M>) | undefined;
  release(): void;
}

/** Recipients of one message that failed for good together. */
export interface Failure {
  readonly recipient: Recipient;
  readonly outcome: Outcome;
}

export interface DeliveryHost {
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly store: QueueStore;
  acquire(): DeliveryGeneration;
  /**
   * Reports failures to the sender: resolves with the report's queue id once it is queued, or with `undefined` when none is due
   * (null sender, NOTIFY=NEVER). Rejects when it cannot be queued now.
   */
  bounce(original: QueuedMessage, failures: readonly Failure[], content: Blob | undefined): Promise<string | undefined>;
  /** Must not throw. */
  log(event: MailEvent): void;
}

export interface DeliveryOptions {
  readonly scheduler: Partial<SchedulerOptions>;
  /** Parallel deliveries to one destination, whatever a transport allows. */
  readonly maxConcurrency: number;
  /** One attempt in all, milliseconds. */
  readonly timeoutMs: number;
}
