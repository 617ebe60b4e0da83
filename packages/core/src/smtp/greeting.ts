/** The connect stage and the greeting (RFC 5321 §3.1), at the start and again after XCLIENT. An objection is the greeting. */
import { reply, type MaybePromise, type Objection } from "../model/index.ts";
import type { Dialogue } from "./dialogue.ts";

/** `beforeGreeting` may say something else instead, and then gives false. */
export function greet(dialogue: Dialogue, beforeGreeting?: () => MaybePromise<boolean>): MaybePromise<void> {
  return askConnect(dialogue, () => {
    if (beforeGreeting === undefined) return sayGreeting(dialogue);
    return dialogue.proceed(beforeGreeting(), (goOn) => (goOn ? sayGreeting(dialogue) : undefined));
  });
}

/** The hook, then the list. After an objection the session is over. */
export function askConnect(dialogue: Dialogue, accepted: () => MaybePromise<void>): MaybePromise<void> {
  const { session } = dialogue;
  const { connect: hook } = dialogue.generation.hooks.smtp;
  return dialogue.proceed(hook.tapped ? hook.call(session) : undefined, (objection) => {
    if (objection !== undefined) return turnAway(dialogue, objection);
    return dialogue.proceed(dialogue.policy.ask("connect", { session }), (refusal) =>
      refusal === undefined ? accepted() : turnAway(dialogue, refusal),
    );
  });
}

function turnAway(dialogue: Dialogue, objection: Objection): void {
  dialogue.object(objection, { stage: "connect", command: "CONNECT", ends: true });
}

function sayGreeting(dialogue: Dialogue): void {
  const { banner } = dialogue.place.settings;
  dialogue.greeted = true;
  dialogue.say(reply(220, undefined, `${dialogue.hostname} ESMTP${banner === "" ? "" : ` ${banner}`}`));
}
