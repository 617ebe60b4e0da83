/** A quarantined message as an operator sees it. */
import type { Origin, QueuedMessage, Recipient } from "../model/index.ts";
import type { QueueEntry } from "../queue/index.ts";

export interface QuarantineListing {
  readonly id: string;
  /** When it was put aside; as `expiresAt` milliseconds since 1970. */
  readonly arrivedAt: number;
  readonly expiresAt: number;
  readonly sizeBytes: number;
  /** One line. */
  readonly reason: string;
  /** Of the envelope, as its recipients; no more than 100 of these. */
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly recipientCount: number;
  /** Of the header, decoded. */
  readonly from: string;
  readonly subject: string;
  /** Its address; absent when it was none of a network. */
  readonly client?: string;
  /** Its record cannot be read: why. Nothing else of it is known then. */
  readonly damaged?: string;
}

export interface QuarantinedMessage extends QuarantineListing {
  readonly envelope: {
    readonly sender: string;
    readonly recipients: readonly Recipient[];
  };
  readonly origin: Origin | undefined;
  /** The header section, each octet a character; at most 256 KiB of it. */
  readonly headers: string;
  readonly headersCut: boolean;
}

const mostRecipients = 100;

export function describeEntry({ message, schedule }: QueueEntry): QuarantineListing {
  const { id, arrivedAt, sizeBytes, envelope, origin } = message;
  const { reason, from, subject } = noteOf(message);
  const client = origin?.clientAddress;
  return {
    id,
    arrivedAt,
    expiresAt: schedule?.nextAttemptAt ?? 0,
    sizeBytes,
    reason,
    sender: envelope.sender,
    recipients: envelope.recipients.slice(0, mostRecipients).map(({ address }) => address),
    recipientCount: envelope.recipients.length,
    from,
    subject,
    ...(client === undefined ? {} : { client }),
  };
}

/** When its record cannot be read. */
export function describeDamaged(id: string, expiresAt: number, { message }: Error): QuarantineListing {
  const nothing = { reason: "", sender: "", recipients: [], recipientCount: 0, from: "", subject: "" };
  return { id, arrivedAt: 0, expiresAt, sizeBytes: 0, ...nothing, damaged: message };
}

export function noteOf({ quarantine }: QueuedMessage): NonNullable<QueuedMessage["quarantine"]> {
  return quarantine ?? { reason: "", from: "", subject: "" };
}
