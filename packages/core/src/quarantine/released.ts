/** The message that goes from the quarantine into the queue. */
import { parsePath } from "../address/index.ts";
import { ConfigError } from "../errors.ts";
import type { QueuedMessage, Recipient } from "../model/index.ts";

export interface ReleaseOptions {
  /** In the queue. */
  readonly id: string;
  /** Its lifetime in the queue begins now: it may have lain aside for longer than that. */
  readonly now: number;
  /** In place of its recipients. */
  readonly to?: readonly Recipient[] | undefined;
}

/**
 * The envelope as it was, or to others; no content filter, which would judge it once more. What goes to others is not returned to its
 * sender when it fails: he never wrote to them.
 */
export function releasedMessage(message: QueuedMessage, { id, now, to }: ReleaseOptions): QueuedMessage {
  const { envelope, filter: _filter, quarantine: _note, ...rest } = message;
  const recipients = to ?? envelope.recipients;
  const smtputf8 = envelope.smtputf8 || recipients.some(({ address }) => /[^\u0000-\u007f]/.test(address));
  return { ...rest, id, arrivedAt: now, envelope: { ...envelope, recipients, smtputf8 } };
}

/** Each once. Throws `ConfigError` for what is no address. */
export function namedRecipients(addresses: readonly string[]): readonly Recipient[] {
  const named = addresses.map((given) => {
    const path = parsePath(given, { smtputf8: true });
    if (!path.ok || path.kind !== "mailbox") throw new ConfigError(`"${given.slice(0, 320)}" is no address`);
    return path.address;
  });
  return [...new Set(named)].map((address) => ({ address, original: address, notify: ["never"] }));
}
