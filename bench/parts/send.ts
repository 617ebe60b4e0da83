/** The smtp transport's part: 20 deliveries at a time to smtp-sink over kept connections. */
import { freePort } from "../../test/services/ports.ts";
import { untilGreeting } from "../relay/postern.ts";
import { startSink } from "../relay/sink.ts";
import { openGeneration } from "./gateway.ts";
import { compose, nextId, recipient, sender } from "./mail.ts";
import { inParallel, type Part, type PartScope } from "./part.ts";

export async function openSend({ folder, sizeBytes }: PartScope): Promise<Part> {
  const sink = startSink(await freePort());
  await untilGreeting(sink.port);
  const generation = await openGeneration(folder, sink.port);
  const transport = generation.forDelivery().transport("smtp")?.value;
  if (transport === undefined) throw new Error("there is no smtp transport");
  const { blob: content } = compose(sizeBytes);
  const route = { transport: "smtp", nextHop: `[127.0.0.1]:${sink.port}` };
  const envelope = { sender, body: "7bit", smtputf8: false } as const;
  const { signal } = new AbortController();
  return {
    name: "send",
    covers: "smtp transport to smtp-sink, 20 at a time on kept connections",
    run: (messages) =>
      inParallel(messages, 20, async () => {
        let status = "nothing";
        const settle = (_: unknown, outcome: { readonly status: string }): void => void (status = outcome.status);
        const request = { id: nextId(), envelope, recipients: [recipient], route, content, more: true };
        const { reason } = await transport.deliver(request, { settle, signal });
        if (status !== "delivered") throw new Error(`the sink did not take a message: ${status} ${reason ?? ""}`);
      }),
    async close() {
      await transport.close();
      sink.stop();
    },
  };
}
