/** How mail leaves: one message to one destination, one outcome a recipient. */
import type { Envelope, Origin, Outcome, Recipient, Route } from "../model/index.ts";
import type { Blob } from "../message/blob.ts";

export interface DeliveryRequest {
  readonly id: string;
  readonly envelope: Omit<Envelope, "recipients">;
  readonly recipients: readonly Recipient[];
  readonly route: Pick<Route, "transport" | "nextHop">;
  /** The content, with our Received on top. */
  readonly content: Blob;
  /** Where the message came from; `undefined` for the gateway's own. */
  readonly origin?: Origin | undefined;
  /** Others wait for the same destination: keeping the connection pays. */
  readonly more: boolean;
}

export interface DeliveryControls {
  /**
   * Says what became of a recipient (an element of `request.recipients`), once each, as soon as it is final; persisted at once.
   * A second word about one recipient is ignored. A free function: take it apart from its object as you like.
   */
  readonly settle: (recipient: Recipient, outcome: Outcome) => void;
  /** Aborted when the attempt must end. After the final dot a transport waits for the reply's deadline all the same. */
  readonly signal: AbortSignal;
}

/** How the destination fared; this alone steers its concurrency. */
export interface DeliveryReport {
  readonly destination: "alive" | "dead" | "throttled";
  readonly retryAfterMs?: number;
  /** One line, for the log and for recipients that were not settled. */
  readonly reason?: string;
}

export interface Transport {
  readonly name: string;
  readonly description: string;
  /** Recipients per request; 50 unless said otherwise. */
  readonly maxRecipients?: number;
  /** Parallel deliveries per destination; 20 unless said otherwise. */
  readonly maxConcurrency?: number;
  /** Mail leaves our site by it: addresses are rewritten on the way, as by Postfix's smtp_generic_maps. */
  readonly outbound?: boolean;
  /** Recipients that were not settled when it returns or throws are deferred. */
  deliver(request: DeliveryRequest, controls: DeliveryControls): Promise<DeliveryReport>;
  close(): Promise<void>;
}
