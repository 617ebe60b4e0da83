/** Addresses that a rewriter answers with. */
import { canonicalAddress } from "../address/index.ts";
import { InvalidAnswer } from "../guard/guard.ts";

/** Canonical. Throws `InvalidAnswer` for what is no address with a domain. */
export function checkAddress(text: unknown): string {
  const address =
    typeof text === "string" ? canonicalAddress(text, { smtputf8: true, maxLocalPartOctets: 320 }) : undefined;
  if (address === undefined) throw new InvalidAnswer("a rewriter answers with addresses");
  return address;
}
