/**
 * Gives a domain to recipients that came without one: the bare `<postmaster>` that every server takes (RFC 5321 §4.5.1;
 * Postfix's append_at_myorigin).
 */
import type { Envelope } from "../model/index.ts";
import type { RewriteAsk, Rewriter } from "./rewriter.ts";

export function createQualifier(domain: string): Rewriter {
  return Object.freeze({
    name: "qualify",
    rewrite<E extends Envelope>(envelope: E, { trace }: RewriteAsk): E {
      if (envelope.recipients.every(isQualified)) return envelope;
      const recipients = envelope.recipients.map((recipient) => {
        if (isQualified(recipient)) return recipient;
        const address = `${recipient.address}@${domain}`;
        trace?.({ name: "qualify", place: "envelope_recipient", before: recipient.address, after: [address] });
        return { ...recipient, address };
      });
      return { ...envelope, recipients };
    },
  });
}

const isQualified = ({ address }: Envelope["recipients"][number]): boolean => address.includes("@");
