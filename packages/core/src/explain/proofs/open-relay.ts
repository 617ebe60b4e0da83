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

interface RelayQuestion {
  readonly from: string;
  readonly to: readonly string[];
  readonly clientName: string;
}

function questions(own: string | undefined): readonly RelayQuestion[] {
  const to = recipients(own);
  const senders = [`user@${strangerDomain}`, "", ...(own === undefined ? [] : [`postmaster@${own}`])];
  return [
    ...senders.map((from) => ({ from, to, clientName: strangerName })),
    // Most of the world has no name, and a table may have the key that stands for that.
    { from: `user@${strangerDomain}`, to: to.slice(0, 1), clientName: "unknown" },
  ];
}

export async function proveNoOpenRelay(
  config: ResolvedConfig,
  explainer: Explainer,
  own: string | undefined,
  progress: (text: string) => void,
): Promise<readonly Finding[]> {
  // One for each place: the first way in, and how many others there are.
  const findings = new Map<string, { readonly finding: Finding; readonly others: Set<string> }>();
  const add = (finding: Finding): void => {
    const known = findings.get(finding.place ?? "");
    if (known === undefined) findings.set(finding.place ?? "", { finding, others: new Set() });
    else if (known.finding.message !== finding.message) known.others.add(finding.message);
  };
  let refused = 0;
  let deferred = 0;
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
      for (const { from, to, clientName } of questions(own)) {
        const explained = await askAsStranger(explainer, family, { from, to, listener }, clientName);
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
        for (const { verdict } of explained.recipients) {
          if (verdict === "deferred") deferred += 1;
          else refused += 1;
        }
        for (const finding of openings(explained, `listeners[${index}]`)) add(finding);
      }
    }
  }
  if (findings.size > 0) {
    return [...findings.values()].map(({ finding, others }) =>
      others.size === 0 ? finding : { ...finding, message: `${finding.message} (and ${others.size} other ways)` },
    );
  }
  const count = `${config.listeners.length} ${config.listeners.length === 1 ? "listener" : "listeners"}`;
  const proved: Finding = {
    level: "proved",
    rule,
    message: `no open relay: strangers were refused ${refused} times at ${count}`,
  };
  if (deferred === 0) return [proved];
  const message = `${deferred} times a stranger was put off before anybody asked about relaying: nothing is proved for that`;
  return [...(refused > 0 ? [proved] : []), { level: "note", rule, message }];
}

/** As the first of them that is not in `networks`; `undefined` when all are. */
export async function askAsStranger(
  explainer: Explainer,
  family: readonly string[],
  question: { readonly from: string; readonly to: readonly string[]; readonly listener: string },
  clientName = strangerName,
): Promise<Explained | undefined> {
  for (const client of family) {
    const explained = await explainer.explain({ client, clientName, helo: strangerName, ...question });
    if (explained.client?.inNetworks !== true) return explained;
  }
  return undefined;
}

function openings(explained: Explained, place: string): readonly Finding[] {
  const { question, commands, recipients: all } = explained;
  const rcpts = commands.filter(({ command }) => command === "RCPT");
  return rcpts.flatMap((asked, index): readonly Finding[] => {
    // Who is only put off, as by a greylist, comes back: the guard has let it pass.
    const isTaken = asked.replies.at(-1)?.startsWith("2") === true;
    const isPassed = asked.lists.some(
      ({ list, words: [guard] }) => list === "relay guard" && guard?.answer === "permit",
    );
    if (!isTaken && !isPassed) return [];
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
