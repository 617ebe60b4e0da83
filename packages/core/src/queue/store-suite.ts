/**
 * What every queue store must do, as cases without a test runner: `for (const { name, run } of queueStoreCases) test(name, () => run(make))`.
 * Failures are AssertionErrors.
 */
import assert from "node:assert/strict";
import { type Blob, createMemoryBlob } from "../message/index.ts";
import { bounced, delivered, type QueuedMessage } from "../model/index.ts";
import type { QueueStore } from "./store.ts";
import { onHold } from "./store.ts";

export interface StoreBench {
  /** Open and empty. */
  readonly store: QueueStore;
  /** Closes and opens again what is on disk; absent when nothing survives. */
  readonly reopen?: () => Promise<QueueStore>;
}

export interface QueueStoreCase {
  readonly name: string;
  readonly run: (make: () => Promise<StoreBench>) => Promise<void>;
}

/** A message with that many recipients, and a content unlike any other's. */
export function sampleMessage(
  id: string,
  recipients = 1,
  content = sampleContent(id),
): { message: QueuedMessage; content: Blob } {
  const message: QueuedMessage = {
    id,
    arrivedAt: 1_780_000_000_000,
    sizeBytes: content.sizeBytes,
    envelope: {
      sender: "söme\u2028one@example.test",
      recipients: Array.from({ length: recipients }, (_, index) => ({
        address: `r${index}@example.test`,
        original: `R${index}@Example.test`,
        notify: ["failure", "delay"] as const,
      })),
      body: "8bitmime",
      smtputf8: true,
      envid: "e+2Bid",
    },
    origin: {
      sessionId: "s1",
      clientAddress: "192.0.2.1",
      clientName: "client.example.test",
      helo: "client.example.test",
      protocol: "ESMTP",
      listener: "mx",
      trusted: false,
    },
  };
  return { message, content };
}

function sampleContent(id: string): Blob {
  return createMemoryBlob([
    Buffer.from(`Subject: ${id}\r\n\r\n`),
    Buffer.from([0, 255, 13, 10, 0x9e, 0x51]),
    Buffer.from(id),
  ]);
}

