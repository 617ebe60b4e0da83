/** reject_unknown_*_domain and reject_unknown_helo_hostname: names that are not in DNS. A DNS that does not answer is never "not there". */
import {
  after,
  defer,
  isPromise,
  parseAddressLiteral,
  reject,
  rejectedText,
  subjectOf,
  type AddressBook,
  type Answer,
  type MaybePromise,
  type Restriction,
  type Subject,
} from "@postern/core";
import { noArguments } from "./arguments.ts";
import type { WordContext } from "./context.ts";
import { findHost, findMailDomain, type Existence } from "./hosts.ts";
import { judgeLiteral } from "./helo-names.ts";
import { fromHelo, fromMail, fromRcpt } from "./stages.ts";

export const rejectUnknownSenderDomain = (context: WordContext): Restriction<[]> => ({
  name: "reject_unknown_sender_domain",
  stages: fromMail,
  args: noArguments,
  description:
    "Rejects (450 4.1.8) senders whose domain has neither MX nor address in DNS, and for good (550 5.7.27) those whose domain takes no mail (null MX). Domains with users of ours pass.",
  compile:
    (_, { addresses }) =>
    (ask) =>
      judgeDomain(ask.transaction?.sender, subjectOf("mail", ask), addresses, context),
});

export const rejectUnknownRecipientDomain = (context: WordContext): Restriction<[]> => ({
  name: "reject_unknown_recipient_domain",
  stages: fromRcpt,
  args: noArguments,
  description:
    "Rejects (450 4.1.2) recipients whose domain has neither MX nor address in DNS, and for good (556 5.1.10) those whose domain takes no mail (null MX). Domains with users of ours pass.",
  compile:
    (_, { addresses }) =>
    (ask) =>
      judgeDomain(ask.recipient?.address, subjectOf("rcpt", ask), addresses, context),
});

export const rejectUnknownHeloHostname = (context: WordContext): Restriction<[]> => ({
  name: "reject_unknown_helo_hostname",
  stages: fromHelo,
  args: noArguments,
  description:
    "Rejects (450 4.7.1) HELO names that have neither address nor MX in DNS. Well-formed address literals pass.",
  compile: () => (ask) => {
    const name = ask.session.helo?.name;
    if (name === undefined) return undefined;
    const subject = subjectOf("helo", ask);
    if (name.startsWith("[")) return judgeLiteral(name, subject);
    return findHost(name, context).then((existence): Answer => {
      if (existence === "found" || existence === "nullMx") return undefined;
      return notThere(existence, defer(rejectedText(subject, "Host not found"), "4.7.1", 450));
    });
  },
});

function judgeDomain(
  address: string | undefined,
  subject: Subject,
  addresses: AddressBook,
  context: WordContext,
): MaybePromise<Answer> {
  const at = address?.lastIndexOf("@") ?? -1;
  if (address === undefined || at < 0) return undefined;
  const domain = address.slice(at + 1);
  // As in Postfix: what is delivered here needs no DNS, what we relay does.
  const isOurs = after(addresses.classOf(domain), (name) => name !== "default" && name !== "relay");
  if (isOurs === true || parseAddressLiteral(domain) !== undefined) return undefined;
  const ask = (): Promise<Answer> =>
    findMailDomain(domain, context).then((existence) => answerFor(existence, domain, subject));
  return isPromise(isOurs) ? isOurs.then((are) => (are ? undefined : ask())) : ask();
}

function answerFor(existence: Existence, domain: string, subject: Subject): Answer {
  const isSender = subject.label === "Sender address";
  if (existence === "found") return undefined;
  if (existence === "nullMx") {
    const text = rejectedText(subject, `Domain ${domain} does not accept mail (nullMX)`);
    return isSender ? reject(text, "5.7.27", 550) : reject(text, "5.1.10", 556);
  }
  return notThere(existence, defer(rejectedText(subject, "Domain not found"), isSender ? "4.1.8" : "4.1.2", 450));
}

/** What is not there is refused, for now; what could not be asked might well have been: a later refusal stands, a permit does not. */
export function notThere(existence: "none" | "unavailable", answer: ReturnType<typeof defer>): Answer {
  return existence === "none" ? answer : { kind: "deferIfPermit", reply: answer.reply };
}
