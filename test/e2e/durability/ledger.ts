// Holds what was acknowledged against what arrived, recipient by recipient.
import { until } from "../until.ts";
import { isAcknowledged, type Sent } from "./load.ts";
import type { Arrival, NextHop } from "./next-hop.ts";

export interface Ledger {
  readonly acknowledged: number;
  /** Acknowledged and not arrived, as `17 for box-2@example.test`. */
  readonly missing: readonly string[];
  /** Arrived with other octets than were sent. */
  readonly torn: readonly string[];
  /** Every arrival of what came more than once for one recipient, in order. */
  readonly repeated: ReadonlyMap<string, readonly Arrival[]>;
  /** Refused by the gateway and arrived all the same; a client would send these again. */
  readonly refused: readonly string[];
}

export function balance(sent: readonly Sent[], arrivals: readonly Arrival[]): Ledger {
  const copies = new Map<string, Arrival[]>();
  const torn: string[] = [];
  for (const arrival of arrivals) {
    if (arrival.number === undefined) continue;
    for (const recipient of arrival.recipients) {
      const key = keyOf(arrival.number, recipient);
      const known = copies.get(key);
      if (known === undefined) copies.set(key, [arrival]);
      else known.push(arrival);
      if (!arrival.whole) torn.push(key);
    }
  }
  // A number may be sent again after a refusal.
  const taken = new Set(sent.filter(isAcknowledged).map(({ mail }) => mail.number));
  const missing: string[] = [];
  const refused: string[] = [];
  for (const { mail, reply } of sent) {
    for (const recipient of mail.recipients) {
      const key = keyOf(mail.number, recipient);
      if (taken.has(mail.number) && !copies.has(key)) missing.push(key);
      if (!taken.has(mail.number) && reply !== "" && copies.has(key)) refused.push(key);
    }
  }
  const repeated = new Map([...copies].filter(([, { length }]) => length > 1));
  return { acknowledged: taken.size, missing, torn, repeated, refused };
}

/** All that was acknowledged has arrived, and the gateway was told so: nothing is to come any more. */
function isComplete(sent: readonly Sent[], arrivals: readonly Arrival[]): boolean {
  return (
    balance(
      sent,
      arrivals.filter(({ answered }) => answered),
    ).missing.length === 0
  );
}

/** Waits for that, within reason: the balance says what is missing then. */
export async function completion(
  sent: readonly Sent[],
  nextHop: Pick<NextHop, "arrivals">,
  timeoutMs = 90_000,
): Promise<void> {
  await until(() => isComplete(sent, nextHop.arrivals), timeoutMs).catch(() => undefined);
}

function keyOf(number: number, recipient: string): string {
  return `${number} for ${recipient}`;
}