/** All octets of a blob. */
export async function readAll(blob: Blob | undefined): Promise<Buffer> {
  assert(blob !== undefined, "there is no content");
  const chunks: Buffer[] = [];
  for await (const chunk of blob.read()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** A content that is a stream only, as one in a spool file is. */
export function unbufferedBlob(octets: Buffer): Blob {
  const blob = createMemoryBlob([octets]);
  return {
    sizeBytes: blob.sizeBytes,
    chunks: undefined,
    read: (start, end) => blob.read(start, end),
    slice: (start, end) => blob.slice(start, end),
  };
}

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

/** Runs `check` on the store as it is, and again after a restart when there can be one. */
async function nowAndAfterRestart(
  { store, reopen }: StoreBench,
  check: (store: QueueStore) => Promise<void>,
): Promise<void> {
  await check(store);
  if (reopen === undefined) await store.close();
  else {
    const again = await reopen();
    await check(again);
    await again.close();
  }
}

export const queueStoreCases: readonly QueueStoreCase[] = [
  {
    name: "a committed message is there, whole, with all recipients pending",
    run: async (make) => {
      const bench = await make();
      const { message, content } = sampleMessage("a1", 3);
      await bench.store.commit(message, content);
      const octets = await readAll(content);
      await nowAndAfterRestart(bench, async (store) => {
        assert.equal(store.size, 1);
        assert.deepEqual([...store.waiting()], [{ id: "a1", nextAttemptAt: 0 }]);
        const entry = await store.entry("a1");
        assert.deepEqual(plain(entry), plain({ message, pending: [0, 1, 2], settled: [] }));
        assert.deepEqual(await readAll(await store.content("a1")), octets);
        assert.deepEqual(await readAll((await store.content("a1"))?.slice(3, 9)), octets.subarray(3, 9));
      });
    },
  },
  {
    name: "contents of every size and kind come back octet by octet",
    run: async (make) => {
      const bench = await make();
      const sizes = [0, 1, 1000, 65_536, 262_143, 262_144, 262_145, 1_000_000];
      const contents = sizes.map((size, at) => Buffer.alloc(size, `${at}\r\n.\u00ff`));
      await Promise.all(
        contents.flatMap((octets, at) => [
          bench.store.commit(sampleMessage(`m${at}`, 1).message, createMemoryBlob([octets])),
          bench.store.commit(sampleMessage(`f${at}`, 1).message, unbufferedBlob(octets)),
        ]),
      );
      await nowAndAfterRestart(bench, async (store) => {
        assert.equal(store.size, 2 * sizes.length);
        for (const [at, octets] of contents.entries()) {
          for (const id of [`m${at}`, `f${at}`]) {
            const found = await readAll(await store.content(id));
            assert(found.equals(octets), `content of ${id}, ${octets.length} octets`);
          }
        }
      });
    },
  },
  {
    name: "settled recipients stay settled; the first word about one holds",
    run: async (make) => {
      const bench = await make();
      const { message, content } = sampleMessage("a1", 4);
      await bench.store.commit(message, content);
      const yes = delivered("250 ok", { remote: "mx.example.test[192.0.2.2]:25" });
      const no = bounced("550 no", { enhanced: "5.1.1" });
      void bench.store.settle("a1", [{ index: 2, outcome: yes }]);
      await bench.store.settle("a1", [
        { index: 0, outcome: no },
        { index: 2, outcome: no },
      ]);
      await nowAndAfterRestart(bench, async (store) => {
        const entry = await store.entry("a1");
        assert.deepEqual(entry?.pending, [1, 3]);
        assert.deepEqual(entry.settled, [
          { index: 2, outcome: yes },
          { index: 0, outcome: no },
        ]);
      });
    },
  },
  {
    name: "the last schedule holds",
    run: async (make) => {
      const bench = await make();
      const { message, content } = sampleMessage("a1");
      await bench.store.commit(message, content);
      bench.store.reschedule("a1", { attempts: 1, nextAttemptAt: 5000, reason: "451 later" });
      bench.store.reschedule("a1", { attempts: 2, nextAttemptAt: 9000, reason: "452 full" });
      await nowAndAfterRestart(bench, async (store) => {
        assert.deepEqual([...store.waiting()], [{ id: "a1", nextAttemptAt: 9000 }]);
        const entry = await store.entry("a1");
        assert.deepEqual(entry?.schedule, { attempts: 2, nextAttemptAt: 9000, reason: "452 full" });
      });
    },
  },
  {
    name: "a message that waits from the beginning does so after a restart, until its schedule changes",
    run: async (make) => {
      const bench = await make();
      const { message, content } = sampleMessage("a1");
      const schedule = { attempts: 0, nextAttemptAt: onHold, reason: "by the policy" };
      await bench.store.commit(message, content, schedule);
      await bench.store.commit(sampleMessage("large", 1).message, unbufferedBlob(Buffer.alloc(5_000_000)), schedule);
      assert.deepEqual((await bench.store.entry("a1"))?.schedule, schedule);
      bench.store.reschedule("large", { attempts: 0, nextAttemptAt: 7000 });
      await nowAndAfterRestart(bench, async (store) => {
        assert.deepEqual(
          [...store.waiting()].toSorted((one, other) => one.id.localeCompare(other.id)),
          [
            { id: "a1", nextAttemptAt: onHold },
            { id: "large", nextAttemptAt: 7000 },
          ],
        );
        assert.deepEqual((await store.entry("a1"))?.schedule, schedule);
        assert.deepEqual(await readAll(await store.content("a1")), await readAll(content));
      });
    },
  },
  {
    name: "a removed message is gone, others stay",
    run: async (make) => {
      const bench = await make();
      const large = createMemoryBlob([Buffer.alloc(300_000, 65)]);
      for (const id of ["a", "b", "c"]) await bench.store.commit(sampleMessage(id).message, large);
      void bench.store.settle("b", [{ index: 0, outcome: delivered("ok") }]);
      await bench.store.remove("b");
      await bench.store.remove("b");
      await nowAndAfterRestart(bench, async (store) => {
        assert.deepEqual([...store.waiting()].map(({ id }) => id).toSorted(), ["a", "c"]);
        assert.equal(await store.entry("b"), undefined);
        assert.equal(await store.content("b"), undefined);
        assert.equal((await store.content("c"))?.sizeBytes, 300_000);
      });
    },
  },
  {
    name: "words about a message that is not here change nothing",
    run: async (make) => {
      const bench = await make();
      await bench.store.settle("nobody", [{ index: 0, outcome: delivered("ok") }]);
      bench.store.reschedule("nobody", { attempts: 1, nextAttemptAt: 1 });
      await bench.store.remove("nobody");
      await nowAndAfterRestart(bench, async (store) => {
        assert.equal(store.size, 0);
        assert.equal(await store.entry("nobody"), undefined);
        assert.equal(await store.content("nobody"), undefined);
      });
    },
  },
  {
    name: "a thousand commits at once, with settles and removes between them",
    run: async (make) => {
      const bench = await make();
      const ids = Array.from({ length: 1000 }, (_, at) => `m${at}`);
      await Promise.all(
        ids.map(async (id, at) => {
          const { message, content } = sampleMessage(id, 2);
          await bench.store.commit(message, content);
          if (at % 3 === 0) void bench.store.settle(id, [{ index: 1, outcome: delivered("ok") }]);
          if (at % 5 === 0) await bench.store.remove(id);
        }),
      );
      await nowAndAfterRestart(bench, async (store) => {
        assert.equal(store.size, 800);
        for (const [at, id] of ids.entries()) {
          const entry = await store.entry(id);
          if (at % 5 === 0) assert.equal(entry, undefined);
          else assert.deepEqual(entry?.pending, at % 3 === 0 ? [0] : [0, 1]);
        }
      });
    },
  },
  {
    name: "a content that fails to be read is refused and leaves nothing",
    run: async (make) => {
      const bench = await make();
      const broken = unbufferedBlob(Buffer.alloc(500_000));
      const failing: Blob = {
        ...broken,
        async *read() {
          yield Buffer.alloc(1000);
          throw new Error("the client went away");
        },
      };
      await assert.rejects(bench.store.commit(sampleMessage("a").message, failing));
      await bench.store.commit(sampleMessage("b").message, createMemoryBlob([]));
      await nowAndAfterRestart(bench, async (store) =>
        assert.deepEqual(
          [...store.waiting()].map(({ id }) => id),
          ["b"],
        ),
      );
    },
  },
  {
    name: "a closed store takes nothing",
    run: async (make) => {
      const { store } = await make();
      await store.close();
      const { message, content } = sampleMessage("a");
      await assert.rejects(store.commit(message, content), { code: "STORE_UNAVAILABLE" });
      await store.close();
    },
  },
];
