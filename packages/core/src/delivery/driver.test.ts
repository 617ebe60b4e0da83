// Scheduler, memory store and driver as one, against scripted transports, in time that is moved by hand.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { DnsUnavailable } from "../errors.ts";
import { createGuard } from "../guard/index.ts";
import { createHooks } from "../hooks/index.ts";
import { createMemoryBlob } from "../message/index.ts";
import {
  bounced,
  deferred,
  delivered,
  systemClock,
  type Clock,
  type Outcome,
  type QueuedMessage,
  type Recipient,
  type Route,
} from "../model/index.ts";
import { createMemoryStore } from "../queue/memory-store.ts";
import { onHold, retryDefaults, type QueueStore } from "../queue/index.ts";
import type { DeliveryHost, Failure } from "./delivery-host.ts";
import { DeliveryDriver } from "./driver.ts";
import { formatMailEvent, type MailEvent } from "./mail-events.ts";
import { QueueDesk } from "./queue-desk.ts";
import type { DeliveryRequest, Transport } from "./transport.ts";

beforeEach(() => vi.useFakeTimers({ now: Date.UTC(2026, 0, 1) }));
afterEach(() => vi.useRealTimers());

/** The system's clock takes its functions before they are replaced. */
const clock: Clock = { ...systemClock, now: () => Date.now(), monotonic: () => performance.now() };
const minute = 60_000;
const content = createMemoryBlob([Buffer.from("Subject: x\r\n\r\nx\r\n")]);

type Answer = (recipient: Recipient, request: DeliveryRequest, nth: number) => Outcome | Promise<Outcome>;

interface World {
  readonly driver: DeliveryDriver;
  readonly store: QueueStore;
  readonly requests: DeliveryRequest[];
  readonly events: MailEvent[];
  readonly bounces: { readonly id: string; readonly failures: readonly Failure[]; readonly full: boolean }[];
  readonly held: () => number;
  put(id: string, ...addresses: readonly string[]): Promise<QueuedMessage>;
}

interface Options {
  readonly answer?: Answer;
  readonly route?: (recipient: Recipient, nth: number) => Route | Promise<Route>;
  readonly transport?: Partial<Transport>;
  /** Rejects so many times. */
  bounceFailures?: number;
  /** Reports are queued when it says so. */
  readonly bounceWaits?: Promise<void>;
  readonly lifetimeMs?: number;
}

function createWorld(options: Options = {}, store: QueueStore = createMemoryStore()): World {
  const requests: DeliveryRequest[] = [];
  const events: MailEvent[] = [];
  const bounces: World["bounces"] = [];
  const guard = createGuard(clock, () => {});
  const hooks = createHooks(guard);
  let held = 0;
  let routed = 0;
  const transport: Transport = {
    name: "fake",
    description: "",
    async deliver(request, { settle }) {
      requests.push(request);
      const nth = requests.length;
      for (const recipient of request.recipients) {
        settle(recipient, (await options.answer?.(recipient, request, nth)) ?? delivered("ok"));
      }
      return { destination: "alive" };
    },
    async close() {},
    ...options.transport,
  };
  const host: DeliveryHost = {
    clock,
    random: () => 0.5,
    store,
    acquire() {
      held += 1;
      return {
        hooks,
        routeFor: () => ({ transport: "fake", nextHop: "filter" }),
        route(recipient) {
          routed += 1;
          return (
            options.route?.(recipient, routed) ?? {
              class: "relay",
              transport: "fake",
              nextHop: recipient.address.split("@")[1] ?? "",
            }
          );
        },
        transport: (name) =>
          name === "fake"
            ? { owner: { name: "plugin", onError: "defer", deadlineMs: 1 }, value: transport }
            : undefined,
        release() {
          held -= 1;
        },
      };
    },
    async bounce(original, failures, blob) {
      await options.bounceWaits;
      if ((options.bounceFailures ?? 0) > 0) {
        options.bounceFailures = (options.bounceFailures ?? 0) - 1;
        throw new Error("queue full");
      }
      bounces.push({ id: original.id, failures, full: blob !== undefined });
      return `B-${original.id}`;
    },
    log: (event) => events.push(event),
  };
  const retry = { ...retryDefaults, jitter: 0, lifetimeMs: options.lifetimeMs ?? retryDefaults.lifetimeMs };
  const driver = new DeliveryDriver(host, guard, { scheduler: { retry }, maxConcurrency: 20, timeoutMs: 10 * minute });
  return {
    driver,
    store,
    requests,
    events,
    bounces,
    held: () => held,
    async put(id, ...addresses) {
      const recipients = addresses.map((address) => ({ address, original: address }));
      const message: QueuedMessage = {
        id,
        envelope: { sender: "from@here.test", recipients, body: "7bit", smtputf8: false },
        arrivedAt: Date.now(),
        sizeBytes: content.sizeBytes,
        origin: undefined,
      };
      await store.commit(message, content);
      driver.added(message);
      await pass(0);
      return message;
    },
  };
}

