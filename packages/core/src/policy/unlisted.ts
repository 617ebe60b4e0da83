/**
 * Recipients that do not exist: asked about at the end of every RCPT, as by Postfix's smtpd_reject_unlisted_recipient, and by
 * the word reject_unlisted_recipient.
 */
import type { AddressClass } from "../model/envelope.ts";
import { after, isPromise, type MaybePromise } from "../model/maybe-promise.ts";
import { defer, reject, type Objection } from "../model/verdict.ts";
import type { AddressBook } from "../routing/address-book.ts";

const tableNames: Readonly<Record<AddressClass, string>> = {
  local: "local recipient table",
  relay: "relay recipient table",
  virtualAlias: "virtual alias table",
  virtualMailbox: "virtual mailbox table",
  default: "recipient table",
};

/** `undefined` when the address exists or nobody keeps a list, and no transport table says that its mail bounces. Throws what the address book throws. */
export function rejectUnlisted(address: string, addresses: AddressBook): MaybePromise<Objection | undefined> {
  const bounces = addresses.bounceText?.(address);
  if (bounces === undefined) return rejectUnknown(address, addresses);
  return after(bounces, (text) =>
    text === undefined ? rejectUnknown(address, addresses) : refuseRoute(address, text),
  );
}

/** What would bounce is refused, so that no stranger gets the bounce of a forged sender. */
function refuseRoute(address: string, text: string): Objection {
  const [code = "", ...words] = text.split(" ");
  return reject(`<${address}>: Recipient address rejected: ${words.join(" ")}`, code, 550);
}

function rejectUnknown(address: string, addresses: AddressBook): MaybePromise<Objection | undefined> {
  const listed = addresses.isListed(address);
  if (isPromise(listed)) return listed.then((is) => (is ? undefined : refuse(address, addresses)));
  return listed ? undefined : refuse(address, addresses);
}

function refuse(address: string, addresses: AddressBook): MaybePromise<Objection> {
  const name = addresses.classOf(address.slice(address.lastIndexOf("@") + 1));
  const refusal = (addressClass: AddressClass): Objection =>
    reject(`<${address}>: Recipient address rejected: User unknown in ${tableNames[addressClass]}`, "5.1.1", 550);
  return isPromise(name) ? name.then(refusal) : refusal(name);
}

/** The same for core's own question: a table that cannot be asked is 451. */
export function guardListed(address: string, addresses: AddressBook): MaybePromise<Objection | undefined> {
  try {
    const objection = rejectUnlisted(address, addresses);
    return isPromise(objection) ? objection.catch(unavailable) : objection;
  } catch {
    return unavailable();
  }
}

function unavailable(): Objection {
  return defer("Temporary lookup failure", "4.3.0", 451);
}
