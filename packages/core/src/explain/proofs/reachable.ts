/** postmaster must be reachable by everybody (RFC 5321 §4.5.1), and abuse should be (RFC 2142). */
import type { ResolvedConfig } from "../../config/index.ts";
import type { ExplainedRecipient } from "../explained.ts";
import type { Explainer } from "../explainer.ts";
import type { Finding } from "./finding.ts";
import { askAsStranger } from "./open-relay.ts";
import { strangerDomain, strangers } from "./strangers.ts";

/** Recipients of one session. */
const atATime = 10;

export async function provePostmasters(
  { listeners }: ResolvedConfig,
  explainer: Explainer,
  domains: readonly string[],
  progress: (text: string) => void,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const [family = []] = strangers;
  // Where strangers come in: a listener for our own clients may refuse them as it likes.
  const [listener] = listeners;
  if (listener === undefined) return [];
  const ask = async (to: readonly string[]): Promise<readonly ExplainedRecipient[]> => {
    const answers: ExplainedRecipient[] = [];
    for (let at = 0; at < to.length; at += atATime) {
      progress(`postmaster: ${at} of ${to.length}`);
      const some = to.slice(at, at + atATime);
      const question = { from: `user@${strangerDomain}`, to: some, listener: listener.name };
      answers.push(...((await askAsStranger(explainer, family, question))?.recipients ?? []));
    }
    return answers;
  };
  const refused = (all: readonly ExplainedRecipient[]) => all.filter(({ verdict }) => verdict === "refused");
  const postmasters = await ask(["postmaster", ...domains.map((domain) => `postmaster@${domain}`)]);
  for (const { address, reply, by } of refused(postmasters)) {
    findings.push({
      level: "warning",
      rule: "postmaster",
      place: by?.list === "recipients" ? "domains" : by?.path,
      message: `${address} refuses strangers: ${reply}`,
      remedy:
        "RFC 5321 wants postmaster reachable: list the address, give it an alias, or permit it before the word that refuses",
    });
  }
  if (findings.length === 0) {
    findings.push({ level: "proved", rule: "postmaster", message: `postmaster is reachable at ${describe(domains)}` });
  }
  const abuse = refused(await ask(domains.map((domain) => `abuse@${domain}`)));
  if (abuse.length > 0) {
    findings.push({
      level: "note",
      rule: "abuse",
      message: `${abuse
        .map(({ address }) => address)
        .slice(0, 5)
        .join(", ")}${abuse.length > 5 ? ", …" : ""} refuses strangers (RFC 2142 wants abuse reachable)`,
    });
  }
  return findings;
}

function describe(domains: readonly string[]): string {
  if (domains.length === 0) return "this host";
  return domains.length > 3 ? `${domains.length} domains` : domains.join(", ");
}
