/**
 * Addresses of ours that do not exist: recipients are asked about at the end of every RCPT, as by Postfix's
 * smtpd_reject_unlisted_recipient, and by the words reject_unlisted_recipient and reject_unlisted_sender.
 */
import type { AddressClass } from "../model/envelope.ts";
import { after, isPromise, type MaybePromise } from "../model/maybe-promise.ts";
import { defer, reject, type Objection } from "../model/verdict.ts";
import type { AddressBook } from "../routing/address-book.ts";
import { fitEnhanced } from "./access-result.ts";
import { rejectedText, type Subject } from "./subject.ts";

const tableNames: Readonly<Record<AddressClass, string>> = {
  local: "local recipient table",
  relay: "relay recipient table",
  virtualAlias: "virtual alias table",
  virtualMailbox: "virtual mailbox table",
  default: "recipient table",
};

type Label = Extract<Subject["label"], "Sender address" | "Recipient address">;

/** `undefined` when the address exists or nobody keeps a list, and no transport table says that its mail bounces. Throws what the address book throws. */
export function rejectUnlisted(
  address: string,
  addresses: AddressBook,
  label: Label = "Recipient address",
  sender = "",
): MaybePromise<Objection | undefined> {
  const bounces = addresses.bounceText?.(address, sender);
  if (bounces === undefined) return rejectUnknown(address, addresses, label);
  return after(bounces, (text) =>
    text === undefined ? rejectUnknown(address, addresses, label) : refuseRoute({ name: address, label }, text),
  );
}

/** What would bounce is refused, so that no stranger gets the bounce of a forged sender. */
function refuseRoute(subject: Subject, text: string): Objection {
  const [code = "", ...words] = text.split(" ");
  return reject(rejectedText(subject, words.join(" ")), fitEnhanced(code, subject.label), 550);
}

function rejectUnknown(address: string, addresses: AddressBook, label: Label): MaybePromise<Objection | undefined> {
  const listed = addresses.isListed(address);
  if (isPromise(listed)) return listed.then((is) => (is ? undefined : refuse(address, addresses, label)));
  return listed ? undefined : refuse(address, addresses, label);
}

function refuse(address: string, addresses: AddressBook, label: Label): MaybePromise<Objection> {
  const name = addresses.classOf(address.slice(address.lastIndexOf("@") + 1));
  const refusal = (addressClass: AddressClass): Objection => {
    // Of a sender Postfix's tables of mailboxes say "some address", that of aliases what the code for a recipient becomes.
    const enhanced =
      label === "Sender address" && addressClass !== "virtualAlias" ? "5.1.0" : fitEnhanced("5.1.1", label);
    return reject(rejectedText({ name: address, label }, `User unknown in ${tableNames[addressClass]}`), enhanced, 550);
  };
  return isPromise(name) ? name.then(refusal) : refusal(name);
}

/** The same for core's own question: a table that cannot be asked is 451. */
export function guardListed(
  address: string,
  addresses: AddressBook,
  sender: string,
): MaybePromise<Objection | undefined> {
  try {
    const objection = rejectUnlisted(address, addresses, "Recipient address", sender);
    return isPromise(objection) ? objection.catch(unavailable) : objection;
  } catch {
    return unavailable();
  }
}

function unavailable(): Objection {
  return defer("Temporary lookup failure", "4.3.0", 451);
}
