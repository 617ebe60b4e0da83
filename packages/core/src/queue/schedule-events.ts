/**
 * What the scheduler is told and what it orders. A driver (`delivery/`) executes the commands and feeds back what came of them:
 *
 *   store.waiting() ─► restored ─┐                 ┌─► route ─► (read the entry, route its pending recipients) ─► routed | unrouted | forgotten
 *   commit ─────────► added ─────┼─► step() ───────┼─► start ─► (Transport.deliver; settle as outcomes come) ─► finished
 *   timer, flush, routesChanged ─┘                 ├─► reschedule ─► store.reschedule
 *                                                  ├─► done ─► (send the bounces that are due, then store.remove)
 *                                                  ├─► expire ─► (bounce what is pending, settle, then store.remove)
 *                                                  └─► wakeAt ─► (one timer, replaced by each wakeAt) ─► timer
 *
 * A message that waits for its time is an id and a due time; it is routed anew for each round of attempts, so a reload's new routes hold.
 */
import type { Schedule } from "./store.ts";

/** Recipients of one message that go in one delivery: to one destination, no more than its transport takes at once. */
export interface DeliveryGroup {
  /** `destinationKey(route)`. */
  readonly destination: string;
  /** Indexes into the envelope's recipients. Not changed by anyone afterwards. */
  readonly recipients: readonly number[];
  /** The transport's limit of parallel deliveries to one destination. */
  readonly maxConcurrency: number;
}

/** A message ready for a round of attempts. */
export interface RoutedMessage {
  readonly id: string;
  /** Wall clock, milliseconds. */
  readonly arrivedAt: number;
  /** From the null sender: `bounceLifetimeMs` holds instead of `lifetimeMs`. */
  readonly bounce: boolean;
  /** Rounds of attempts before this one. */
  readonly attempts: number;
  /** Its pending recipients; none when all are settled. */
  readonly groups: readonly DeliveryGroup[];
}

/** How a destination fared; a transport's DeliveryReport is one. */
export interface DestinationReport {
  readonly destination: "alive" | "dead" | "throttled";
  /** With dead or throttled: leave the destination alone so long. With alive: when the deferred recipients are to be tried again. */
  readonly retryAfterMs?: number;
  readonly reason?: string;
}

export type ScheduleEvent =
  /** A message came in; committed. */
  | ({ readonly kind: "added" } & RoutedMessage)
  /** It was in the store at start. Due in the past means at once. */
  | { readonly kind: "restored"; readonly id: string; readonly dueAt: number }
  /** Answer to `route`. */
  | ({ readonly kind: "routed" } & RoutedMessage)
  /** Answer to `route` when reading or routing failed for now. It counts as an attempt; without `arrivedAt` nothing expires. */
  | {
      readonly kind: "unrouted";
      readonly id: string;
      readonly arrivedAt?: number;
      readonly bounce?: boolean;
      readonly attempts?: number;
      readonly reason: string;
    }
  /** The message is not in the store any more: removed by the operator. Also the answer to `route` then. */
  | { readonly kind: "forgotten"; readonly id: string }
  /** A started delivery is over. `pending` are those of its recipients that have no final outcome. */
  | {
      readonly kind: "finished";
      readonly delivery: number;
      readonly pending: readonly number[];
      readonly report: DestinationReport;
    }
  /** The time of the last `wakeAt` has come. Harmless when it has not. */
  | { readonly kind: "timer" }
  /** Try now: one message, one destination, or everything. Dead destinations are tried again. */
  | { readonly kind: "flush"; readonly id?: string; readonly destination?: string }
  /** A reload: whatever has not been started is routed anew. */
  | { readonly kind: "routesChanged" };

export type ScheduleCommand =
  | {
      readonly kind: "start";
      /** Names this delivery in `finished`. */
      readonly delivery: number;
      readonly id: string;
      readonly destination: string;
      readonly recipients: readonly number[];
      /** Others wait for the same destination. */
      readonly more: boolean;
    }
  /** Read `entry(id)`, route its pending recipients, answer `routed`, `unrouted` or `forgotten`. */
  | { readonly kind: "route"; readonly id: string }
  | { readonly kind: "reschedule"; readonly id: string; readonly schedule: Schedule }
  /** No recipient is pending: bounces if any, then remove. The scheduler has forgotten it. */
  | { readonly kind: "done"; readonly id: string }
  /** Its lifetime is over: every pending recipient bounces, then remove. The scheduler has forgotten it. */
  | { readonly kind: "expire"; readonly id: string; readonly reason: string }
  /** Wall clock. Replaces the one before. */
  | { readonly kind: "wakeAt"; readonly at: number };
