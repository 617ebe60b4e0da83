/** Words of our own packages, so that a config that forgot the package hears its name. */
export const knownWords: Readonly<Record<string, readonly string[]>> = Object.freeze({
  "@postern/plugin-access": [
    "permit",
    "reject",
    "defer",
    "permit_mynetworks",
    "permit_sasl_authenticated",
    "reject_unauth_destination",
    "reject_unlisted_recipient",
    "reject_non_fqdn_sender",
    "reject_non_fqdn_recipient",
    "reject_non_fqdn_helo_hostname",
    "check_client_access",
    "check_helo_access",
    "check_sender_access",
    "check_recipient_access",
  ],
  "@postern/plugin-greylist": ["greylist"],
  "@postern/plugin-policy": ["check_policy_service"],
});

/** The package that has the word. */
export function packageOf(word: string): string | undefined {
  return Object.entries(knownWords).find(([, words]) => words.includes(word))?.[0];
}
