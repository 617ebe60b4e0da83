/**
 * What a list said, as the one action that the protocol has room for. Of several things the one that keeps most mail out is told:
 * a refusal, a deferral that is remembered, and only then what is to be done with the message, and a header last.
 */
import { formatReply, partsOf, type Answer, type Effect, type Reply, type Verdict } from "@postern/core";

type Part = Verdict | Effect;

/** Never with a line break in it. `permit`: how a permit is told. */
export function toAction(answer: Answer, permit: "DUNNO" | "OK"): string {
  const parts = partsOf(answer);
  const find = <Kind extends Part["kind"]>(kind: Kind) =>
    parts.find((part): part is Extract<Part, { readonly kind: Kind }> => part.kind === kind);
  const rejected = find("reject");
  const ifReject = find("deferIfReject");
  const refusal = rejected === undefined ? find("defer") : (ifReject ?? rejected);
  if (refusal !== undefined) return formatReply(bare(refusal.reply));
  const discard = find("discard");
  if (discard !== undefined) return line("DISCARD", discard.text);
  const ifPermit = find("deferIfPermit");
  if (ifPermit !== undefined) return deferral("DEFER_IF_PERMIT", ifPermit.reply);
  if (ifReject !== undefined) return deferral("DEFER_IF_REJECT", ifReject.reply);
  const hold = find("hold") ?? find("quarantine");
  if (hold !== undefined) return line("HOLD", hold.text);
  const redirect = find("redirect");
  if (redirect !== undefined) return line("REDIRECT", redirect.address);
  const filter = find("filter");
  if (filter !== undefined) return line("FILTER", filter.destination);
  const bcc = find("bcc");
  if (bcc !== undefined) return line("BCC", bcc.address);
  const prepend = find("prepend");
  if (prepend !== undefined) return line("PREPEND", `${prepend.name}: ${prepend.value}`);
  return find("permit") === undefined ? "DUNNO" : permit;
}

function deferral(action: string, reply: Reply): string {
  const { enhanced, text } = bare(reply);
  return line(action, enhanced === undefined ? text : `${enhanced} ${text}`);
}

/** The asking server puts `<x>: Recipient address rejected:` before the text itself. */
const ownSubject =
  /^<[^>]*>: (?:Client host|Helo command|Sender address|Recipient address|Data command|End-of-data) rejected: /;

function bare(reply: Reply): Reply {
  const text = reply.text.replace(ownSubject, "");
  // Digits without a text would be taken for an OK.
  return { ...reply, text: text === "" ? "Access denied" : text };
}

function line(action: string, text: string | undefined): string {
  const clean = (text ?? "").replace(/[\u0000-\u001f\u007f]+ */g, " ").trim();
  return clean === "" ? action : `${action} ${clean}`;
}
