/** What is no command here: those of RFC 5321, its ancestors and its extensions that are not offered, and other protocols. */
import { reply } from "../../model/index.ts";
import type { Dialogue } from "../dialogue.ts";

const notOffered = reply(502, "5.5.1", "Command not implemented");
const unrecognized = reply(500, "5.5.1", "Command not recognized");
const notSmtp = reply(421, "4.7.0", "This is SMTP, closing connection");

const unavailable: ReadonlySet<string> = new Set([
  "EXPN",
  "HELP",
  "ETRN",
  "TURN",
  "ATRN",
  "SEND",
  "SOML",
  "SAML",
  "XFORWARD",
  "BURL",
]);

// A browser made to speak to a mail server.
const foreign = /^(?:GET|POST|PUT|HEAD|OPTIONS|CONNECT|DELETE) \S+ HTTP\//i;

export function unknown(dialogue: Dialogue, line: string, verb: string): void {
  if (foreign.test(line)) {
    dialogue.note("spoke HTTP");
    return dialogue.bye(notSmtp);
  }
  dialogue.say(dialogue.refusal ?? (unavailable.has(verb) ? notOffered : unrecognized));
}
