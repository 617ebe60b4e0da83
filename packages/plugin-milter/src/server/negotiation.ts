/** What is agreed with a mail server at the beginning: no step that nobody needs, no reply that nobody waits for. */
import type { Needs } from "@postern/core";
import {
  actions,
  allActions,
  newestVersion,
  oldestVersion,
  steps,
  termsOf,
  type Terms,
  type WantedMacros,
} from "../protocol/index.ts";

/** What is looked at, and nothing else. */
const wantedMacros: WantedMacros = Object.freeze({
  connect: ["j", "{client_ptr}", "{client_resolve}", "{daemon_addr}", "{daemon_port}", "{if_addr}"],
  helo: ["{tls_version}", "{cipher}", "{cipher_bits}"],
  mail: ["i", "{auth_authen}", "{auth_type}", "{tls_version}", "{cipher}", "{cipher_bits}"],
  recipient: ["i"],
  data: ["i"],
  endOfMessage: ["i"],
  endOfHeaders: ["i"],
});

/** `undefined` for a version that nobody speaks any more. */
export function agree(offered: Terms, needs: Needs): (Terms & { readonly macros?: WantedMacros }) | undefined {
  if (offered.version < oldestVersion) return undefined;
  const version = Math.min(offered.version, newestVersion);
  const known = termsOf(version);
  const available = offered.steps & known.steps;
  let chosen = 0;
  const choose = (wanted: boolean, step: number): void => {
    if (wanted && (available & step) !== 0) chosen |= step;
  };
  choose(!needs.unknown, steps.noUnknown);
  choose(!needs.data, steps.noData);
  choose(!needs.content, steps.noBody);
  choose(!needs.content, steps.noHeaders);
  // Where the body begins shows without it.
  choose(true, steps.noEndOfHeaders);
  choose(!needs.connect, steps.noReplyToConnect);
  choose(!needs.helo, steps.noReplyToHelo);
  choose(!needs.mail, steps.noReplyToMail);
  choose(!needs.rcpt, steps.noReplyToRecipient);
  choose(true, steps.noReplyToHeader);
  choose(true, steps.noReplyToBody);
  choose(true, steps.skip);
  choose(true, steps.leadingSpace);
  choose(needs.content, steps.packets1M);
  if ((chosen & steps.packets1M) === 0) choose(needs.content, steps.packets256K);
  const may = offered.actions & known.actions & allActions;
  const saysMacros = (may & actions.setMacros) !== 0;
  return { version, actions: may, steps: chosen, ...(saysMacros && { macros: wantedMacros }) };
}
