/** The message that every part handles. */
import { createIdSource, createMemoryBlob, type Blob, type QueuedMessage } from "@postern/core";
import { composeMessage } from "../lib/latency-client.ts";

export const nextId = createIdSource(Date.now, Math.random);
export const recipient = { address: "user@example.test", original: "user@example.test" };
export const sender = "sender@source.test";

export function compose(sizeBytes: number): { readonly content: Buffer; readonly blob: Blob } {
  const content = composeMessage(sizeBytes);
  return { content, blob: createMemoryBlob([content]) };
}

export function queuedMessage(sizeBytes: number): QueuedMessage {
  return {
    id: nextId(),
    envelope: { sender, recipients: [recipient], body: "7bit", smtputf8: false },
    arrivedAt: Date.now(),
    sizeBytes,
    origin: {
      sessionId: "s",
      clientAddress: "127.0.0.1",
      clientName: "localhost",
      helo: "source.test",
      protocol: "ESMTP",
      listener: "mx",
      trusted: false,
    },
  };
}
