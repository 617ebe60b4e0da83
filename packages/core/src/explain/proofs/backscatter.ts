/** What takes mail for addresses that nobody has: it is bounced later, to whoever was forged as the sender. */
import type { ResolvedConfig } from "../../config/index.ts";
import type { Explainer } from "../explainer.ts";
import type { Finding } from "./finding.ts";

const rule = "backscatter";
const nobody = "postern-check-nobody";

export async function findBackscatter(
  { domains }: ResolvedConfig,
  explainer: Explainer,
  own: readonly string[],
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const { addresses } = explainer.listing;
  const has = (name: "local" | "relay" | "virtualMailbox"): boolean => {
    const { domains: given, recipients } = domains[name];
    return recipients === undefined && (!Array.isArray(given) || given.length > 0);
  };
  if (has("relay")) {
    findings.push({
      level: "warning",
      rule,
      place: "domains.relay",
      message:
        "mail for any address of these domains is taken; what the next hop does not know is bounced to forged senders",
      remedy: "say who exists: domains.relay.recipients, a list or a table",
    });
  }
  for (const name of ["local", "virtualMailbox"] as const) {
    if (!has(name)) continue;
    findings.push({
      level: "note",
      rule,
      place: `domains.${name}`,
      message: "every address of these domains is taken and kept: nobody said who exists",
      remedy: `domains.${name}.recipients`,
    });
  }
  for (const domain of own) {
    const { recipients, steps, error } = await explainer.rewrite(`${nobody}@${domain}`);
    const step = steps.find(({ key }) => key === `@${domain}`);
    if (error !== undefined || step === undefined) continue;
    for (const target of recipients) {
      const at = target.lastIndexOf("@");
      const name = await addresses.classOf(target.slice(at + 1));
      const isKept = name === "local" || name === "virtualMailbox";
      const isKnown = !target.startsWith(`${nobody}@`) && name === "relay";
      if (isKept || isKnown) continue;
      const place =
        step.file === undefined ? step.table : `${step.file}${step.line === undefined ? "" : `:${step.line}`}`;
      findings.push({
        level: "warning",
        rule,
        place,
        message: `@${domain} takes mail for every address and sends it to ${target.replace(nobody, "…")}, which may bounce it to forged senders`,
        remedy: "name the addresses that exist in place of the whole domain",
      });
    }
  }
  return findings;
}