const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);
const kinds = (world: World): readonly string[] => world.events.map(({ kind }) => kind);
const addressesOf = (request: DeliveryRequest | undefined): readonly string[] =>
  request?.recipients.map(({ address }) => address) ?? [];

test("what is delivered is settled, said in one line, and gone", async () => {
  const world = createWorld({
    answer: () => delivered("250 2.0.0 Ok: queued as X", { remote: "mx.x.test[192.0.2.1]:25" }),
  });
  await world.put("M1", "a@x.test");
  expect(world.events.map(formatMailEvent)).toEqual([
    "M1: to=<a@x.test>, relay=mx.x.test[192.0.2.1]:25, delay=0.00, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as X)",
    "M1: removed",
  ]);
  expect(world.store.size).toBe(0);
  expect(world.bounces).toEqual([]);
  expect(world.held()).toBe(0);
});

test("recipients go by destination, no more at once than the transport takes", async () => {
  const world = createWorld({ transport: { maxRecipients: 2 } });
  await world.put("M1", "a@x.test", "b@y.test", "c@x.test", "d@x.test");
  expect(new Set(world.requests.map((request) => addressesOf(request).join()))).toEqual(
    new Set(["a@x.test,c@x.test", "d@x.test", "b@y.test"]),
  );
  expect(world.store.size).toBe(0);
});

test("only what was deferred is tried again, when it is due", async () => {
  const world = createWorld({
    answer: ({ address }, _request, nth) =>
      address.startsWith("late") && nth < 3 ? deferred("later") : delivered("ok"),
  });
  await world.put("M1", "ok@x.test", "late@x.test");
  expect(world.requests).toHaveLength(1);
  await pass(5 * minute - 1);
  expect(world.requests).toHaveLength(1);
  await pass(1);
  expect(addressesOf(world.requests[1])).toEqual(["late@x.test"]);
  expect(world.store.size).toBe(1);
  await pass(6 * minute);
  expect(world.requests).toHaveLength(3);
  expect(world.store.size).toBe(0);
  expect(kinds(world)).toEqual(["delivered", "deferred", "deferred", "delivered", "removed"]);
});

test("failures of all rounds are told to the sender together, when nobody is pending any more", async () => {
  const world = createWorld({
    answer: ({ address }, _request, nth) =>
      address.startsWith("bad") || nth > 1 ? bounced("no such user", { enhanced: "5.1.1" }) : deferred("later"),
  });
  await world.put("M1", "bad@x.test", "late@x.test");
  expect(world.bounces).toEqual([]);
  await pass(5 * minute);
  expect(
    world.bounces.map(({ failures, full }) => [full, ...failures.map(({ recipient }) => recipient.address)]),
  ).toEqual([[true, "bad@x.test", "late@x.test"]]);
  expect(kinds(world)).toEqual(["bounced", "deferred", "bounced", "bounceSent", "removed"]);
  expect(world.store.size).toBe(0);
});

test("a report that cannot be queued now keeps its message in the store", async () => {
  const world = createWorld({ answer: () => bounced("no"), bounceFailures: 2 });
  await world.put("M1", "a@x.test");
  expect(world.store.size).toBe(1);
  expect(kinds(world)).toEqual(["bounced", "troubled"]);
  // By the backoff of the queue, whose shortest wait is five minutes.
  await pass(4 * minute);
  expect(world.bounces).toHaveLength(0);
  await pass(8 * minute);
  expect(world.bounces).toHaveLength(1);
  expect(world.store.size).toBe(0);
  expect(world.requests).toHaveLength(1);
});

test("after its lifetime a message goes back to its sender with what was last heard", async () => {
  const world = createWorld({
    answer: () => deferred("451 4.3.0 busy", { enhanced: "4.3.0" }),
    lifetimeMs: 30 * minute,
  });
  await world.put("M1", "a@x.test");
  await pass(60 * minute);
  const [failure] = world.bounces[0]?.failures ?? [];
  expect(failure?.outcome.status).toBe("bounced");
  expect(failure?.outcome).toMatchObject({ enhanced: "4.4.7", text: "delivery time expired: 451 4.3.0 busy" });
  expect(world.store.size).toBe(0);
});

test("late routes of one message are asked for some at a time, and once", async () => {
  let asked = 0;
  let underWay = 0;
  let most = 0;
  const world = createWorld({
    async route() {
      asked += 1;
      underWay += 1;
      most = Math.max(most, underWay);
      await Promise.resolve();
      underWay -= 1;
      return { class: "relay", transport: "fake", nextHop: "b.test" };
    },
  });
  const addresses = Array.from({ length: 200 }, (_, at) => `u${at}@b.test`);
  await world.put("A", ...addresses);
  await vi.runAllTimersAsync();
  expect(world.requests.flatMap(({ recipients }) => recipients.map(({ address }) => address))).toEqual(addresses);
  expect(most).toBeLessThanOrEqual(20);
  // One more tells that they are late.
  expect(asked).toBe(201);
  expect(world.held()).toBe(0);
});

