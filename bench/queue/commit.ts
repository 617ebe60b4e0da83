/**
 * What the store costs: commit, read back from the hand-off, settle and remove, at 20 writers, in microseconds of CPU and messages a second.
 *   node --conditions=@postern/source bench/queue/commit.ts [--bytes 4096] [--messages 100000] [--writers 20] [--directory DIR]
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createMemoryBlob } from "../../packages/core/src/message/index.ts";
import { createIdSource, delivered, systemClock } from "../../packages/core/src/model/index.ts";
import { createSegmentStore } from "../../packages/core/src/queue/index.ts";

const { values } = parseArgs({
  options: {
    bytes: { type: "string", default: "4096" },
    messages: { type: "string", default: "100000" },
    writers: { type: "string", default: "20" },
    directory: { type: "string", default: tmpdir() },
  },
});
const [bytes, messages, writers] = [values.bytes, values.messages, values.writers].map(Number) as [
  number,
  number,
  number,
];
const folder = mkdtempSync(join(values.directory, "postern-bench-"));
const store = createSegmentStore({ directory: join(folder, "queue"), clock: systemClock });
await store.open();
const nextId = createIdSource(Date.now, Math.random);
const outcome = delivered("250 2.0.0 Ok: queued as 4XyZ", { remote: "mx.example.test[192.0.2.1]:25" });
const origin = {
  sessionId: "s",
  clientAddress: "127.0.0.1",
  clientName: "localhost",
  helo: "x",
  protocol: "ESMTP",
  listener: "mx",
  trusted: true,
};
let left = messages;

async function writer(): Promise<void> {
  while (left > 0) {
    left -= 1;
    const id = nextId();
    const recipients = [{ address: "someone@example.test", original: "someone@example.test" }];
    const envelope = { sender: "sender@example.test", recipients, body: "7bit" as const, smtputf8: false };
    const content = createMemoryBlob([Buffer.allocUnsafeSlow(bytes)]);
    await store.commit({ id, envelope, arrivedAt: Date.now(), sizeBytes: bytes, origin }, content);
    await store.content(id);
    void store.settle(id, [{ index: 0, outcome }]);
    void store.remove(id);
  }
}

const cpu = process.cpuUsage();
const start = performance.now();
await Promise.all(Array.from({ length: writers }, writer));
const ms = performance.now() - start;
const used = process.cpuUsage(cpu);
await store.close();
rmSync(folder, { recursive: true });
const micros = (used.user + used.system) / messages;
console.log(
  `${bytes} octets, ${writers} writers: ${Math.round((messages / ms) * 1000)} messages/s, ${micros.toFixed(1)} µs CPU each, ${Math.round(process.memoryUsage().rss / 1e6)} MB`,
);
