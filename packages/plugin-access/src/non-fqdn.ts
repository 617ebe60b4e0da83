/** reject_non_fqdn_*: names without a dot and names that are none. */
import {
  describeSubject,
  isFqdn,
  parseAddressLiteral,
  reject,
  rejectedText,
  type Answer,
  type Ask,
  type Restriction,
  type Stage,
} from "@postern/core";
import { noArguments } from "./arguments.ts";

const fromHelo: readonly Stage[] = ["helo", "mail", "relay", "rcpt", "data", "message"];
const fromMail: readonly Stage[] = fromHelo.slice(1);

export const rejectNonFqdnSender: Restriction<[]> = {
  name: "reject_non_fqdn_sender",
  stages: fromMail,
  args: noArguments,
  description:
    "Rejects (504 5.5.2) senders whose domain is no fully-qualified name. The null sender and address literals pass.",
  compile: () => (ask) => judgeAddress(ask.transaction?.sender, { ...ask, stage: "mail" }),
};

export const rejectNonFqdnRecipient: Restriction<[]> = {
  name: "reject_non_fqdn_recipient",
  stages: ["relay", "rcpt"],
  args: noArguments,
  description:
    "Rejects (504 5.5.2) recipients whose domain is no fully-qualified name. A bare postmaster and address literals pass.",
  compile: () => (ask) => judgeAddress(ask.recipient?.address, { ...ask, stage: "rcpt" }),
};

export const rejectNonFqdnHeloHostname: Restriction<[]> = {
  name: "reject_non_fqdn_helo_hostname",
  stages: fromHelo,
  args: noArguments,
  description:
    "Rejects (504 5.5.2) a HELO or EHLO name that is no fully-qualified name. Well-formed address literals pass.",
  compile: () => (ask) => judgeHelo(ask),
};

function judgeAddress(address: string | undefined, ask: Ask): Answer {
  if (address === undefined || address === "" || address.toLowerCase() === "postmaster") return undefined;
  const domain = address.slice(address.lastIndexOf("@") + 1);
  if (domain.startsWith("[") || isFqdn(domain)) return undefined;
  return reject(rejectedText(describeSubject(ask), "need fully-qualified address"), "5.5.2", 504);
}

function judgeHelo(ask: Ask): Answer {
  const name = ask.session.helo?.name;
  if (name === undefined || isFqdn(name)) return undefined;
  const subject = describeSubject({ ...ask, stage: "helo" });
  if (!name.startsWith("[")) return reject(rejectedText(subject, "need fully-qualified hostname"), "5.5.2", 504);
  if (parseAddressLiteral(name) !== undefined) return undefined;
  return reject(rejectedText(subject, "invalid ip address"), "5.5.2", 501);
}
