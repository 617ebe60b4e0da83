/** RCPT (RFC 5321 §4.1.1.3): one recipient. Whether we relay for it is the guard's to say, inside the policy. */
import { addressFaults, takePath, type AddressFaultReason } from "../../address/index.ts";
import { reply, type MaybePromise, type Objection, type Recipient, type Reply } from "../../model/index.ts";
import { isRefused, parseRcptParameters } from "../parameters.ts";
import { reportObjection } from "../refusals.ts";
import { readPath } from "../client-path.ts";
import type { Dialogue } from "../dialogue.ts";
import type { OpenTransaction } from "../open-transaction.ts";
import type { Command } from "./index.ts";

const syntax = reply(501, "5.5.4", "Syntax: RCPT TO:<address>");
const utf8Needed = reply(553, "5.6.7", "Non-ASCII address without SMTPUTF8");
const tooMany = reply(452, "4.5.3", "Too many recipients");
const ok = reply(250, "2.1.5", "Ok");

/** RCPT commands beyond the limit, whatever became of them, before more are errors (Postfix's smtpd_recipient_overshoot_limit). */
const overshoot = 1000;

export const rcpt: Command = (dialogue, argument) => {
  const { transaction, limits } = dialogue;
  if (transaction === undefined || argument.slice(0, 3).toUpperCase() !== "TO:") return dialogue.say(syntax);
  transaction.attempts += 1;
  if (transaction.attempts > limits.recipients + overshoot) {
    dialogue.countError();
    return dialogue.say(tooMany);
  }
  const taken = takePath(argument.slice(3));
  if (!taken.ok) return dialogue.say(recipientFault(taken.reason));
  const parameters = parseRcptParameters(taken.rest);
  if (isRefused(parameters)) return dialogue.say(parameters.refusal);
  const path = readPath(dialogue, taken.path, { allowPostmaster: true, smtputf8: transaction.plain.smtputf8 });
  if (!path.ok) return dialogue.say(recipientFault(path.reason));
  if (transaction.plain.recipients.length >= limits.recipients) return dialogue.say(tooMany);

  return askRecipient(dialogue, transaction, { address: path.address, original: taken.path, ...parameters });
};

/** The hook, the lists, the relay guard, and the hook that has the last word. */
export function askRecipient(
  dialogue: Dialogue,
  transaction: OpenTransaction,
  recipient: Recipient,
): MaybePromise<void> {
  const { session } = dialogue;
  const { rcpt: hook } = dialogue.generation.hooks.smtp;
  const hooked = hook.tapped ? hook.call(recipient, transaction.plain, session) : undefined;
  return dialogue.proceed(hooked, (objection) => {
    if (objection !== undefined) return refuse(dialogue, transaction, recipient, objection);
    const asked = dialogue.policy.ask("rcpt", { session, transaction: transaction.plain, recipient });
    return dialogue.proceed(asked, (refusal) => {
      if (refusal !== undefined) return refuse(dialogue, transaction, recipient, refusal);
      const { recipient: accepted } = dialogue.generation.hooks.smtp;
      const told = accepted.tapped ? accepted.call(recipient, transaction.plain, session) : undefined;
      return dialogue.proceed(told, (last) => {
        if (last !== undefined) return refuse(dialogue, transaction, recipient, last);
        transaction.add(recipient);
        dialogue.state = "rcpt";
        dialogue.say(ok);
      });
    });
  });
}

/** Whoever wants to hear of it hears of it before the client may go on. */
function refuse(
  dialogue: Dialogue,
  { plain }: OpenTransaction,
  recipient: Recipient,
  objection: Objection,
): MaybePromise<void> {
  const { recipientRefused } = dialogue.generation.hooks.smtp;
  const told = recipientRefused.tapped
    ? recipientRefused.call(recipient, objection, plain, dialogue.session)
    : undefined;
  // Reported at once: it is decided, and the client may be gone before they have heard.
  const said = reportObjection(dialogue, objection, { stage: "rcpt", command: "RCPT", recipient });
  return dialogue.proceed(told, () => dialogue.refuse(said));
}

function recipientFault(reason: AddressFaultReason): Reply {
  return reason === "nonAscii" ? utf8Needed : reply(501, "5.1.3", `Bad recipient: ${addressFaults[reason]}`);
}
