/** MAIL (RFC 5321 §4.1.1.2): the reverse-path and what the message is said to be. Nothing of a refused MAIL stays. */
import { addressFaults, takePath, type AddressFaultReason } from "../../address/index.ts";
import { reply, type MaybePromise, type Reply, type Transaction } from "../../model/index.ts";
import type { Dialogue } from "../dialogue.ts";
import { noSpace } from "../failure.ts";
import { OpenTransaction } from "../open-transaction.ts";
import { isRefused, parseMailParameters, type AuthParameter, type MailParameters } from "../parameters.ts";
import { readPath } from "../client-path.ts";
import { offersAuth } from "../offers.ts";
import type { Command } from "./index.ts";

const syntax = reply(501, "5.5.4", "Syntax: MAIL FROM:<address>");
const utf8Needed = reply(553, "5.6.7", "Non-ASCII address without SMTPUTF8");
const ok = reply(250, "2.1.0", "Ok");

export const mail: Command = (dialogue, argument) => {
  if (argument.slice(0, 5).toUpperCase() !== "FROM:") return dialogue.say(syntax);
  const taken = takePath(argument.slice(5));
  if (!taken.ok) return dialogue.say(senderFault(taken.reason));
  const parameters = parseMailParameters(taken.rest, dialogue.limits.messageSizeBytes, authParameter(dialogue));
  if (isRefused(parameters)) return dialogue.say(parameters.refusal);
  const path = readPath(dialogue, taken.path, { allowNull: true, smtputf8: parameters.smtputf8 });
  if (!path.ok) return dialogue.say(senderFault(path.reason));

  // Before the content is sent for nothing.
  if (!dialogue.host.hasRoom(parameters.declaredSizeBytes ?? 0)) return dialogue.say(noSpace);
  return askMail(dialogue, path.address, parameters);
};

function authParameter(dialogue: Dialogue): AuthParameter {
  if (!offersAuth(dialogue)) return "unknown";
  return dialogue.session.auth === undefined ? "passed over" : "believed";
}

/** The hook, then the list. After an objection there is no transaction. */
export function askMail(dialogue: Dialogue, sender: string, parameters: MailParameters): MaybePromise<void> {
  const { session } = dialogue;
  const plain: Omit<Transaction, "recipients"> = {
    id: dialogue.host.ids(),
    sessionId: session.id,
    startedAt: dialogue.host.clock.now(),
    sender,
    ...parameters,
  };
  const transaction = new OpenTransaction(plain);
  const occasion = { stage: "mail", command: "MAIL", sender };
  const { mail: hook } = dialogue.generation.hooks.smtp;
  const hooked = hook.tapped ? hook.call(sender, transaction.plain, session) : undefined;
  return dialogue.proceed(hooked, (objection) => {
    if (objection !== undefined) return dialogue.object(objection, occasion);
    return dialogue.proceed(dialogue.policy.ask("mail", { session, transaction: transaction.plain }), (refusal) => {
      if (refusal !== undefined) {
        dialogue.policy.resetTransaction();
        return dialogue.object(refusal, occasion);
      }
      dialogue.beginTransaction(transaction);
      dialogue.say(ok);
    });
  });
}

function senderFault(reason: AddressFaultReason): Reply {
  return reason === "nonAscii" ? utf8Needed : reply(501, "5.1.7", `Bad sender: ${addressFaults[reason]}`);
}
