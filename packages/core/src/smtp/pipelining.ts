/** Commands sent ahead of replies that had to be heard first (RFC 2920 §3.1), as Postfix's reject_unauth_pipelining sees them. */
import type { Session } from "../model/index.ts";
import type { Verb } from "./transitions.ts";

/** Commands whose reply a client has to hear before it goes on, as Postfix has them. */
const lastOfGroup: ReadonlySet<Verb> = new Set(["HELO", "EHLO", "DATA", "NOOP", "VRFY"]);

/** More has come behind `verb`: should it have waited? Once in a session is enough. What is still on its way here is not seen. */
export function isImproperlyPipelined(verb: Verb, { helo, pipelinedEarly }: Session): boolean {
  return pipelinedEarly !== true && (helo?.verb !== "EHLO" || lastOfGroup.has(verb));
}
