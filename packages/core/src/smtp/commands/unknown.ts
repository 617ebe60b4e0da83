/** What is no command here: those of RFC 5321, its ancestors and its extensions that are not offered, and other protocols. */
import { reply, type MaybePromise, type Reply } from "../../model/index.ts";
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

export function unknown(dialogue: Dialogue, line: string, verb: string): MaybePromise<void> {
  if (foreign.test(line)) {
    dialogue.note("spoke HTTP");
    return dialogue.bye(notSmtp);
  }
  return askUnknown(dialogue, line, verb, dialogue.refusal ?? (unavailable.has(verb) ? notOffered : unrecognized));
}

/** The hook; `said` when it does not object. */
export function askUnknown(dialogue: Dialogue, line: string, verb: string, said: Reply): MaybePromise<void> {
  const { unknown: hook } = dialogue.generation.hooks.smtp;
  if (!hook.tapped) return dialogue.say(said);
  return dialogue.guarded(
    verb,
    () => {
      const { session } = dialogue;
      return dialogue.proceed(hook.call(line, session), (objection) => {
        if (objection === undefined) dialogue.say(said);
        else dialogue.object(objection, { stage: "unknown", command: logVerb(verb) });
      });
    },
    "",
  );
}

/** What stands in the log as the command: any octets may have come. */
function logVerb(verb: string): string {
  return /^[A-Z]{1,20}$/.test(verb) ? verb : "UNKNOWN";
}
