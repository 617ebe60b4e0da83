/** All words of this plugin, in the order in which they are listed. */
import type { Gateway } from "@postern/core";
import { checkClientAccess, checkHeloAccess, checkRecipientAccess, checkSenderAccess } from "./access.ts";
import { rejectUnauthDestination, rejectUnlistedRecipient } from "./destinations.ts";
import { permitMynetworks, permitSaslAuthenticated } from "./known-clients.ts";
import { rejectNonFqdnHeloHostname, rejectNonFqdnRecipient, rejectNonFqdnSender } from "./non-fqdn.ts";
import { deferWord, permitWord, rejectWord } from "./verdicts.ts";

const withoutArguments = [
  permitWord,
  rejectWord,
  deferWord,
  permitMynetworks,
  permitSaslAuthenticated,
  rejectUnauthDestination,
  rejectUnlistedRecipient,
  rejectNonFqdnSender,
  rejectNonFqdnRecipient,
  rejectNonFqdnHeloHostname,
];
const withTable = [checkClientAccess, checkHeloAccess, checkSenderAccess, checkRecipientAccess];

export function registerWords(gateway: Pick<Gateway, "restriction">): void {
  for (const word of withoutArguments) gateway.restriction(word);
  for (const word of withTable) gateway.restriction(word);
}
