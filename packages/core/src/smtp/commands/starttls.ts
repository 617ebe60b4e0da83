/** STARTTLS (RFC 3207). What the client sent behind the command in clear is dropped; nothing said before is known any more. */
import { reply } from "../../model/index.ts";
import type { Command } from "./index.ts";
import { noArguments } from "./simple.ts";

const unavailable = reply(502, "5.5.1", "STARTTLS is not available");
const already = reply(503, "5.5.1", "TLS is active");
const goAhead = reply(220, "2.0.0", "Ready to start TLS");

export const starttls: Command = (dialogue, argument) => {
  if (dialogue.session.tls !== undefined) return dialogue.say(already);
  if (!dialogue.offersTls) return dialogue.say(unavailable);
  if (argument !== "") return dialogue.say(noArguments);
  dialogue.say(goAhead);
  dialogue.wire.startTls((tls) => {
    dialogue.renew({ ...dialogue.session, tls, helo: undefined, auth: undefined }, "start");
    return dialogue.guarded("STARTTLS", () => dialogue.askTls(), "");
  });
};
