/** Refusals as the log, the hooks and the client are told of them: each has a decision's id, by which the log names whose it was. */
import { deciderOf } from "../hooks/index.ts";
import { replyLines, type Objection, type Recipient, type Reply, type Session } from "../model/index.ts";
import type { Dialogue } from "./dialogue.ts";
import type { Decider, SmtpEvent } from "./events.ts";

/** Where an objection was raised. */
export interface Occasion {
  readonly stage: string;
  /** As in the log: "CONNECT", "RCPT", "END-OF-MESSAGE". */
  readonly command: string;
  readonly recipient?: Recipient;
  /** Of a MAIL that is refused. */
  readonly sender?: string;
  /** As it would have been, when HELO is refused. */
  readonly session?: Session;
  /** The session ends with the reply. */
  readonly ends?: boolean;
}

type Refused = Omit<Extract<SmtpEvent, { kind: "rejected" }>, "kind" | "reply" | "decision">;

/** An objection of a hook, a list, the relay guard or a scanner: logged and told to the hooks. Gives what the client is to hear. */
export function reportObjection(dialogue: Dialogue, objection: Objection, occasion: Occasion): Reply {
  const { stage, command, recipient, session = dialogue.session } = occasion;
  const transaction = dialogue.transaction?.plain;
  const said = logRefusal(dialogue, objection.reply, whoseIs(objection, dialogue), {
    session,
    command,
    id: command === "END-OF-MESSAGE" ? transaction?.id : undefined,
    sender: occasion.sender ?? transaction?.sender,
    recipient: recipient?.address,
  });
  const { rejected } = dialogue.generation.hooks.smtp;
  if (rejected.tapped) rejected.call(objection, stage, session);
  return said;
}

/** By a rule of the core's own: logged. Gives what the client is to hear. */
export function refuseByRule(dialogue: Dialogue, refusal: Reply, refused: Refused): Reply {
  return logRefusal(dialogue, refusal, undefined, refused);
}

/** With the id in the reply when the config says so. */
function logRefusal({ host, generation }: Dialogue, refusal: Reply, by: Decider | undefined, refused: Refused): Reply {
  const id = host.ids();
  host.log({ kind: "rejected", reply: refusal, decision: { id, by }, ...refused });
  if (generation.settings.showDecision !== true) return refusal;
  const { code, enhanced, text, more = [] } = refusal;
  return replyLines(code, enhanced, [`${text} [d=${id}]`, ...more]);
}

function whoseIs(objection: Objection, { policy }: Dialogue): Decider | undefined {
  const tap = deciderOf(objection);
  if (tap === undefined) return policy.decision;
  const { hook, ...whose } = tap;
  return { list: "hook", path: hook, word: "hook", ...whose };
}
