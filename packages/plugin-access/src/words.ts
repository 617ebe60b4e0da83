/** All words of this plugin, in the order in which they are listed. */
import type { Gateway, Restriction } from "@postern/core";
import { accessWords } from "./access.ts";
import type { WordContext } from "./context.ts";
import { rejectMultiRecipientBounce, rejectPlaintextSession, rejectUnauthPipelining } from "./conversation.ts";
import {
  deferUnauthDestination,
  permitAuthDestination,
  permitMxBackup,
  rejectUnauthDestination,
  rejectUnlistedRecipient,
  rejectUnlistedSender,
} from "./destinations.ts";
import { rejectDnsblScore } from "./dns-list-score.ts";
import { dnsListWords } from "./dns-list-words.ts";
import { rejectInvalidHeloHostname, rejectNonFqdnHeloHostname } from "./helo-names.ts";
import { permitInetInterfaces, permitMynetworks, permitSaslAuthenticated } from "./known-clients.ts";
import { rejectNonFqdnRecipient, rejectNonFqdnSender } from "./non-fqdn.ts";
import type { Options } from "./options.ts";
import { senderLoginWords } from "./sender-logins.ts";
import { serverAccessWords } from "./server-access.ts";
import { createSleep } from "./sleep.ts";
import {
  rejectUnknownClientHostname,
  rejectUnknownForwardClientHostname,
  rejectUnknownReverseClientHostname,
} from "./unknown-clients.ts";
import { rejectUnknownHeloHostname, rejectUnknownRecipientDomain, rejectUnknownSenderDomain } from "./unknown-names.ts";
import { deferWord, permitWord, rejectWord } from "./verdicts.ts";

/** Words end their wait for DNS before their plugin's deadline ends them. */
const dnsShare = 0.9;
const defaultDeadlineMs = 10_000;

export function registerWords(
  gateway: Pick<Gateway, "restriction" | "dns" | "clock" | "deadlineMs">,
  options: Options,
  sleep: Restriction<[number]> = createSleep().word,
): void {
  const { dns, clock, deadlineMs = defaultDeadlineMs } = gateway;
  const context: WordContext = { dns, clock, dnsBudgetMs: Math.floor(deadlineMs * dnsShare), options };
  const plain: readonly Restriction<[]>[] = [
    permitWord,
    rejectWord,
    deferWord,
    permitMynetworks,
    permitSaslAuthenticated,
    permitInetInterfaces,
    permitAuthDestination,
    permitMxBackup,
    rejectUnauthDestination,
    deferUnauthDestination,
    rejectUnlistedRecipient,
    rejectUnlistedSender,
    rejectNonFqdnSender,
    rejectNonFqdnRecipient,
    ...withOldName(rejectNonFqdnHeloHostname, "reject_non_fqdn_hostname"),
    ...withOldName(rejectInvalidHeloHostname, "reject_invalid_hostname"),
    ...withOldName(rejectUnknownHeloHostname(context), "reject_unknown_hostname"),
    ...withOldName(rejectUnknownClientHostname, "reject_unknown_client"),
    rejectUnknownReverseClientHostname,
    rejectUnknownForwardClientHostname(context),
    rejectUnknownSenderDomain(context),
    rejectUnknownRecipientDomain(context),
    ...senderLoginWords(context),
    rejectUnauthPipelining,
    rejectMultiRecipientBounce,
    rejectPlaintextSession,
  ];
  for (const word of plain) gateway.restriction(word);
  for (const word of accessWords) gateway.restriction(word);
  for (const word of serverAccessWords(context)) gateway.restriction(word);
  for (const word of dnsListWords(context)) gateway.restriction(word);
  gateway.restriction(rejectDnsblScore(context));
  gateway.restriction(sleep);
}

/** Under the name that Postfix had for it before 2.3, too. */
function withOldName(word: Restriction<[]>, name: string): readonly Restriction<[]>[] {
  return [word, { ...word, name, description: `The old name of ${word.name}.` }];
}
