/** No open relay: strangers ask every listener to send to strangers, in all the ways in which relays were ever opened. */
import type { ResolvedConfig } from "../../config/index.ts";
import type { Explained } from "../explained.ts";
import type { Explainer } from "../explainer.ts";
import type { Finding } from "./finding.ts";
import { strangerDomain, strangerName, strangers } from "./strangers.ts";

const rule = "open-relay";

/** Ways to name a stranger's mailbox to a gateway whose own domain is `own`. */
function recipients(own: string | undefined): readonly string[] {
  const plain = `user@${strangerDomain}`;
  const bare = [
    plain,
    `"user"@${strangerDomain}`,
    `user@sub.${strangerDomain}`,
    `user@[192.0.2.99]`,
    `<@${strangerName}:${plain}>`,
  ];
  if (own === undefined) return bare;
  return [
    ...bare,
    `user%${strangerDomain}@${own}`,
    `"${plain}"@${own}`,
    `<@${own}:${plain}>`,
    `${strangerDomain}!user@${own}`,
  ];
}

export async function proveNoOpenRelay(
  config: ResolvedConfig,
  explainer: Explainer,
  own: string | undefined,
  progress: (text: string) => void,
): Promise<readonly Finding[]> {
  const findings = new Map<string, Finding>();
  const add = (finding: Finding): void => void findings.set(`${finding.place ?? ""} ${finding.message}`, finding);
  let asked = 0;
  if ((await explainer.listing.addresses.classOf(strangerDomain)) !== "default") {
    add({
      level: "error",
      rule,
      place: "domains",
      message: `a domain that is nobody's, ${strangerDomain}, counts as one of ours: a pattern or a table takes every domain`,
      remedy: "let it match the names of your domains alone",
    });
  }
  for (const [index, { name: listener }] of config.listeners.entries()) {
    progress(`open relay: listener ${listener}`);
    for (const family of strangers) {
      for (const from of [`user@${strangerDomain}`, "", ...(own === undefined ? [] : [`postmaster@${own}`])]) {
        const explained = await askAsStranger(explainer, family, { from, to: recipients(own), listener });
        if (explained === undefined) {
          add({
            level: "error",
            rule,
            place: "networks",
            message: `every stranger is in "networks", ${family.join(", ")} too, and may send anywhere`,
            remedy: "name only the networks of your own clients",
          });
          continue;
        }
        asked += explained.recipients.length;
        for (const finding of openings(explained, `listeners[${index}]`)) add(finding);
      }
    }
  }
  if (findings.size > 0) return [...findings.values()];
  const count = `${config.listeners.length} ${config.listeners.length === 1 ? "listener" : "listeners"}`;
  return [{ level: "proved", rule, message: `no open relay: strangers were refused ${asked} times at ${count}` }];
}

/** As the first of them that is not in `networks`; `undefined` when all are. */
export async function askAsStranger(
  explainer: Explainer,
  family: readonly string[],
  question: { readonly from: string; readonly to: readonly string[]; readonly listener: string },
): Promise<Explained | undefined> {
  for (const client of family) {
    const explained = await explainer.explain({ client, clientName: strangerName, helo: strangerName, ...question });
    if (explained.client?.inNetworks !== true) return explained;
  }
  return undefined;
}

function openings(explained: Explained, place: string): readonly Finding[] {
  const { question, commands, recipients: all } = explained;
  const rcpts = commands.filter(({ command }) => command === "RCPT");
  return rcpts.flatMap((asked, index): readonly Finding[] => {
    if (!/^2/.test(asked.replies.at(-1) ?? "")) return [];
    const words = asked.lists.filter(({ list }) => list === "relay" || list === "rcpt").flatMap((list) => list.words);
    const opener = words.find(({ answer }) => answer === "permit");
    const to = all[index]?.address ?? "";
    const who = `a stranger, ${question.client}, may send from <${question.from}> to ${to}`;
    if (opener === undefined) {
      return [{ level: "error", rule, place, message: `${who}: no word permits it, and the relay guard lets it pass` }];
    }
    const { word, path, tables } = opener;
    const entry = tables.find(({ result }) => result === "found");
    const by = entry === undefined ? "" : ` (${entry.table}, key ${entry.key})`;
    return [
      {
        level: "error",
        rule,
        place: path,
        message: `${who}: ${word} permits it${by}`,
        remedy: "let it permit your own clients alone, or take it out of this list",
      },
    ];
  });
}
