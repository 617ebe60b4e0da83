/** STARTTLS (RFC 3207). What the client sent behind the command in clear is dropped; nothing said before is known any more. */
import { reply, type MaybePromise } from "../../model/index.ts";
import type { Dialogue } from "../dialogue.ts";
import { reportObjection } from "../refusals.ts";
import { offersTls } from "../offers.ts";
import type { Command } from "./index.ts";
import { noArguments } from "./simple.ts";

const unavailable = reply(502, "5.5.1", "STARTTLS is not available");
const already = reply(503, "5.5.1", "TLS is active");
const goAhead = reply(220, "2.0.0", "Ready to start TLS");

export const starttls: Command = (dialogue, argument) => {
  if (dialogue.session.tls !== undefined) return dialogue.say(already);
  if (!offersTls(dialogue)) return dialogue.say(unavailable);
  if (argument !== "") return dialogue.say(noArguments);
  dialogue.say(goAhead);
  dialogue.wire.startTls((tls) => {
    dialogue.renew({ ...dialogue.session, tls, helo: undefined, auth: undefined }, "start");
    return dialogue.guarded("STARTTLS", () => askTls(dialogue), "");
  });
};

/** TLS is active: an objection answers every later command but QUIT. */
export function askTls(dialogue: Dialogue): MaybePromise<void> {
  const { tls: hook } = dialogue.generation.hooks.smtp;
  if (!hook.tapped) return;
  return dialogue.proceed(hook.call(dialogue.session), (objection) => {
    if (objection === undefined) return;
    dialogue.refusal = objection.reply;
    reportObjection(dialogue, objection, { stage: "tls", command: "STARTTLS" });
  });
}
