/** reject_non_fqdn_sender and reject_non_fqdn_recipient: domains without a dot, and domains that are none. */
import { isFqdn, reject, rejectedText, subjectOf, type Answer, type Restriction, type Subject } from "@postern/core";
import { noArguments } from "./arguments.ts";
import { fromMail, fromRcpt } from "./stages.ts";

export const rejectNonFqdnSender: Restriction<[]> = {
  name: "reject_non_fqdn_sender",
  stages: fromMail,
  args: noArguments,
  description:
    "Rejects (504 5.5.2) senders whose domain is no fully-qualified name. The null sender and address literals pass.",
  compile: () => (ask) => {
    const sender = ask.transaction?.sender;
    return sender === undefined || sender === "" || isQualified(sender) ? undefined : refuse(subjectOf("mail", ask));
  },
};

export const rejectNonFqdnRecipient: Restriction<[]> = {
  name: "reject_non_fqdn_recipient",
  stages: fromRcpt,
  args: noArguments,
  description:
    "Rejects (504 5.5.2) recipients whose domain is no fully-qualified name. A bare postmaster and address literals pass.",
  compile: () => (ask) => {
    const address = ask.recipient?.address;
    if (address === undefined || address.toLowerCase() === "postmaster" || isQualified(address)) return undefined;
    return refuse(subjectOf("rcpt", ask));
  },
};

function isQualified(address: string): boolean {
  const domain = address.slice(address.lastIndexOf("@") + 1);
  return domain.startsWith("[") || isFqdn(domain);
}

function refuse(subject: Subject): Answer {
  return reject(rejectedText(subject, "need fully-qualified address"), "5.5.2", 504);
}
