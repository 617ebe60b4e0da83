/** What a peer's words mean for a recipient, as Postfix's smtp_proto and smtp_trouble see it. */
import { logText, type Outcome } from "@postern/core";
import type { ServerReply } from "./server-reply.ts";

/** 5yz bounces; all else that is no yes is deferred. The enhanced code keeps its subject and detail where its class agrees. */
export function refusal(reply: ServerReply, inReplyTo: string, extra: Partial<Outcome>): Outcome {
  const permanent = reply.code >= 500;
  const enhanced = enhancedFor(reply, permanent ? "5" : "4");
  return { ...extra, status: permanent ? "bounced" : "deferred", enhanced, text: logText(reply.text), inReplyTo };
}

export function acceptance(reply: ServerReply, extra: Partial<Outcome>): Outcome {
  return {
    ...extra,
    status: "delivered",
    enhanced: enhancedFor(reply, "2"),
    text: logText(reply.text),
    inReplyTo: "end of DATA",
  };
}

function enhancedFor({ enhanced }: ServerReply, wanted: string): string {
  return enhanced?.startsWith(wanted) === true ? enhanced : `${wanted}.0.0`;
}

/** The same words, for now. */
export function softened(outcome: Outcome, enhanced = `4${outcome.enhanced.slice(1)}`): Outcome {
  if (outcome.status === "deferred") return outcome;
  return { ...outcome, status: "deferred", enhanced };
}

/** This server closes or is too busy: another may do, and this one wants to be left alone. */
export function isBusy({ code }: ServerReply): boolean {
  return code === 421;
}
