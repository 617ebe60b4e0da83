/** Takes messages into a store as twenty sessions would. */
import { createMemoryBlob } from "../../packages/core/src/message/index.ts";
import type { QueueStore } from "../../packages/core/src/queue/index.ts";

export interface Accepting {
  readonly bytes: number;
  readonly nextId: () => string;
}

const writers = 20;
const origin = {
  sessionId: "s",
  clientAddress: "127.0.0.1",
  clientName: "localhost",
  helo: "client.example.test",
  protocol: "ESMTP",
  listener: "mx",
  trusted: true,
};

export interface Accepted {
  readonly perSecond: number;
  /** CPU of this process, microseconds a message. */
  readonly cpuMicros: number;
}

export async function accept(store: QueueStore, { bytes, nextId }: Accepting, messages: number): Promise<Accepted> {
  let left = messages;
  const started = performance.now();
  const before = process.cpuUsage();
  const write = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const recipients = [{ address: "someone@example.test", original: "someone@example.test" }];
      const envelope = { sender: "sender@example.test", recipients, body: "7bit" as const, smtputf8: false };
      const message = { id: nextId(), envelope, arrivedAt: Date.now(), sizeBytes: bytes, origin };
      await store.commit(message, createMemoryBlob([Buffer.allocUnsafeSlow(bytes)]));
    }
  };
  await Promise.all(Array.from({ length: writers }, write));
  const perSecond = (messages / (performance.now() - started)) * 1000;
  const { user, system } = process.cpuUsage(before);
  return { perSecond, cpuMicros: (user + system) / messages };
}
