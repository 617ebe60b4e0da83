// The quarantine on a real store in a folder, on a disk that fails, and in memory; the clock is moved by hand.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { changedStore, createFakeClock, type FakeClock } from "@postern/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { PosternError } from "../errors.ts";
import { createMemoryBlob, createSpooler, type Blob } from "../message/index.ts";
import { createIdSource, type QueuedMessage } from "../model/index.ts";
import { createMemoryStore, createSegmentStore } from "../queue/index.ts";
import { seededRandom } from "../queue/seeded-random.ts";
import { type DiskCall, SimulatedDisk } from "../queue/simulated-disk.ts";
import { formatQuarantineEvent, type QuarantineEvent } from "./events.ts";
import { Quarantine, type QuarantineOptions } from "./quarantine.ts";

const day = 24 * 3_600_000;

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "postern-quarantine-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const contentOf = (subject: string, bodyBytes = 10): Blob =>
  createMemoryBlob([
    Buffer.from(`From: "Bad Man" <bad@there.test>\r\nSubject: ${subject}\r\n\r\n`),
    Buffer.alloc(bodyBytes, "x"),
  ]);

function messageOf(id: string, content: Blob, arrivedAt: number, more: Partial<QueuedMessage> = {}): QueuedMessage {
  const recipients = ["one@here.test", "two@here.test"].map((address) => ({ address, original: `alias-${address}` }));
  const envelope = { sender: "sender@there.test", recipients, body: "7bit", smtputf8: false } as const;
  return { id, envelope, arrivedAt, sizeBytes: content.sizeBytes, origin: undefined, ...more };
}

interface Bench {
  readonly clock: FakeClock;
  readonly quarantine: Quarantine;
  readonly events: QuarantineEvent[];
  readonly warnings: string[];
  readonly queue: { readonly message: QueuedMessage; readonly text: string }[];
  /** Puts one aside and gives its id. */
  readonly add: (subject: string, reason?: string, bodyBytes?: number) => Promise<string>;
  readonly ids: () => Promise<readonly string[]>;
}

async function open(options: Partial<QuarantineOptions> = {}, clock = createFakeClock()): Promise<Bench> {
  const events: QuarantineEvent[] = [];
  const warnings: string[] = [];
  const queue: Bench["queue"] = [];
  const newId = createIdSource(() => clock.now(), seededRandom(7));
  const quarantine = new Quarantine({
    directory: join(folder, "quarantine"),
    clock,
    ids: newId,
    lifetimeMs: 30 * day,
    maxSizeBytes: 1e8,
    minFreeBytes: 0,
    queue: {
      has: (id) => queue.some(({ message }) => message.id === id),
      enqueue: async (message, content) => void queue.push({ message, text: await textOf(content) }),
    },
    tell: (event) => void events.push(event),
    warn: (text) => void warnings.push(text),
    opened: ({ damage }) => void warnings.push(...damage.map(({ text }) => text)),
    ...options,
  });
  await quarantine.start();
  return {
    clock,
    quarantine,
    events,
    warnings,
    queue,
    async add(subject, reason = "infected: Eicar", bodyBytes = 10) {
      const content = contentOf(subject, bodyBytes);
      const id = newId();
      await quarantine.add(messageOf(id, content, clock.now()), content, reason);
      return id;
    },
    ids: async () => (await quarantine.search({})).entries.map(({ id }) => id),
  };
}

async function textOf(content: Blob): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of content.read()) pieces.push(piece);
  return Buffer.concat(pieces).toString("latin1");
}

/** The log waits for company before it writes what nobody waits for: its time must pass. */
async function passing<T>(clock: FakeClock, promise: Promise<T>): Promise<T> {
  let over = false;
  const ended = (): void => void (over = true);
  promise.then(ended, ended);
  while (!over) await clock.run(20);
  return promise;
}

