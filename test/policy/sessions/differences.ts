// Differences that are meant. Each has a name, stands in docs/standards.md under "Sessions", and is recognised by as little as possible;
// whatever is not recognised fails the test.
import type { Reply } from "./conversation.ts";
import { ownDomains } from "./names.ts";
import type { SessionPolicy } from "./policy.ts";

export interface Difference {
  readonly policy: SessionPolicy;
  readonly theirs: Reply;
  readonly ours: Reply;
  /** Lines of the transaction so far. */
  readonly before: readonly string[];
  /** The gateway's log of the session. */
  readonly log: string;
}

const known: Readonly<Record<string, (difference: Difference) => boolean>> = {
  // RFC 5321 §4.1.1.4 allows both.
  "DATA before any RCPT": ({ theirs, ours }) =>
    theirs.line === "DATA" && theirs.code === "554 5.5.1" && ours.code === "503 5.5.1",
  // Postfix takes all further recipients of a transaction of which one was discarded, even one that was refused after all.
  "recipients after DISCARD": ({ policy, theirs, ours, before }) =>
    theirs.code.startsWith("2") &&
    /^[45]/.test(ours.code) &&
    before.some((line) => line.startsWith("RCPT")) &&
    mayDiscard(policy),
  // The relay guard stands before DISCARD: for a stranger's domain the lists are asked on.
  "relaying with DISCARD": ({ policy, theirs, ours }) =>
    /^[24]/.test(theirs.code) && /^[45]/.test(ours.code) && !isOurs(theirs.line) && mayDiscard(policy),
  // Without smtpd_delay_reject Postfix ignores it there, and asks on.
  "DISCARD at connect or HELO": ({ policy, theirs }) =>
    !policy.delayReject && mayDiscard(policy) && /^(XCLIENT|EHLO|HELO) /.test(theirs.line),
  // RFC 5321 §4.1.1.4: the final dot ends the transaction; Postfix goes on with it when its restrictions refuse the message.
  "the transaction after a refused message": ({ theirs, ours, before }) =>
    before.includes("<message>") && [theirs.code, ours.code].includes("503 5.5.1"),
  // Words about "the" recipient ask for one when there is one alone, and reject_multi_recipient_bounce when there are more.
  "a recipient given twice is one": ({ theirs, before }) =>
    /^(DATA|<message>)$/.test(theirs.line) && hasRepeated(before.filter((line) => line.startsWith("RCPT"))),
  // Postfix keeps the line open, and says 503 5.7.0 to everything but QUIT.
  "closed after a refusal at connect": ({ policy, theirs, ours }) =>
    !policy.delayReject && theirs.code === "503 5.7.0" && ours.code === "closed",
  // Without smtpd_delay_reject Postfix asks this once a transaction, so that it does not refuse the second recipient.
  "reject_unlisted_sender at further recipients": ({ policy, ours, before }) =>
    !policy.delayReject &&
    /^[45]/.test(ours.code) &&
    isOurs(before[0] ?? "") &&
    before.some((line) => line.startsWith("RCPT")) &&
    says(policy, "reject_unlisted_sender"),
  // At RCPT both take it whatever the lists say; later Postfix asks about postmaster@$myorigin, or finds it not fully-qualified.
  "a bare postmaster after RCPT": ({ theirs, before }) =>
    /^(DATA|<message>)$/.test(theirs.line) && /^[45]/.test(theirs.code) && before.includes("RCPT TO:<postmaster>"),
  "relay guard": ({ ours, log }) => ours.code === "554 5.7.1" && log.includes("relay guard"),
};

const hasRepeated = (lines: readonly string[]): boolean =>
  new Set(lines.map((line) => line.toLowerCase())).size < lines.length;

/** Not so an address with another destination in it. */
const isOurs = (line: string): boolean =>
  !/[%"]/.test(line) && Object.values(ownDomains).some((domain) => line.endsWith(`@${domain}>`));

/** A list, a class or a table of the policy has this in it. */
const says = ({ tables, lists, classes }: SessionPolicy, text: string): boolean =>
  [...tables.map((table) => table.text ?? ""), ...Object.values(lists), ...Object.values(classes)].some((where) =>
    where.includes(text),
  );
const mayDiscard = (policy: SessionPolicy): boolean => says(policy, "DISCARD");

/** The name of a difference that is meant, if it is one. */
export function explain(difference: Difference): string | undefined {
  return Object.keys(known).find((name) => known[name]?.(difference) === true);
}
