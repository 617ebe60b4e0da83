/** DATA (RFC 5321 §4.1.1.4): asked about before 354, received up to the final dot. */
import { reply, type MaybePromise } from "../../model/index.ts";
import { acceptMessage } from "../acceptance.ts";
import { Content } from "../content.ts";
import type { Dialogue } from "../dialogue.ts";
import type { OpenTransaction } from "../open-transaction.ts";
import { DataReceiver } from "../receivers.ts";
import type { Command } from "./index.ts";
import { noArguments } from "./simple.ts";

const goAhead = reply(354, undefined, "End data with <CR><LF>.<CR><LF>");
const tooLarge = reply(552, "5.3.4", "Message exceeds the size limit");

export const data: Command = (dialogue, argument) => {
  if (argument !== "") return dialogue.say(noArguments);
  return askData(dialogue, "DATA", () => {
    const { transaction } = dialogue;
    if (transaction === undefined) return;
    dialogue.say(goAhead);
    const receiver = new DataReceiver(beginContent(dialogue, transaction), {
      complete: () => dialogue.guarded("END-OF-MESSAGE", acceptMessage, ""),
      giveUp: () => dialogue.bye(tooLarge),
    });
    const { dataTimeoutMs, minRateBytesPerSecond } = dialogue.limits;
    dialogue.receive(receiver, dataTimeoutMs, minRateBytesPerSecond);
  });
};

/** The hook, then the list: once for a message, at DATA or at its first BDAT. */
export function askData(
  dialogue: Dialogue,
  command: "DATA" | "BDAT",
  accepted: () => MaybePromise<void>,
  refused: () => MaybePromise<void> = () => {},
): MaybePromise<void> {
  const { transaction, session } = dialogue;
  if (transaction === undefined) return;
  const { data: hook } = dialogue.generation.hooks.smtp;
  return dialogue.proceed(hook.tapped ? hook.call(transaction.plain, session) : undefined, (objection) => {
    if (objection !== undefined) {
      dialogue.object(objection, { stage: "data", command });
      return refused();
    }
    const asked = dialogue.policy.ask("data", { session, transaction: transaction.plain });
    return dialogue.proceed(asked, (refusal) => {
      if (refusal === undefined) return accepted();
      dialogue.object(refusal, { stage: "data", command });
      return refused();
    });
  });
}

export function beginContent(dialogue: Dialogue, transaction: OpenTransaction): Content {
  const { host, limits, place, generation, session } = dialogue;
  const lineEndings = place.ending === undefined ? place.settings.lineEndings : "kept";
  const intakes = generation.beginScan?.(session, transaction.plain);
  transaction.content = new Content(host.spooler, limits.messageSizeBytes, lineEndings, intakes);
  transaction.contentSince = host.clock.monotonic();
  return transaction.content;
}
