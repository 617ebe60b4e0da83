/** Words about the recipient's domain and existence. */
import {
  after,
  isSenderSpecifiedRouting,
  rejectUnlisted,
  relayDenied,
  type Answer,
  type MaybePromise,
  type Restriction,
} from "@postern/core";
import { noArguments } from "./arguments.ts";

export const rejectUnauthDestination: Restriction<[]> = {
  name: "reject_unauth_destination",
  stages: ["relay", "rcpt"],
  args: noArguments,
  description:
    "Rejects (554 5.7.1) recipients whose domain is in none of `domains`, and addresses with sender-specified routing such as user%other@ours.",
  compile:
    (_, { addresses }) =>
    ({ recipient }): MaybePromise<Answer> => {
      if (recipient === undefined) return undefined;
      const { address, original } = recipient;
      if (isSenderSpecifiedRouting(address) || isSenderSpecifiedRouting(original)) return relayDenied(address);
      const at = address.lastIndexOf("@");
      // A bare `postmaster` is ours (RFC 5321 §4.5.1).
      if (at < 0) return undefined;
      return after(addresses.classOf(address.slice(at + 1)), (name) =>
        name === "default" ? relayDenied(address) : undefined,
      );
    },
};

export const rejectUnlistedRecipient: Restriction<[]> = {
  name: "reject_unlisted_recipient",
  stages: ["relay", "rcpt"],
  args: noArguments,
  description:
    "Rejects (550 5.1.1) recipients that are not in the list of their class. Asked at the end of every RCPT in any case; the word asks earlier.",
  compile:
    (_, { addresses }) =>
    ({ recipient, transaction }): MaybePromise<Answer> =>
      recipient === undefined
        ? undefined
        : rejectUnlisted(recipient.address, addresses, "Recipient address", transaction?.sender ?? ""),
};
