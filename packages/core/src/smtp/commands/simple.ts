/** Commands that ask nobody: RSET, NOOP, QUIT, VRFY (RFC 5321 §4.1.1.5 ff.). */
import { reply } from "../../model/index.ts";
import type { Command } from "./index.ts";

export const noArguments = reply(501, "5.5.4", "No arguments here");
const ok = reply(250, "2.0.0", "Ok");
const goodbye = reply(221, "2.0.0", "Bye");
/** RFC 5321 §3.5.3: we do not tell who is here. */
const unverified = reply(252, "2.5.0", "Cannot verify, but will try to deliver");
const vrfyWhom = reply(501, "5.5.4", "VRFY needs an address");

export const rset: Command = (dialogue, argument) => {
  if (argument !== "") return dialogue.say(noArguments);
  dialogue.endTransaction(false);
  dialogue.say(ok);
};

export const noop: Command = (dialogue) => dialogue.say(ok);

export const quit: Command = (dialogue, argument) =>
  argument === "" ? dialogue.part(goodbye) : dialogue.say(noArguments);

export const vrfy: Command = (dialogue, argument) => dialogue.say(argument === "" ? vrfyWhom : unverified);
