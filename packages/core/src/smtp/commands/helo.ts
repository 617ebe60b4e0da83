/**
 * HELO and EHLO (RFC 5321 §4.1.1.1). Either ends a transaction, unless it is refused (§4.1.4). The name is judged, its form hardly:
 * it need only be one word.
 */
import { reply, type MaybePromise, type Reply, type Session } from "../../model/index.ts";
import type { Dialogue } from "../dialogue.ts";
import { offeredMechanisms } from "../sasl.ts";
import { mayAuthenticate, mayUseXclient, offersTls } from "../offers.ts";
import type { Command } from "./index.ts";

const nameless = reply(501, "5.5.4", "A host name or address literal must follow");
const heloWords = /^[\u0021-\u007e]{1,255}$/;

export const helo: Command = (dialogue, argument) => greet(dialogue, "HELO", argument);
export const ehlo: Command = (dialogue, argument) => greet(dialogue, "EHLO", argument);

function greet(dialogue: Dialogue, verb: "HELO" | "EHLO", name: string): MaybePromise<void> {
  if (!heloWords.test(name)) return dialogue.say(nameless);
  return askHelo(dialogue, { ...dialogue.session, helo: { verb, name } }, () => {
    dialogue.endTransaction(false);
    dialogue.state = "ready";
    dialogue.sayLines(verb === "HELO" ? [reply(250, undefined, dialogue.hostname)] : extensions(dialogue));
  });
}

/** The hook, then the list. After an objection the session is as it was. */
export function askHelo(dialogue: Dialogue, session: Session, accepted: () => MaybePromise<void>): MaybePromise<void> {
  const { helo: hook } = dialogue.generation.hooks.smtp;
  const name = session.helo?.name ?? "";
  return dialogue.proceed(hook.tapped ? hook.call(name, session) : undefined, (objection) => {
    if (objection !== undefined) return dialogue.object(objection, { stage: "helo", command: "HELO", session });
    return dialogue.proceed(dialogue.policy.ask("helo", { session }), (refusal) => {
      if (refusal !== undefined) return dialogue.object(refusal, { stage: "helo", command: "HELO", session });
      dialogue.session = session;
      return accepted();
    });
  });
}

const fixed: readonly Reply[] = ["ENHANCEDSTATUSCODES", "8BITMIME", "DSN", "SMTPUTF8", "CHUNKING"].map(line);
const pipelining = line("PIPELINING");
const starttls = line("STARTTLS");
const xclient = line("XCLIENT NAME ADDR PORT PROTO HELO REVERSE_NAME LOGIN DESTADDR DESTPORT");
const auth = line(`AUTH ${offeredMechanisms}`);

function line(text: string): Reply {
  return reply(250, undefined, text);
}

function extensions(dialogue: Dialogue): readonly Reply[] {
  const lines = [line(dialogue.hostname), pipelining, line(`SIZE ${dialogue.limits.messageSizeBytes}`)];
  if (offersTls(dialogue)) lines.push(starttls);
  if (mayAuthenticate(dialogue)) lines.push(auth);
  lines.push(...fixed);
  if (mayUseXclient(dialogue)) lines.push(xclient);
  return lines;
}
