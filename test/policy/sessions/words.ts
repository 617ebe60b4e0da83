// Every word that both servers may have, with arguments as random as the policy. What Postern does not have (yet) is left out by
// its own vocabulary, and told.
import type { Stage } from "@postern/core";
import type { Chance } from "./chance.ts";
import { ipLists, nameLists } from "./names.ts";
import type { KeyKind } from "./tables.ts";

export interface Word {
  readonly name: string;
  readonly weight?: number;
  /** A table of such keys stands behind it. */
  readonly table?: KeyKind;
  readonly args?: (chance: Chance) => string;
}

const rightHand = (chance: Chance): string =>
  chance.weighed([
    [3, ""],
    [1, "=127.0.0.2"],
    [1, "=127.0.[0..1].[2;4]"],
    [1, "=127.0.1.[0..9]"],
  ]);
const ipList = (list: string) => (chance: Chance) => `${list}${rightHand(chance)}`;
const nameList = (chance: Chance) => `${chance.one(nameLists)}${rightHand(chance)}`;

const accessWords: readonly Word[] = [
  { name: "check_client_access", table: "client", weight: 4 },
  { name: "check_helo_access", table: "helo", weight: 3 },
  { name: "check_sender_access", table: "mail", weight: 4 },
  { name: "check_recipient_access", table: "mail", weight: 4 },
  { name: "check_reverse_client_hostname_access", table: "reverse" },
  ...["client", "helo", "sender", "recipient", "reverse_client_hostname"].flatMap((whose) =>
    ["a", "mx", "ns"].map((how): Word => ({ name: `check_${whose}_${how}_access`, table: "address" })),
  ),
];

/** They end most lists that they stand in. */
const rarely: ReadonlySet<string> = new Set(["reject", "defer", "permit", "reject_plaintext_session"]);

const plain: readonly Word[] = [
  "permit",
  "reject",
  "defer",
  "permit_mynetworks",
  "permit_sasl_authenticated",
  "permit_auth_destination",
  "reject_unauth_destination",
  "defer_unauth_destination",
  "reject_unlisted_sender",
  "reject_unlisted_recipient",
  "reject_invalid_helo_hostname",
  "reject_non_fqdn_helo_hostname",
  "reject_unknown_helo_hostname",
  "reject_non_fqdn_sender",
  "reject_non_fqdn_recipient",
  "reject_unknown_sender_domain",
  "reject_unknown_recipient_domain",
  "reject_unknown_client_hostname",
  "reject_unknown_reverse_client_hostname",
  "reject_plaintext_session",
  "reject_unauth_pipelining",
  "reject_multi_recipient_bounce",
  "defer_if_permit",
  "defer_if_reject",
].map((name) => ({ name, weight: rarely.has(name) ? 0.4 : 1.5 }));

/** Words of the same meaning under a name of old. */
const oldNames: readonly Word[] = [
  "reject_unknown_client",
  "reject_unknown_hostname",
  "reject_invalid_hostname",
  "reject_non_fqdn_hostname",
].map((name) => ({ name, weight: 0.3 }));

export const words: readonly Word[] = [
  ...accessWords,
  ...plain,
  ...oldNames,
  { name: "reject_rbl_client", args: ipList(ipLists[0]) },
  { name: "permit_dnswl_client", args: ipList(ipLists[1]) },
  ...["client", "reverse_client", "helo", "sender", "recipient"].map((whose): Word => ({
    name: `reject_rhsbl_${whose}`,
    args: nameList,
  })),
  { name: "permit_rhswl_client", args: nameList },
];

/** Not asked here: they wait on purpose, or need a login, a service, a certificate. Of this many words nothing is compared. */
export const leftOut: Readonly<Record<string, string>> = {
  sleep: "waits",
  permit_inet_interfaces: "asks for the address of the connection, which XCLIENT does not change in Postfix",
  permit_mx_backup: "asks for this host's own names and addresses",
  reject_dnsbl_score: "is no word of Postfix",
  reject_unknown_forward_client_hostname: "is no word of Postfix 3.7",
  check_sasl_access: "needs logins",
  reject_sender_login_mismatch: "needs logins",
  reject_authenticated_sender_login_mismatch: "needs logins",
  reject_unauthenticated_sender_login_mismatch: "needs logins",
  reject_known_sender_login_mismatch: "needs logins",
};

/** Where Postern lets a word stand; `undefined`: it does not have the word. */
export type Vocabulary = ReadonlyMap<string, readonly Stage[]>;
