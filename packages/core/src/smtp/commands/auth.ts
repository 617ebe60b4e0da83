/** AUTH (RFC 4954): the exchange, its limits, and what its end is for the session. Nothing the client says in it is logged but its name. */
import type { Credentials } from "../../authentication/index.ts";
import { after, reply, type MaybePromise } from "../../model/index.ts";
import type { Dialogue } from "../dialogue.ts";
import { startPause } from "../pause.ts";
import { ResponseLine } from "../response-line.ts";
import { beginSasl, decodeBase64, type PlainCredentials, type SaslExchange } from "../sasl.ts";
import { mayAuthenticate, offersAuth } from "../offers.ts";
import type { Command } from "./index.ts";

const notEnabled = reply(503, "5.5.1", "Authentication not enabled");
const syntax = reply(501, "5.5.4", "Syntax: AUTH mechanism");
const ehloFirst = reply(503, "5.5.1", "Send EHLO first");
const already = reply(503, "5.5.1", "Already authenticated");
const tlsFirst = reply(538, "5.7.11", "Encryption required for requested authentication mechanism");
const unknownMechanism = reply(504, "5.5.4", "Unrecognized authentication mechanism");
const cancelled = reply(501, "5.7.0", "Authentication aborted");
const undecodable = reply(501, "5.5.2", "Cannot decode response");
const tooLong = reply(500, "5.5.6", "Authentication exchange line is too long");
const succeeded = reply(235, "2.7.0", "Authentication successful");
// One answer for whatever is wrong: the name, the password, or how they were said.
const failed = reply(535, "5.7.8", "Authentication failed");
const tooManyFailures = reply(421, "4.7.0", "Too many failed logins, closing connection");
const unavailable = reply(454, "4.7.0", "Temporary authentication failure");

export const auth: Command = (dialogue, argument) => {
  const { session } = dialogue;
  if (!offersAuth(dialogue)) return dialogue.say(notEnabled);
  if (session.helo?.verb !== "EHLO") return dialogue.say(ehloFirst);
  if (session.auth !== undefined) return dialogue.say(already);
  if (!mayAuthenticate(dialogue)) return dialogue.say(tlsFirst);
  const [name = "", initial, ...more] = argument.split(" ");
  if (name === "" || more.length > 0) return dialogue.say(syntax);
  const exchange = beginSasl(name);
  if (exchange === undefined) return dialogue.say(unknownMechanism);
  if (initial === undefined) return step(dialogue, exchange, undefined);
  // RFC 4954 §4: "=" is an empty initial response.
  return initial === "=" ? step(dialogue, exchange, Buffer.alloc(0)) : hear(dialogue, exchange, initial);
};

function hear(dialogue: Dialogue, exchange: SaslExchange, text: string): MaybePromise<void> {
  if (text === "*") return dialogue.say(cancelled);
  const response = decodeBase64(text);
  if (response === undefined) return dialogue.say(undecodable);
  const stepped = step(dialogue, exchange, response);
  response.fill(0);
  return stepped;
}

function step(dialogue: Dialogue, exchange: SaslExchange, response: Buffer | undefined): MaybePromise<void> {
  const next = exchange.step(response);
  switch (next.kind) {
    case "challenge":
      dialogue.say(reply(334, undefined, next.text));
      return dialogue.wire.receive(
        new ResponseLine((line) => dialogue.guarded("AUTH", () => continued(dialogue, exchange, line), "")),
      );
    case "malformed":
      return refuse(dialogue, exchange, next.identity);
    case "credentials":
      return verify(dialogue, exchange, next.credentials);
  }
}

function continued(
  dialogue: Dialogue,
  exchange: SaslExchange,
  line: { readonly text: string; readonly proper: boolean } | undefined,
): MaybePromise<void> {
  if (line === undefined) return dialogue.say(tooLong);
  if (!line.proper && dialogue.place.settings.lineEndings !== "normalize") return dialogue.say(undecodable);
  return hear(dialogue, exchange, line.text);
}

function verify(
  dialogue: Dialogue,
  exchange: SaslExchange,
  { identity, authzid, password }: PlainCredentials,
): MaybePromise<void> {
  const { authenticate } = dialogue.generation;
  // RFC 4616 §2: nobody acts for somebody else here.
  if (authenticate === undefined || (authzid !== "" && authzid !== identity)) {
    return refuse(dialogue, exchange, identity);
  }
  const gone = new AbortController();
  const onEnd = (): void => gone.abort();
  dialogue.onEnd = onEnd;
  const { mechanism } = exchange;
  const { session } = dialogue;
  const credentials: Credentials = { identity, authzid, password, mechanism, session, signal: gone.signal };
  return after(authenticate(credentials), (answer) => {
    // Before it is held back: who does not stay to hear it has failed all the same.
    if (answer.kind !== "ok") tell(dialogue, exchange, identity, answer.kind === "no" ? "refused" : "unavailable");
    if (dialogue.over) return;
    return dialogue.proceed(holdBack(dialogue, answer.delayMs ?? 0), () => {
      dialogue.onEnd = undefined;
      if (answer.kind === "ok") return accept(dialogue, exchange, answer.identity);
      if (answer.kind === "later") return dialogue.say(unavailable);
      return answer.ends === true ? dialogue.bye(tooManyFailures) : dialogue.say(failed);
    });
  });
}

/** The hook has the last word. */
function accept(dialogue: Dialogue, { mechanism }: SaslExchange, identity: string): MaybePromise<void> {
  const { auth: hook } = dialogue.generation.hooks.smtp;
  const session = { ...dialogue.session, auth: { identity, mechanism } };
  return dialogue.proceed(hook.tapped ? hook.call(identity, mechanism, session) : undefined, (objection) => {
    if (objection !== undefined) return dialogue.object(objection, { stage: "auth", command: "AUTH", session });
    dialogue.session = session;
    dialogue.host.log({ kind: "login", session, mechanism, identity, outcome: "accepted" });
    dialogue.say(succeeded);
  });
}

/** What nobody is asked about. */
function refuse(dialogue: Dialogue, exchange: SaslExchange, identity: string | undefined): void {
  tell(dialogue, exchange, identity ?? "", "refused");
  dialogue.say(failed);
}

function tell(
  dialogue: Dialogue,
  { mechanism }: SaslExchange,
  identity: string,
  outcome: "refused" | "unavailable",
): void {
  const { session } = dialogue;
  dialogue.host.log({ kind: "login", session, mechanism, identity, outcome });
  const { authFailed } = dialogue.generation.hooks.smtp;
  if (authFailed.tapped) authFailed.call(identity, mechanism, session);
}

/** Ends early with the session. */
function holdBack(dialogue: Dialogue, delayMs: number): MaybePromise<void> {
  if (delayMs <= 0) return undefined;
  const pause = startPause(dialogue.host.clock, delayMs);
  const onEnd = (): void => pause.end();
  dialogue.onEnd = onEnd;
  return pause.over;
}
