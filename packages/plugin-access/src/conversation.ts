/** Words about how the client talks. */
import { describeSubject, defer, reject, rejectedText, stages, type Ask, type Restriction } from "@postern/core";
import { noArguments } from "./arguments.ts";
import { fromMail } from "./stages.ts";

export const rejectUnauthPipelining: Restriction<[]> = {
  name: "reject_unauth_pipelining",
  stages,
  args: noArguments,
  description:
    "Rejects (503 5.5.0) clients that sent commands ahead of their turn: without EHLO, or behind a command whose reply they have to hear. DATA itself is seen only in `data`.",
  compile: () => (ask) =>
    ask.session.pipelinedEarly === true
      ? reject(rejectedText(describeSubject(ask), "Improper use of SMTP command pipelining"), "5.5.0", 503)
      : undefined,
};

export const rejectMultiRecipientBounce: Restriction<[]> = {
  name: "reject_multi_recipient_bounce",
  stages: fromMail,
  args: noArguments,
  description:
    "Rejects (550 5.5.3) mail of the null sender to more than one recipient, since a bounce has but one. In `data` it asks about all recipients, before it about the second one and those after it.",
  compile: () => (ask) =>
    ask.transaction?.sender === "" && ask.transaction.recipients.length > acceptableBefore(ask)
      ? reject(rejectedText(describeSubject(ask), "Multi-recipient bounce"), "5.5.3", 550)
      : undefined,
};

function acceptableBefore({ stage }: Ask): number {
  return stage === "data" || stage === "message" ? 1 : 0;
}

export const rejectPlaintextSession: Restriction<[]> = {
  name: "reject_plaintext_session",
  stages,
  args: noArguments,
  description: "Rejects (450 4.7.1) clients that do not speak TLS.",
  compile: () => (ask) =>
    ask.session.tls === undefined ? defer("Session encryption is required", "4.7.1", 450) : undefined,
};
