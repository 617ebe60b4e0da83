/** rspamd's actions, and what the gateway makes of them. */
import { defer, reject, ScannerFailure, type Effect, type Objection } from "@postern/core";
import { smtpMessage, type RspamdAnswer } from "./answer.ts";
import type { Treatment } from "./options.ts";

/**
 * As rspamd's own milter does. `greylist` is taken: it says that a message *is* to be greylisted, and rspamd's module asks for that by `soft reject`; what
 * still has this action when it comes to us has been let in, or there is no such module, and it would be deferred for ever.
 */
const usual: Readonly<Record<string, Treatment>> = {
  "no action": "accept",
  greylist: "accept",
  "add header": "tag",
  "rewrite subject": "subject",
  "soft reject": "defer",
  reject: "reject",
  quarantine: "quarantine",
  discard: "discard",
};

/** Throws `ScannerFailure` for an action of which nobody said what it means. */
export function treatmentOf(answer: RspamdAnswer, chosen: Readonly<Record<string, Treatment>>): Treatment {
  const { action, milter } = answer;
  const own = chosen[action];
  if (own !== undefined) return own;
  // Its settings may say so for a single message.
  if (action === "reject" && (milter?.reject === "discard" || milter?.reject === "quarantine")) return milter.reject;
  const known = usual[action];
  if (known === undefined) {
    throw new ScannerFailure("error", `rspamd's action ${JSON.stringify(action)} is not in "actions"`);
  }
  return known;
}

export function objectionOf(treatment: Treatment, answer: RspamdAnswer): Objection | undefined {
  if (treatment === "reject") return reject(smtpMessage(answer) ?? "Spam message rejected", "5.7.1", 554);
  if (treatment === "defer") return defer(smtpMessage(answer) ?? "Try again later", "4.7.1", 451);
  return undefined;
}

export function effectOf(treatment: Treatment, answer: RspamdAnswer): Effect | undefined {
  if (treatment !== "quarantine" && treatment !== "discard") return undefined;
  return { kind: treatment, text: describe(answer) };
}

/** For logs and the quarantine: `rspamd: reject, 18.2 of 15`. */
function describe({ action, score, required_score: required }: RspamdAnswer): string {
  const scores =
    score === undefined ? "" : `, ${round(score)}${required === undefined ? "" : ` of ${round(required)}`}`;
  return `rspamd: ${action}${scores}`;
}

const round = (score: number): string => String(Math.round(score * 100) / 100);
