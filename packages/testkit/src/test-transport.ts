/** A transport under test: handed requests as the delivery does, its outcomes and its report held to the contract. */
import type { DeliveryReport, Envelope, Outcome, Recipient, Route, Transport } from "@postern/core";
import { assertSaid, runCases, type Expected } from "./cases.ts";
import { sampleMessage, sampleRecipient } from "./samples.ts";

export interface TransportCase {
  readonly name: string;
  readonly envelope?: Partial<Omit<Envelope, "recipients">>;
  readonly recipients?: readonly string[];
  readonly nextHop?: string;
  readonly message?: string | Uint8Array;
  readonly before?: () => unknown;
  /** Aborts the attempt after this much real time. */
  readonly abortAfterMs?: number;
  /** By recipient: `delivered 2.1.5 text`, `deferred …`, `bounced …`; `unsettled` for none. Others may be anything. */
  readonly expect: Readonly<Record<string, Expected>>;
  readonly destination?: DeliveryReport["destination"];
}

const classes = { delivered: "2", deferred: "4", bounced: "5" } as const;

export async function testTransport(
  transport: Transport,
  { cases, deadlineMs = 10_000 }: { readonly cases: readonly TransportCase[]; readonly deadlineMs?: number },
): Promise<void> {
  await runCases(`transport ${transport.name}`, cases, async (given) => {
    await given.before?.();
    const recipients = (given.recipients ?? ["recipient@example.test"]).map((address) => sampleRecipient(address));
    const outcomes = new Map<Recipient, Outcome>();
    const misuse: string[] = [];
    const settle = (recipient: Recipient, outcome: Outcome): void => {
      if (!recipients.includes(recipient))
        misuse.push(`settled ${recipient.address}, which is no element of request.recipients`);
      else if (outcomes.has(recipient)) misuse.push(`settled ${recipient.address} twice`);
      else outcomes.set(recipient, outcome);
      if (!new RegExp(`^${classes[outcome.status] ?? "[245]"}\\.\\d{1,3}\\.\\d{1,3}$`).test(outcome.enhanced)) {
        misuse.push(`${outcome.status} with the enhanced code ${outcome.enhanced}`);
      }
    };
    const route: Route = { class: "default", transport: transport.name, nextHop: given.nextHop ?? "" };
    const controller = new AbortController();
    const timers = [given.abortAfterMs, deadlineMs].map(
      (delay) => delay !== undefined && setTimeout(() => controller.abort(), delay),
    );
    const request = {
      id: "TRANSACTION",
      envelope: { sender: "sender@example.net", body: "7bit", smtputf8: false, ...given.envelope },
      recipients,
      route,
      content: sampleMessage(given.message).raw,
      more: false,
    } as const;
    try {
      const report = await transport.deliver(request, { settle, signal: controller.signal });
      if (!["alive", "dead", "throttled"].includes(report?.destination))
        misuse.push("the report names no destination state");
      if (given.destination !== undefined && report.destination !== given.destination) {
        throw new Error(
          `expected the destination to be ${given.destination}, got ${report.destination} (${report.reason ?? "no reason"})`,
        );
      }
    } finally {
      for (const timer of timers) if (timer !== false) clearTimeout(timer);
    }
    if (misuse.length > 0) throw new Error(misuse.join("; "));
    for (const [address, expected] of Object.entries(given.expect)) {
      const recipient = recipients.find((one) => one.address === address);
      const outcome = recipient && outcomes.get(recipient);
      assertSaid(
        outcome === undefined ? "unsettled" : `${outcome.status} ${outcome.enhanced} ${outcome.text}`,
        expected,
      );
    }
  });
}
