/** Words about the recipient's domain, and about addresses of ours that do not exist. */
import {
  after,
  defer,
  isSenderSpecifiedRouting,
  permit,
  rejectUnlisted,
  relayDenied,
  type AddressBook,
  type Answer,
  type MaybePromise,
  type Recipient,
  type Restriction,
} from "@postern/core";
import { noArguments } from "./arguments.ts";
import { fromMail, fromRcpt } from "./stages.ts";

export const rejectUnauthDestination = forDestinations(
  "reject_unauth_destination",
  "Rejects (554 5.7.1) recipients whose domain is in none of `domains`, and addresses with sender-specified routing such as user%other@ours.",
  (isOurs, address) => (isOurs ? undefined : relayDenied(address)),
);

export const deferUnauthDestination = forDestinations(
  "defer_unauth_destination",
  "The same for now (454 4.7.1): for trying a config out. The relay guard rejects for good all the same, once a list has let the recipient pass.",
  (isOurs, address) => (isOurs ? undefined : defer(`<${address}>: Relay access denied`, "4.7.1", 454)),
);

export const permitAuthDestination = forDestinations(
  "permit_auth_destination",
  "Permits recipients whose domain is in `domains`, and ends the list.",
  (isOurs) => (isOurs ? permit : undefined),
);

export const permitMxBackup = forDestinations(
  "permit_mx_backup",
  "As permit_auth_destination. A domain that we are a backup MX of belongs in `domains.relay`: what strangers write into their own MX records never lets them relay, so DNS is not asked.",
  (isOurs) => (isOurs ? permit : undefined),
);

export const rejectUnlistedRecipient: Restriction<[]> = {
  name: "reject_unlisted_recipient",
  stages: fromRcpt,
  args: noArguments,
  description:
    "Rejects (550 5.1.1) recipients that are not in the list of their class. Asked at the end of every RCPT in any case; the word asks earlier.",
  compile:
    (_, { addresses }) =>
    ({ recipient, transaction }): MaybePromise<Answer> =>
      recipient === undefined
        ? undefined
        : rejectUnlisted(recipient.address, addresses, "Recipient address", transaction?.sender),
};

export const rejectUnlistedSender: Restriction<[]> = {
  name: "reject_unlisted_sender",
  stages: fromMail,
  args: noArguments,
  description: "Rejects (550 5.1.0) senders in our domains that are not in the list of their class.",
  compile:
    (_, { addresses }) =>
    ({ recipient, transaction }): MaybePromise<Answer> =>
      transaction === undefined || transaction.sender === ""
        ? undefined
        : rejectUnlisted(transaction.sender, addresses, "Sender address", recipient?.address),
};

function forDestinations(
  name: string,
  description: string,
  judge: (isOurs: boolean, address: string) => Answer,
): Restriction<[]> {
  return {
    name,
    stages: fromRcpt,
    args: noArguments,
    description,
    compile:
      (_, { addresses }) =>
      ({ recipient }): MaybePromise<Answer> =>
        recipient === undefined
          ? undefined
          : after(isAuthorizedDestination(recipient, addresses), (isOurs) => judge(isOurs, recipient.address)),
  };
}

/** Postfix's permit_auth_destination: the domain is ours, and the address names no second one. Throws `TableUnavailable`. */
export function isAuthorizedDestination(
  { address, original }: Recipient,
  addresses: AddressBook,
): MaybePromise<boolean> {
  if (isSenderSpecifiedRouting(address) || isSenderSpecifiedRouting(original)) return false;
  const at = address.lastIndexOf("@");
  // A bare `postmaster` is ours (RFC 5321 §4.5.1).
  if (at < 0) return true;
  return after(addresses.classOf(address.slice(at + 1)), (name) => name !== "default");
}
