/** A message that the queue answers for. Plain, structured-cloneable; the content is elsewhere. */
import type { Envelope, Recipient } from "./envelope.ts";

/** Where a message came from: for logs, Received lines and the decision whether a late refusal may bounce. */
export interface Origin {
  readonly sessionId: string;
  readonly clientAddress: string | undefined;
  readonly clientName: string;
  readonly helo: string;
  readonly protocol: string;
  readonly listener: string;
  /** Authenticated or inside `networks`. */
  readonly trusted: boolean;
}

/** Why a message was put aside, and what people look for it by. Each is one line, safe and bounded. */
export interface QuarantineNote {
  readonly reason: string;
  /** Of the header, decoded; empty when there is none. */
  readonly from: string;
  readonly subject: string;
}

export interface QueuedMessage {
  readonly id: string;
  /** All recipients, settled ones too; an index into `recipients` names one for the life of the message. */
  readonly envelope: Envelope;
  /** Milliseconds since 1970, when 250 was promised. */
  readonly arrivedAt: number;
  readonly sizeBytes: number;
  readonly origin: Origin | undefined;
  /** `transport:nexthop` in place of every recipient's route: a content filter (access(5), FILTER). */
  readonly filter?: string;
  /** Only in the quarantine. */
  readonly quarantine?: QuarantineNote;
}

export type { Envelope, Recipient };
