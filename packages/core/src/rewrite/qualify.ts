/**
 * Gives a domain to recipients that came without one: the bare `<postmaster>` that every server takes (RFC 5321 §4.5.1;
 * Postfix's append_at_myorigin).
 */
import type { Envelope } from "../model/index.ts";
import type { Rewriter } from "./rewriter.ts";

export function createQualifier(domain: string): Rewriter {
  return Object.freeze({
    name: "qualify",
    rewrite<E extends Envelope>(envelope: E): E {
      if (envelope.recipients.every(isQualified)) return envelope;
      const recipients = envelope.recipients.map((recipient) =>
        isQualified(recipient) ? recipient : { ...recipient, address: `${recipient.address}@${domain}` },
      );
      return { ...envelope, recipients };
    },
  });
}

const isQualified = ({ address }: Envelope["recipients"][number]): boolean => address.includes("@");