describe("what is put aside", () => {
  test("is there after a restart, large and small, counted and octet by octet; its folder comes with the first", async () => {
    const first = await open();
    expect(existsSync(join(folder, "quarantine"))).toBe(false);
    const ids = [await first.add("small"), await first.add("large", "because", 5_000_000)];
    const { messages, sizeBytes, added } = first.quarantine.status();
    expect([messages, added]).toEqual([2, 2]);
    expect(sizeBytes).toBe(contentOf("small").sizeBytes + contentOf("large", 5_000_000).sizeBytes);
    await first.quarantine.close();

    const second = await open();
    expect(second.quarantine.status()).toMatchObject({ messages: 2, sizeBytes, added: 0 });
    expect(await second.ids()).toEqual(ids.toReversed());
    const shown = await second.quarantine.show(ids[1] ?? "");
    expect(shown).toMatchObject({ reason: "because", subject: "large", from: '"Bad Man" <bad@there.test>' });
    expect(shown.headers).toBe('From: "Bad Man" <bad@there.test>\r\nSubject: large\r\n\r\n');
    expect([shown.expiresAt - shown.arrivedAt, shown.headersCut]).toEqual([30 * day, false]);
    expect(shown.envelope.recipients[0]).toEqual({ address: "one@here.test", original: "alias-one@here.test" });
    let text = "";
    for (let from = 0, size = 1; from < size; from = text.length) {
      const piece = await second.quarantine.read(ids[1] ?? "", from, 300_000);
      expect(piece.octets.length).toBeLessThanOrEqual(300_000);
      text += piece.octets.toString("latin1");
      size = piece.sizeBytes;
    }
    expect(text).toBe(await textOf(contentOf("large", 5_000_000)));
    await second.quarantine.close();
    expect(second.clock.pending).toBe(0);
  });

  test("beyond maxSize is refused as a full store, until there is room", async () => {
    const { clock, quarantine, add } = await open({ maxSizeBytes: 3000 });
    const id = await add("one", "x", 1500);
    await expect(add("two", "x", 1500)).rejects.toMatchObject({ code: "STORE_FULL" });
    expect(quarantine.status().messages).toBe(1);
    await passing(clock, quarantine.delete(id));
    expect(quarantine.status().sizeBytes).toBe(0);
    await add("two", "x", 1500);
    // Side by side each counts the others.
    const both = await Promise.allSettled([add("three", "x", 1000), add("four", "x", 1000)]);
    expect(both.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    await quarantine.close();
  });

  test.each<[DiskCall, string, string]>([
    ["sync", "EIO", "STORE_UNAVAILABLE"],
    ["write", "ENOSPC", "STORE_FULL"],
  ])("%s fails with %s: refused with %s, and taken again when the disk works", async (call, code, expected) => {
    let failing = false;
    const faults = { next: (made: DiskCall) => (failing && made === call ? code : undefined) };
    const disk = SimulatedDisk.of(new Map(), ["", "/var"], seededRandom(1), faults);
    const clock = createFakeClock();
    const onDisk = () =>
      createSegmentStore({
        directory: "/var/q",
        clock,
        port: disk,
        random: seededRandom(2),
        minFreeBytes: 0,
        handOffBytes: 0,
      });
    const bench = await open({ store: onDisk() }, clock);
    await bench.add("before");
    failing = true;
    await expect(bench.add("meanwhile")).rejects.toMatchObject({ code: expected });
    failing = false;
    const id = await bench.add("after");
    const sizeBytes = contentOf("before").sizeBytes + contentOf("after").sizeBytes;
    expect(bench.quarantine.status()).toMatchObject({ messages: 2, added: 2, sizeBytes });
    // Neither has it told anybody of what it did not take.
    expect(bench.events).toHaveLength(2);
    await bench.quarantine.close();
    const again = await open({ store: onDisk() }, clock);
    expect(await again.ids()).toHaveLength(2);
    expect((await again.ids())[0]).toBe(id);
    await again.quarantine.close();
  });

  test("a large content on its way into the queue is copied, and the queue may take it too", async () => {
    const bench = await open();
    const queue = createSegmentStore({ directory: join(folder, "queue"), clock: bench.clock, minFreeBytes: 0 });
    await queue.open();
    const spool = createSpooler({ files: queue.incoming as never, maxSizeBytes: 1e7, thresholdBytes: 1000 }).open();
    const text = `Subject: on its way\r\n\r\n${"y".repeat(3_000_000)}`;
    for (let at = 0; at < text.length; at += 65_536) await spool.write(Buffer.from(text.slice(at, at + 65_536)));
    const raw = (await spool.end()) as Blob;
    expect(raw.tail).toBeDefined();
    const message = messageOf("twice", raw, bench.clock.now());
    await bench.quarantine.add(message, raw, "for some");
    expect(raw.tail?.file).toMatchObject({ adopted: false });
    await queue.commit(message, raw);
    await spool.dispose();
    expect(await textOf((await queue.content("twice")) as Blob)).toBe(text);
    await passing(bench.clock, bench.quarantine.release("twice"));
    expect(bench.queue[0]?.text).toBe(text);
    await bench.quarantine.close();
    await queue.close();
  });

  test("a folder that cannot be made is one sentence at the start", async () => {
    await expect(open({ directory: join(folder, "gone", "quarantine") })).rejects.toThrow(
      /^quarantine\.directory \S+ cannot be made: \S+gone does not exist$/,
    );
  });

  test("two gateways do not share one", async () => {
    const first = await open();
    await first.add("one");
    await expect(open()).rejects.toMatchObject({ code: "STORE_LOCKED" });
    await first.quarantine.close();
  });
});

describe("expiry", () => {
  test("each goes at its time, over a restart too; who has none left sleeps", async () => {
    const clock = createFakeClock();
    const first = await open({}, clock);
    const early = await first.add("early");
    await clock.run(10 * day);
    const late = await first.add("late");
    await first.quarantine.close();
    expect(clock.pending).toBe(0);
    const second = await open({}, clock);
    await clock.run(20 * day - 1);
    expect(second.quarantine.status().messages).toBe(2);
    await clock.runUntil(() => second.events.length === 1);
    expect(second.events).toMatchObject([{ kind: "deleted", id: early, why: "expired", message: { id: early } }]);
    expect(await second.ids()).toEqual([late]);
    await clock.run(10 * day);
    await clock.runUntil(() => second.quarantine.status().messages === 0);
    expect(second.quarantine.status()).toMatchObject({ sizeBytes: 0, expired: 2, deleted: 0 });
    await clock.runUntil(() => clock.pending === 0);
    await second.quarantine.close();
    const third = await open({}, clock);
    expect(third.quarantine.status().messages).toBe(0);
    await third.quarantine.close();
  });

  test("a wall clock that is set forward is noticed within the hour", async () => {
    const { clock, quarantine, add } = await open();
    await add("one");
    clock.setWallClock(clock.now() + 31 * day);
    await clock.run(3_500_000);
    await clock.runUntil(() => quarantine.status().messages === 0);
    await quarantine.close();
  });

  test("thousands at once go in rounds, and what cannot be deleted is tried again", async () => {
    const store = createMemoryStore();
    let failing = true;
    const wrapped = changedStore(store, {
      entry: (id) => {
        if (failing && id.startsWith("00000bad")) throw new Error("EIO");
        return store.entry(id);
      },
    });
    const { clock, quarantine, events } = await open({ store: wrapped });
    const content = contentOf("one");
    for (let at = 0; at < 2500; at += 1) {
      const id = at === 3 ? "00000bad" : `id${String(at).padStart(6, "0")}`;
      await quarantine.add(messageOf(id, content, clock.now()), content, "many");
    }
    events.length = 0;
    await clock.run(30 * day);
    await clock.runUntil(() => quarantine.status().messages === 1);
    expect(events).toHaveLength(2499);
    failing = false;
    await clock.runUntil(() => quarantine.status().messages === 0);
    await quarantine.close();
  });
});

describe("release", () => {
  test("puts it into the queue as it was, with a lifetime of its own and no content filter, and then forgets it", async () => {
    const { clock, quarantine, queue, events } = await open();
    const content = contentOf("released");
    await quarantine.add(messageOf("msg1", content, clock.now(), { filter: "smtp:[127.0.0.1]:10025" }), content, "why");
    await clock.run(6 * day);
    const releasedAt = clock.now();
    expect(await passing(clock, quarantine.release("msg1"))).toBe("msg1");
    const [released] = queue;
    expect(released?.text).toBe(await textOf(content));
    const { arrivedAt = 0 } = released?.message ?? {};
    expect(arrivedAt).toBeGreaterThanOrEqual(releasedAt);
    expect(released?.message).toEqual(messageOf("msg1", content, arrivedAt));
    expect(quarantine.status()).toMatchObject({ messages: 0, sizeBytes: 0, released: 1 });
    expect(events.at(-1)).toMatchObject({ kind: "released", id: "msg1", message: { id: "msg1" } });
    await expect(quarantine.release("msg1")).rejects.toThrow("no message msg1 is in the quarantine");
    await quarantine.close();
  });

  test("to others: they alone, of whose failures the sender hears nothing; what is no address is refused", async () => {
    const { clock, quarantine, queue, add } = await open();
    const id = await add("one");
    await expect(quarantine.release(id, ["nobody"])).rejects.toThrow('"nobody" is no address');
    expect(queue).toEqual([]);
    await passing(clock, quarantine.release(id, ["Desk@Here.test", "tür@here.test", "Desk@here.test"]));
    const { recipients = [], smtputf8 } = queue[0]?.message.envelope ?? {};
    expect(recipients.map(({ notify }) => notify)).toEqual([["never"], ["never"]]);
    expect(recipients.map(({ address }) => address)).toEqual([
      expect.stringMatching(/^Desk@here\.test$/i),
      "tür@here.test",
    ]);
    expect(smtputf8).toBe(true);
    await quarantine.close();
  });

  test("a queue that does not take it leaves it here; an id that is in the queue already is not taken twice", async () => {
    let full = true;
    const queue: QueuedMessage[] = [];
    const { clock, quarantine, add, ids, events } = await open({
      queue: {
        has: async (id) => queue.some((message) => message.id === id),
        enqueue: async (message) => {
          if (full) throw new Error("452");
          queue.push(message);
        },
      },
    });
    const id = await add("one");
    await expect(quarantine.release(id)).rejects.toThrow("452");
    expect([await ids(), events.map(({ kind }) => kind)]).toEqual([[id], ["putAside"]]);
    full = false;
    const two = await passing(
      clock,
      Promise.allSettled([quarantine.release(id), quarantine.release(id), quarantine.delete(id)]),
    );
    expect(two.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected"]);
    expect(queue).toHaveLength(1);
    // As after a crash between the two stores.
    const content = contentOf("again");
    await quarantine.add(messageOf(id, content, 0), content, "again");
    const queueId = await passing(clock, quarantine.release(id));
    expect(queueId).not.toBe(id);
    expect(queue.map((message) => message.id)).toEqual([id, queueId]);
    const [, , , last] = events;
    expect(last?.kind === "released" && formatQuarantineEvent(last)).toBe(
      `${id}: quarantine: released as ${queueId}, to=<one@here.test>,<two@here.test>`,
    );
    await quarantine.close();
  });
});

describe("a gateway that is stopped", () => {
  test.each(["release", "delete"] as const)(
    "waits for a %s: it is done, and done durably, or it is refused",
    async (act) => {
      const asked = Promise.withResolvers<void>();
      const goOn = Promise.withResolvers<void>();
      const wait = async (): Promise<void> => {
        asked.resolve();
        await goOn.promise;
      };
      const clock = createFakeClock();
      const store = createSegmentStore({
        directory: join(folder, "quarantine"),
        clock,
        minFreeBytes: 0,
        handOffBytes: 0,
      });
      const entry = (id: string) => wait().then(() => store.entry(id));
      const bench = await open({ store: changedStore(store, { entry }) }, clock);
      const id = await bench.add("one");
      const other = await bench.add("other");
      const acting = bench.quarantine[act](id);
      await asked.promise;
      const closing = bench.quarantine.close();
      await expect(bench.quarantine[act](other)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
      goOn.resolve();
      await Promise.all([acting, closing]);
      expect(bench.queue.map(({ message }) => message.id)).toEqual(act === "release" ? [id] : []);
      const again = await open({}, clock);
      expect(await again.ids()).toEqual([other]);
      await again.quarantine.close();
    },
  );
});

describe("search", () => {
  const texts = ["Invoice 17", "=?utf-8?B?UmVjaG51bmc=?= =?iso-8859-1?Q?_f=FCr_Sie?=", "hello", "invoice again"];
  test.each<[string, Parameters<Quarantine["search"]>[0], readonly number[]]>([
    ["everything, newest first", {}, [3, 2, 1, 0]],
    ["a subject, without regard to case", { subject: "INVOICE" }, [3, 0]],
    ["a subject that was encoded", { subject: "Rechnung für" }, [1]],
    ["a reason", { reason: "reason 2" }, [2]],
    ["a sender of the envelope", { from: "sender@there" }, [3, 2, 1, 0]],
    ["From", { from: "bad man" }, [3, 2, 1, 0]],
    ["nobody", { from: "good man" }, []],
    ["a recipient", { to: "TWO@here" }, [3, 2, 1, 0]],
    ["a recipient as written", { to: "alias-two@" }, [3, 2, 1, 0]],
    ["a time", { since: 1000, until: 3000 }, [2, 1]],
    ["all of them", { subject: "invoice", reason: "reason 3" }, [3]],
    ["some", { limit: 2 }, [3, 2]],
  ])("%s", async (_, query, expected) => {
    const { quarantine } = await open({ store: createMemoryStore() });
    for (const [at, subject] of texts.entries()) {
      const content = contentOf(subject);
      await quarantine.add(messageOf(`id${at}`, content, at * 1000), content, `reason ${at}`);
    }
    expect((await quarantine.search(query)).entries.map(({ id }) => id)).toEqual(expected.map((at) => `id${at}`));
    await quarantine.close();
  });

  test("60,000 are looked through in pages, newest first, each once, and the event loop has its turns", async () => {
    const count = 60_000;
    const ids = Array.from({ length: count }, (_, at) => `id${String((at * 7919) % count).padStart(6, "0")}`);
    const store = createMemoryStore();
    const content = contentOf("the needle");
    const entry = (id: string) => ({
      message: messageOf(id, content, 0, { quarantine: { reason: "hay", from: "", subject: id } }),
      pending: [0, 1],
      settled: [],
      schedule: { attempts: 0, nextAttemptAt: 5 },
    });
    // Half a second goes by with every thousand that are read, until half are.
    const clock = createFakeClock();
    let read = 0;
    const { quarantine } = await open(
      {
        store: changedStore(store, {
          waiting: () => ids.map((id) => ({ id, nextAttemptAt: 1e15 })),
          entry: async (id) => {
            read += 1;
            if (read % 1000 === 0 && read <= count / 2) clock.advance(500);
            return entry(id);
          },
          contentBytes: () => 1,
        }),
      },
      clock,
    );
    let turns = 0;
    let counting = true;
    const count1 = (): void => void (counting && ((turns += 1), setImmediate(count1)));
    setImmediate(count1);
    const found: string[] = [];
    let pages = 0;
    for (let after: string | undefined; ;) {
      const page = await quarantine.search({ subject: "id0599", ...(after !== undefined && { after }) });
      pages += 1;
      found.push(...page.entries.map(({ id }) => id));
      if (page.next === undefined) break;
      after = page.next;
    }
    counting = false;
    expect(found).toEqual(Array.from({ length: 100 }, (_, at) => `id0599${String(99 - at).padStart(2, "0")}`));
    // What was read behind the last one of a full page is read again.
    expect(read).toBeGreaterThanOrEqual(count);
    expect(read - count).toBeLessThan(100);
    expect(pages).toBeGreaterThan(15);
    expect(turns).toBeGreaterThan(pages * 10);
    await quarantine.close();
  });

  test("what cannot be read is told, found by no text, and can be deleted", async () => {
    const bench = await open();
    const ids = [await bench.add("one"), await bench.add("two")];
    await bench.quarantine.close();
    const store = createSegmentStore({
      directory: join(folder, "quarantine"),
      clock: bench.clock,
      minFreeBytes: 0,
      handOffBytes: 0,
    });
    const again = await open(
      {
        store: changedStore(store, {
          entry: (id) => (id === ids[0] ? Promise.reject(new PosternError("STORE_DAMAGED", "rot")) : store.entry(id)),
        }),
      },
      bench.clock,
    );
    expect((await again.quarantine.search({})).entries).toMatchObject([{ id: ids[1] }, { id: ids[0], damaged: "rot" }]);
    expect((await again.quarantine.search({ subject: "o" })).entries).toHaveLength(1);
    await passing(again.clock, again.quarantine.delete(ids[0] ?? ""));
    expect(again.events).toMatchObject([{ kind: "deleted", id: ids[0], message: undefined, why: "by the operator" }]);
    expect(again.quarantine.status().sizeBytes).toBe(contentOf("two").sizeBytes);
    await again.quarantine.close();
  });
});