test("on hold while the scheduler still knows it: neither tried nor returned until it is released", async () => {
  const world = createWorld({
    answer: (_recipient, _request, nth) => (nth === 1 ? deferred("later") : delivered("ok")),
  });
  await world.put("M1", "a@x.test");
  // As of one beyond its destination's share, which `forget` does not find.
  world.store.reschedule("M1", { attempts: 1, nextAttemptAt: onHold });
  await pass(60 * minute);
  expect(world.requests).toHaveLength(1);
  const desk = new QueueDesk(world.store, world.driver, clock);
  await desk.release("M1");
  await pass(0);
  expect(world.requests).toHaveLength(2);
  expect(world.store.size).toBe(0);
  expect(world.bounces).toEqual([]);
});

test("held and released while it is delivered: nobody gets it twice, and it is held no more", async () => {
  const peer = Promise.withResolvers<Outcome>();
  const world = createWorld({ answer: () => peer.promise });
  await world.put("M1", "a@x.test");
  const desk = new QueueDesk(world.store, world.driver, clock);
  await desk.hold("M1");
  await desk.release("M1");
  await expect(desk.release("M1")).rejects.toThrow("message M1 is not on hold");
  await pass(0);
  peer.resolve(delivered("ok"));
  await pass(0);
  expect(world.requests).toHaveLength(1);
  expect(world.store.size).toBe(0);
});

test("a route that cannot be told now defers, one that is late is waited for", async () => {
  const world = createWorld({
    route(recipient, nth) {
      if (nth <= 2) throw new DnsUnavailable("table is away");
      const route: Route = { class: "relay", transport: "fake", nextHop: recipient.address };
      return new Promise((resolve) => setTimeout(() => resolve(route), 1_000));
    },
  });
  await world.put("M1", "a@x.test");
  expect(kinds(world)).toEqual(["troubled"]);
  await pass(5 * minute);
  expect(world.requests).toHaveLength(0);
  await pass(1_000);
  expect(world.requests).toHaveLength(1);
  expect(world.store.size).toBe(0);
  expect(world.held()).toBe(0);
});

test("a transport that nobody brings loses nothing", async () => {
  const world = createWorld({ route: () => ({ class: "relay", transport: "missing", nextHop: "" }) });
  await world.put("M1", "a@x.test");
  expect(world.events[0]).toMatchObject({ kind: "troubled", text: expect.stringContaining('"missing"') });
  expect(world.store.size).toBe(1);
});

test("the transport error bounces with the words of its next-hop", async () => {
  const world = createWorld({
    route: () => ({ class: "virtualAlias", transport: "error", nextHop: "5.1.1 User unknown" }),
  });
  await world.put("M1", "a@x.test");
  expect(world.bounces[0]?.failures[0]?.outcome).toMatchObject({ enhanced: "5.1.1", text: "User unknown" });
});

test("a restart takes up what is there: what waits at its time, what was settled without being told at once", async () => {
  const world = createWorld({ answer: () => deferred("later") });
  await world.put("M1", "a@x.test");
  const recipients = [{ address: "b@x.test", original: "b@x.test" }];
  const envelope = { sender: "from@here.test", recipients, body: "7bit", smtputf8: false } as const;
  await world.store.commit({ id: "M2", envelope, arrivedAt: Date.now(), sizeBytes: 1, origin: undefined }, content);
  await world.store.settle("M2", [{ index: 0, outcome: bounced("no") }]);

  const next = createWorld({}, world.store);
  next.driver.restore();
  await pass(0);
  expect(next.events.map(formatMailEvent)).toEqual(["M2: sender non-delivery notification: B-M2", "M2: removed"]);
  await world.driver.close(0);
  await pass(5 * minute);
  expect(next.requests).toHaveLength(1);
  expect(world.store.size).toBe(0);
});

test("closing waits for what is in hand, aborts it after the grace, and starts nothing", async () => {
  let aborted = false;
  const world = createWorld({
    transport: {
      deliver: (request, { settle, signal }) =>
        new Promise((resolve) => {
          signal.addEventListener("abort", () => {
            aborted = true;
            for (const recipient of request.recipients) settle(recipient, delivered("at last"));
            resolve({ destination: "alive" });
          });
        }),
    },
  });
  await world.put("M1", "a@x.test");
  let closed = false;
  const closing = world.driver.close(5_000).then(() => (closed = true));
  await world.put("M2", "b@y.test");
  await pass(4_999);
  expect([aborted, closed]).toEqual([false, false]);
  await pass(1);
  await closing;
  expect(kinds(world)).toContain("delivered");
  // M2 was never begun: it is in the store for the next start.
  expect(world.store.size).toBe(1);
});

test("closing waits until the sender's report is queued and its message removed", async () => {
  const gate = Promise.withResolvers<void>();
  const world = createWorld({ answer: () => bounced("no such user"), bounceWaits: gate.promise });
  await world.put("M1", "a@x.test");
  let closed = false;
  const closing = world.driver.close(1000).then(() => (closed = true));
  await pass(5000);
  expect([closed, world.store.size, world.bounces]).toEqual([false, 1, []]);
  gate.resolve();
  await closing;
  expect([world.store.size, world.bounces.length, world.held()]).toEqual([0, 1, 0]);
});
