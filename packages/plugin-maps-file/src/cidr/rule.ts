/** One line of a `cidr` table (cidr_table(5)). */
import { parseNetwork, type Network } from "./network.ts";

export type CidrRule =
  | {
      readonly kind: "match";
      readonly network: Network;
      readonly negated: boolean;
      readonly pattern: string;
      readonly value: string;
    }
  | { readonly kind: "if"; readonly network: Network; readonly negated: boolean }
  | { readonly kind: "endif" };

/** C's isspace in ASCII; `\s` has more. */
const blanksOnly = /^[ \t\v\f\r\n]*$/;

/** The rule, or what is wrong with it in Postfix's words. `nesting`: how many `if` are open. */
export function parseCidrRule(text: string, nesting: number): CidrRule | string {
  if (/^endif(?![a-z0-9])/i.test(text)) {
    if (nesting === 0) return "ENDIF without IF";
    return blanksOnly.test(text.slice(5)) ? { kind: "endif" } : "garbage after ENDIF";
  }
  const isIf = /^if(?![a-z0-9])/i.test(text);
  const signs = /^[! \t\v\f\r\n]*/.exec(isIf ? text.slice(2) : text)?.[0] ?? "";
  const negated = (signs.split("!").length - 1) % 2 === 1;
  const rest = text.slice((isIf ? 2 : 0) + signs.length);
  const pattern = isIf ? rest : (/^[^ \t\v\f\r\n]*/.exec(rest)?.[0] ?? "");
  const value = rest.slice(pattern.length).replace(/^[ \t\v\f\r\n]+/, "");
  if (pattern === "") return "no address pattern";
  if (!isIf && value === "") return "no lookup result";
  const network = parseNetwork(pattern);
  if (typeof network === "string") return network;
  return isIf ? { kind: "if", network, negated } : { kind: "match", network, negated, pattern, value };
}
