/** A judge's raw answer, checked: what is not of the contract is the plugin's failure, never a permit. */
import { canonicalAddress } from "../address/mailbox.ts";
import { InvalidAnswer } from "../guard/guard.ts";
import { soundObjection } from "../guard/objection.ts";
import { isObjection, permit, type Effect, type Permit, type Verdict } from "../model/verdict.ts";
import { reply, type Reply } from "../model/reply.ts";
import { isEffectKind } from "./effects.ts";

/** One thing that a judge said. */
export type Part = Effect | Verdict;

/** A permit that came through a table from a word that may not authorise. */
export const plainPermit: Permit = Object.freeze({ kind: "permit" });

const mostParts = 50;
const longestText = 512;
const headerName = /^[\u0021-\u0039\u003b-\u007e]{1,76}$/;
const longestHeader = 8 * 1024;

/** Parts in order, at most one verdict among them; `undefined` for no opinion. Throws `InvalidAnswer`. */
export function checkAnswer(answer: unknown): readonly Part[] | undefined {
  if (answer === undefined) return undefined;
  if (!Array.isArray(answer)) return [checkPart(answer)];
  if (answer.length > mostParts) throw new InvalidAnswer(`more than ${mostParts} effects in one answer`);
  const parts = answer.map(checkPart);
  if (parts.filter(({ kind }) => kind === "permit" || kind === "reject" || kind === "defer").length > 1) {
    throw new InvalidAnswer("more than one verdict in one answer");
  }
  return parts;
}

function checkPart(part: unknown): Part {
  if (typeof part !== "object" || part === null) throw new InvalidAnswer(`answer is ${describe(part)}`);
  if (part === plainPermit) return plainPermit;
  if (isObjection(part)) return soundObjection(part);
  const { kind } = part as { kind?: unknown };
  if (kind === "permit") return permit;
  if (!isEffectKind(kind)) throw new InvalidAnswer(`answer of unknown kind ${describe(kind)}`);
  return checkEffect(part as Effect);
}

function checkEffect(effect: Effect): Effect {
  switch (effect.kind) {
    case "prepend":
      if (!headerName.test(checkText(effect.name))) throw new InvalidAnswer("prepend needs a header name");
      return { kind: "prepend", name: effect.name, value: checkText(effect.value).slice(0, longestHeader) };
    case "discard":
    case "quarantine":
    case "hold": {
      const { kind, text } = effect;
      return text === undefined ? { kind } : { kind, text: checkText(text).slice(0, longestText) };
    }
    case "redirect":
    case "bcc":
      return { kind: effect.kind, address: checkAddress(effect.address) };
    case "filter":
      return { kind: "filter", destination: checkDestination(effect.destination) };
    case "log":
      return { kind: "log", text: checkText(effect.text).slice(0, longestText) };
    case "deferIfPermit":
    case "deferIfReject":
      return { kind: effect.kind, reply: checkDeferral(effect.reply) };
  }
}

function checkDeferral(given: Reply): Reply {
  return soundObjection({ kind: "defer", reply: reply(given?.code, given?.enhanced, given?.text ?? "") }).reply;
}

function checkAddress(text: unknown): string {
  const address = canonicalAddress(checkText(text), { smtputf8: true });
  if (address === undefined) throw new InvalidAnswer("an effect's address is none");
  return address;
}

/** `transport:nexthop`; whether there is such a transport is seen when the message is routed. */
function checkDestination(text: unknown): string {
  const destination = checkText(text).trim();
  if (!/^[a-z][\w-]*:[\x20-\x7e]{0,1000}$/i.test(destination))
    throw new InvalidAnswer("filter needs transport:nexthop");
  return destination;
}

function checkText(text: unknown): string {
  if (typeof text !== "string") throw new InvalidAnswer("an effect's text is no string");
  return text;
}

function describe(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value.slice(0, 40)) : value === null ? "null" : typeof value;
}
