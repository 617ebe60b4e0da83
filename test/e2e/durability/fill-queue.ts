// Fills a queue as an outage would: COUNT messages in DIRECTORY, all deferred and due between one and three hours from now. A process of its
// own, so that nothing of it is left in anybody's memory.
import { createMemoryBlob, createSegmentStore, systemClock, type QueuedMessage } from "@postern/core";
import { numberedMail } from "./numbered-mail.ts";

const bodyBytes = 1000;
const writers = 1000;
const hourMs = 3_600_000;

const [, , directory = "", count = ""] = process.argv;
const store = createSegmentStore({ directory, clock: systemClock });
await store.open();
let next = 0;
await Promise.all(Array.from({ length: writers }, fill));
await store.close();

async function fill(): Promise<void> {
  for (let number = next++; number < Number(count); number = next++) {
    const { content, recipients, sender } = numberedMail(number, bodyBytes);
    const now = systemClock.now();
    const message: QueuedMessage = {
      id: `waiting${number.toString(36)}`,
      envelope: {
        sender,
        recipients: recipients.map((address) => ({ address, original: address })),
        body: "7bit",
        smtputf8: false,
      },
      arrivedAt: now,
      sizeBytes: content.length,
      origin: undefined,
    };
    await store.commit(message, createMemoryBlob([content]));
    store.reschedule(message.id, {
      attempts: 1,
      nextAttemptAt: now + hourMs * (1 + 2 * ((number * 0.618) % 1)),
      reason: "connect to 127.0.0.1: Connection refused",
    });
  }
}
