/**
 * One delivery: a transport is called, and what it says is checked. A transport that throws, hangs, settles twice or settles
 * strangers loses no mail: recipients without a final outcome stay pending.
 */
import { Failed, InvalidAnswer, type Guard, type Owner } from "../guard/index.ts";
import type { Clock, Outcome, Recipient } from "../model/index.ts";
import { deferred, isPromise, logText } from "../model/index.ts";
import type { DeliveryReport, DeliveryRequest, Transport } from "./transport.ts";

export interface AttemptResult {
  readonly report: DeliveryReport;
  /** Positions in `request.recipients` without a final outcome. */
  readonly pending: readonly number[];
}

export interface AttemptOptions {
  readonly guard: Guard;
  readonly clock: Clock;
  readonly owner: Owner;
  /** Aborted from outside when the gateway closes. */
  readonly controller: AbortController;
  readonly timeoutMs: number;
  /** Each recipient's outcome, once, as it comes; at the end a deferral for those that got none. */
  readonly settled: (position: number, outcome: Outcome) => void;
}

/** Between the abort of an attempt and giving it up: a transport may wait for the reply to its final dot. */
const graceMs = 15_000;

export async function attemptDelivery(
  transport: Transport,
  request: DeliveryRequest,
  { guard, clock, owner, controller, timeoutMs, settled }: AttemptOptions,
): Promise<AttemptResult> {
  const outcomes: (Outcome | undefined)[] = request.recipients.map(() => undefined);
  let over = false;
  const settle = (recipient: Recipient, outcome: Outcome): void => {
    const position = request.recipients.indexOf(recipient);
    if (over || position < 0 || outcomes[position] !== undefined) return;
    const sound = soundOutcome(outcome);
    outcomes[position] = sound;
    settled(position, sound);
  };
  const timer = clock.setTimer(() => controller.abort(), timeoutMs);
  const controls = { settle, signal: controller.signal };
  const patient = { ...owner, deadlineMs: timeoutMs + graceMs };
  const call = guard.run(patient, `transport ${transport.name}`, checkReport, () =>
    transport.deliver(request, controls),
  );
  const answer = isPromise(call) ? await call : call;
  over = true;
  timer.cancel();

  const report: DeliveryReport =
    answer instanceof Failed ? { destination: "alive", reason: "the transport failed" } : answer;
  const unsettled = deferred(report.reason ?? "no outcome", { enhanced: "4.3.0" });
  const pending: number[] = [];
  for (const [position, outcome] of outcomes.entries()) {
    if (outcome === undefined) settled(position, unsettled);
    if (outcome === undefined || outcome.status === "deferred") pending.push(position);
  }
  // A transport need not say again why it deferred; the last reason is wanted for bounces after the lifetime.
  const reason = report.reason ?? outcomes.findLast((outcome) => outcome?.status === "deferred")?.text;
  return { report: reason === undefined ? report : { ...report, reason }, pending };
}

function checkReport(answer: unknown): DeliveryReport {
  const given = answer as Partial<DeliveryReport> | null | undefined;
  const destination = given?.destination;
  if (destination !== "alive" && destination !== "dead" && destination !== "throttled") {
    throw new InvalidAnswer('a transport answers { destination: "alive" | "dead" | "throttled" }');
  }
  const { retryAfterMs, reason } = given ?? {};
  return {
    destination,
    ...(typeof retryAfterMs === "number" && retryAfterMs >= 0 && Number.isFinite(retryAfterMs) ? { retryAfterMs } : {}),
    ...(reason === undefined ? {} : { reason: logText(reason) }),
  };
}

const enhancedForm = /^[245]\.\d{1,3}\.\d{1,3}$/;
const classes = { delivered: "2", deferred: "4", bounced: "5" } as const;

/** What nobody can classify is deferred; a code of the wrong class becomes the class's general one. */
function soundOutcome(outcome: Outcome): Outcome {
  const status: unknown = outcome?.status;
  if (status !== "delivered" && status !== "deferred" && status !== "bounced") {
    return deferred("the transport gave no known outcome", { enhanced: "4.3.0" });
  }
  const { enhanced, text, remote, tls, inReplyTo, dsn } = outcome;
  const fits = typeof enhanced === "string" && enhancedForm.test(enhanced) && enhanced.startsWith(classes[status]);
  return {
    status,
    enhanced: fits ? enhanced : `${classes[status]}.0.0`,
    text: logText(text ?? ""),
    ...(remote === undefined ? {} : { remote: logText(remote, 300) }),
    ...(tls === undefined ? {} : { tls: logText(tls, 80) }),
    ...(inReplyTo === undefined ? {} : { inReplyTo: logText(inReplyTo, 40) }),
    ...(dsn === "passed" || dsn === "relayed" ? { dsn } : {}),
  };
}
