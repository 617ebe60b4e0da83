/**
 * The relay guard: the last question before a recipient is taken, and nothing turns it off. Ours, or authorised? It asks about
 * the client's own RCPT, before any rewriting. A pure core, and what it needs to know.
 */
import { isSenderSpecifiedRouting } from "../address/mailbox.ts";
import { isPromise, type MaybePromise } from "../model/maybe-promise.ts";
import type { AddressClass, Recipient } from "../model/envelope.ts";
import { defer, reject, type Objection } from "../model/verdict.ts";
import type { AddressBook } from "../routing/address-book.ts";

export interface RelayQuestion {
  /** "unavailable": a table could not say. */
  readonly addressClass: AddressClass | "unavailable";
  /** A word that may, permitted in `relay` or `rcpt`. */
  readonly authorized: boolean;
  /** The address names a second destination: `user%other@ours`, `@a:b@c`, a quoted `@`. */
  readonly senderSpecifiedRouting: boolean;
}

export type RelayDecision = "pass" | "reject" | "defer";

/** Strangers may send to our own addresses, plainly written. What cannot be told is refused for now. */
export function decideRelay({ addressClass, authorized, senderSpecifiedRouting }: RelayQuestion): RelayDecision {
  if (authorized) return "pass";
  if (senderSpecifiedRouting || addressClass === "default") return "reject";
  return addressClass === "unavailable" ? "defer" : "pass";
}

export function relayDenied(address: string): Objection {
  return reject(`<${address}>: Relay access denied`, "5.7.1", 554);
}

/** `undefined` when the recipient may be taken. Never throws. */
export function guardRelay(
  { address, original }: Recipient,
  authorized: boolean,
  addresses: Pick<AddressBook, "classOf">,
): MaybePromise<Objection | undefined> {
  if (authorized) return undefined;
  const senderSpecifiedRouting = isSenderSpecifiedRouting(address) || isSenderSpecifiedRouting(original);
  const decide = (addressClass: RelayQuestion["addressClass"]): Objection | undefined => {
    const decision = decideRelay({ addressClass, authorized, senderSpecifiedRouting });
    if (decision === "pass") return undefined;
    return decision === "reject" ? relayDenied(address) : unavailable();
  };
  const at = address.lastIndexOf("@");
  // A bare `postmaster` is ours (RFC 5321 §4.5.1).
  if (at < 0) return decide("local");
  let addressClass: MaybePromise<AddressClass>;
  try {
    addressClass = addresses.classOf(address.slice(at + 1));
  } catch {
    return decide("unavailable");
  }
  if (isPromise(addressClass)) return addressClass.then(decide, () => decide("unavailable"));
  return decide(addressClass);
}

function unavailable(): Objection {
  return defer("Temporary lookup failure", "4.3.0", 451);
}
