/** reject_invalid_helo_hostname and reject_non_fqdn_helo_hostname: what a client calls itself, by its form alone. */
import {
  isFqdn,
  isValidHostname,
  parseAddressLiteral,
  parseIp,
  reject,
  rejectedText,
  subjectOf,
  type Answer,
  type Restriction,
  type Subject,
} from "@postern/core";
import { noArguments } from "./arguments.ts";
import { fromHelo } from "./stages.ts";

export const rejectInvalidHeloHostname: Restriction<[]> = {
  name: "reject_invalid_helo_hostname",
  stages: fromHelo,
  args: noArguments,
  description:
    "Rejects (501 5.5.2) a HELO or EHLO name that is neither a host name nor an address, with or without brackets.",
  compile: () => (ask) => {
    const name = ask.session.helo?.name;
    if (name === undefined) return undefined;
    if (name.startsWith("[")) return judgeLiteral(name, subjectOf("helo", ask));
    const bare = name.length > 1 && name.endsWith(".") && !name.endsWith("..") ? name.slice(0, -1) : name;
    if (isValidHostname(bare) || parseIp(bare) !== undefined) return undefined;
    return reject(rejectedText(subjectOf("helo", ask), "Invalid name"), "5.5.2", 501);
  },
};

export const rejectNonFqdnHeloHostname: Restriction<[]> = {
  name: "reject_non_fqdn_helo_hostname",
  stages: fromHelo,
  args: noArguments,
  description:
    "Rejects (504 5.5.2) a HELO or EHLO name that is no fully-qualified name. Well-formed address literals pass.",
  compile: () => (ask) => {
    const name = ask.session.helo?.name;
    if (name === undefined || isFqdn(name)) return undefined;
    if (name.startsWith("[")) return judgeLiteral(name, subjectOf("helo", ask));
    return reject(rejectedText(subjectOf("helo", ask), "need fully-qualified hostname"), "5.5.2", 504);
  },
};

/** A name that begins with a bracket: an address literal, or none. */
export function judgeLiteral(name: string, subject: Subject): Answer {
  if (parseAddressLiteral(name) !== undefined) return undefined;
  return reject(rejectedText(subject, "invalid ip address"), "5.5.2", 501);
}
