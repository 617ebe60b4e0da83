import { describe, expect, test } from "vitest";
import { retryDefaults } from "./retry.ts";
import type { DeliveryGroup, DestinationReport, ScheduleCommand, ScheduleEvent } from "./schedule-events.ts";
import { Scheduler, type SchedulerOptions } from "./scheduler.ts";
import { seededRandom } from "./seeded-random.ts";

type Start = Extract<ScheduleCommand, { kind: "start" }>;
const alive: DestinationReport = { destination: "alive" };
const dead: DestinationReport = { destination: "dead", reason: "connection refused" };
const retry = { ...retryDefaults, jitter: 0 };

/** Steps a scheduler by hand and collects what it orders. */
function desk(options: Partial<SchedulerOptions> = {}) {
  const scheduler = new Scheduler({ retry, ...options });
  let now = 1_000_000;
  const tell = (event: ScheduleEvent) => scheduler.step(event, now, () => 0.5);
  const group = (destination: string, recipients = [0], maxConcurrency = 20): DeliveryGroup => ({
    destination,
    recipients,
    maxConcurrency,
  });
  return {
    scheduler,
    tell,
    group,
    wait: (ms: number) => {
      now += ms;
      return tell({ kind: "timer" });
    },
    now: () => now,
    add: (id: string, ...groups: DeliveryGroup[]) =>
      tell({ kind: "added", id, arrivedAt: now, bounce: false, attempts: 0, groups }),
    routed: (id: string, arrivedAt: number, ...groups: DeliveryGroup[]) =>
      tell({ kind: "routed", id, arrivedAt, bounce: false, attempts: 1, groups }),
    finish: (start: ScheduleCommand | undefined, pending: readonly number[] = [], report = alive) =>
      tell({ kind: "finished", delivery: (start as Start).delivery, pending, report }),
  };
}
const starts = (commands: readonly ScheduleCommand[]) => commands.filter((command) => command.kind === "start");

describe("one message", () => {
  test("goes straight through: start, done, and nothing is left", () => {
    const { add, group, finish, scheduler } = desk();
    const commands = add("a", group("smtp:x"));
    expect(commands).toEqual([
      { kind: "start", delivery: 1, id: "a", destination: "smtp:x", recipients: [0], more: false },
    ]);
    expect(finish(commands[0])).toEqual([{ kind: "done", id: "a" }]);
    expect(scheduler.counts).toEqual({ waiting: 0, active: 0, deliveries: 0 });
  });

  test("deferred: waits its age, is routed anew, and expires at the deferral after its lifetime", () => {
    const { add, group, finish, wait, routed, now } = desk({ retry: { ...retry, lifetimeMs: 400_000 } });
    const arrivedAt = now();
    const [start] = add("a", group("smtp:x", [0, 1]));
    expect(finish(start, [1], { destination: "alive", reason: "451 later" })).toEqual([
      {
        kind: "reschedule",
        id: "a",
        schedule: { attempts: 1, nextAttemptAt: arrivedAt + 300_000, reason: "451 later" },
      },
      { kind: "wakeAt", at: arrivedAt + 300_000 },
    ]);
    expect(wait(299_999)).toEqual([{ kind: "wakeAt", at: arrivedAt + 300_000 }]); // a timer that is early asks again
    expect(wait(1)).toEqual([{ kind: "route", id: "a" }]);
    const [second] = routed("a", arrivedAt, group("smtp:y", [1]));
    expect(second).toMatchObject({ kind: "start", destination: "smtp:y", recipients: [1] });
    expect(finish(second, [1])).toMatchObject([
      { kind: "reschedule", schedule: { attempts: 2, nextAttemptAt: arrivedAt + 400_000 } },
      { kind: "wakeAt" },
    ]);
    wait(100_000);
    const [third] = routed("a", arrivedAt, group("smtp:y", [1]));
    expect(finish(third, [1], { destination: "alive", reason: "452 full" })).toEqual([
      { kind: "expire", id: "a", reason: "452 full" },
    ]);
  });

  test("a round ends with its last group; the wish of a peer that lives sets the time", () => {
    const { add, group, finish, now } = desk();
    const [one, two] = add("a", group("smtp:x", [0]), group("smtp:y", [1]));
    expect(finish(one, [0], { destination: "alive", retryAfterMs: 60_000 })).toEqual([]);
    expect(finish(two)).toMatchObject([{ kind: "reschedule", schedule: { nextAttemptAt: now() + 60_000 } }, {}]);
  });

  test("settled recipients only: done at once, at arrival and after a restart", () => {
    const { add, tell, routed } = desk();
    expect(add("a")).toEqual([{ kind: "done", id: "a" }]);
    expect(tell({ kind: "restored", id: "b", dueAt: 0 })).toEqual([{ kind: "route", id: "b" }]);
    expect(routed("b", 0)).toEqual([{ kind: "done", id: "b" }]);
  });

  test("forgotten in every place: nothing more is ordered for it", () => {
    const { add, group, finish, tell, routed, wait } = desk({ maxDeliveries: 1 });
    const [start] = add("flying", group("smtp:x"));
    add("queued", group("smtp:x"));
    tell({ kind: "restored", id: "waiting", dueAt: 2_000_000 });
    tell({ kind: "restored", id: "routing", dueAt: 0 });
    for (const id of ["flying", "queued", "waiting", "routing"]) tell({ kind: "forgotten", id });
    expect(routed("routing", 0, group("smtp:x"))).toEqual([]);
    expect(finish(start, [0])).toEqual([]);
    expect(wait(10_000_000)).toEqual([]);
  });

  test("forgotten and restored while it is under way: what is left is due when that is over, and not before", () => {
    const { add, group, finish, tell, routed, now } = desk();
    const [one] = add("a", group("smtp:x", [0, 1]));
    tell({ kind: "forgotten", id: "a" });
    expect(tell({ kind: "restored", id: "a", dueAt: now() })).toEqual([]);
    expect(finish(one, [1])).toEqual([{ kind: "route", id: "a" }]);
    const [two] = routed("a", now(), group("smtp:x", [1]));
    expect(two).toMatchObject({ kind: "start", recipients: [1] });
    expect(finish(two)).toEqual([{ kind: "done", id: "a" }]);
  });

  test("forgotten and restored beyond its destination's share: it is tried once", () => {
    const { add, group, finish, tell, routed } = desk({ activeLimit: 10, maxDeliveries: 1 });
    const [first] = add("first", group("smtp:x"));
    for (const id of ["second", "beyond"]) add(id, group("smtp:x"));
    tell({ kind: "forgotten", id: "beyond" });
    expect(tell({ kind: "restored", id: "beyond", dueAt: 0 })).toEqual([{ kind: "route", id: "beyond" }]);
    expect(starts(finish(first))).toMatchObject([{ id: "second" }]);
    expect(routed("beyond", 0, group("smtp:y"))).toEqual([]);
  });

  test("what could not be read or routed is tried again; unknown age overwrites no schedule", () => {
    const { tell, now } = desk();
    tell({ kind: "restored", id: "a", dueAt: 0 });
    expect(tell({ kind: "unrouted", id: "a", reason: "disk" })).toEqual([{ kind: "wakeAt", at: now() + 300_000 }]);
    tell({ kind: "restored", id: "b", dueAt: 0 });
    expect(tell({ kind: "unrouted", id: "b", arrivedAt: now(), attempts: 3, reason: "table" })).toMatchObject([
      { kind: "reschedule", id: "b", schedule: { attempts: 4, reason: "table" } },
    ]);
  });
});

describe("a destination", () => {
  test("starts with five deliveries and opens to its transport's limit with success", () => {
    const { add, group, finish } = desk();
    const flying = Array.from({ length: 100 }, (_, n) => starts(add(`m${n}`, group("smtp:x", [0], 8)))).flat();
    expect(flying.length).toBe(5);
    let most = 5;
    for (let next = flying.shift(); next !== undefined; next = flying.shift()) {
      flying.push(...starts(finish(next)));
      most = Math.max(most, flying.length);
    }
    expect(most).toBe(8);
  });

  test("a cohort of failures kills it; others for it wait unattempted; one probe decides", () => {
    const { add, group, finish, wait, scheduler, now } = desk();
    const flying = Array.from({ length: 30 }, (_, n) => starts(add(`m${n}`, group("smtp:x")))).flat();
    let attempts = flying.length;
    while (flying.length > 0) {
      const next = starts(finish(flying.shift(), [0], dead));
      flying.push(...next);
      attempts += next.length;
    }
    expect(attempts).toBe(9); // 5 at once, 4 followed before the cohort was complete
    expect(scheduler.counts).toEqual({ waiting: 9, active: 21, deliveries: 0 });
    expect(add("late", group("smtp:x"))).toEqual([]);
    const tried = now();
    const [probe, ...rest] = starts(wait(300_000));
    expect([probe?.kind, rest.length]).toEqual(["start", 0]);
    expect(starts(finish(probe, [0], dead))).toEqual([]);
    expect(now()).toBe(tried + 300_000);
    const [second] = starts(wait(300_000));
    expect(starts(finish(second)).length).toBe(5);
  });

  test("a message that goes elsewhere too does not wait for the dead", () => {
    const { add, group, finish } = desk();
    for (let n = 0; n < 5; n += 1) finish(starts(add(`m${n}`, group("smtp:x")))[0], [0], dead);
    const [start] = add("both", group("smtp:x", [0]), group("smtp:y", [1]));
    expect(start).toMatchObject({ destination: "smtp:y" });
    expect(finish(start)).toMatchObject([
      { kind: "reschedule", id: "both", schedule: { reason: "connection refused" } },
    ]);
  });

  test("throttled with a time is left alone so long, and then goes on", () => {
    const { add, group, finish, wait } = desk();
    const [start] = add("a", group("smtp:x", [0], 1));
    add("b", group("smtp:x", [0], 1));
    expect(starts(finish(start, [0], { destination: "throttled", retryAfterMs: 10_000 }))).toEqual([]);
    expect(starts(wait(9999))).toEqual([]);
    expect(starts(wait(1))).toMatchObject([{ id: "b" }]);
  });

  test("parked mail expires with the destination still dead", () => {
    const { add, group, finish, wait } = desk({ retry: { ...retry, lifetimeMs: 500_000 } });
    const [first] = add("a", group("smtp:x", [0], 1));
    add("b", group("smtp:x", [0], 1));
    add("c", group("smtp:x", [0], 1));
    finish(first, [0], dead); // a window of one: a cohort of one
    const [probe] = starts(wait(300_000));
    expect(probe).toMatchObject({ id: "b" });
    finish(probe, [0], dead);
    const again = starts(wait(300_000));
    expect(again).toMatchObject([{ id: "c" }]);
    expect(finish(again[0], [0], dead)).toMatchObject([{ kind: "expire", id: "c" }, {}]);
  });

  test("flush tries the dead and the waiting now", () => {
    const { add, group, finish, tell } = desk();
    const [first] = add("a", group("smtp:x", [0], 1));
    add("b", group("smtp:x", [0], 1));
    finish(first, [0], dead);
    expect(tell({ kind: "flush", id: "a" })).toMatchObject([{ kind: "route", id: "a" }]);
    expect(tell({ kind: "flush", destination: "smtp:other" })).toEqual([]);
    expect(starts(tell({ kind: "flush" }))).toMatchObject([{ id: "b" }]);
  });

  test("new routes take back what was not started", () => {
    const { add, group, finish, tell, routed } = desk();
    const [first] = add("a", group("smtp:x", [0], 1), group("smtp:x", [1], 1));
    add("b", group("smtp:x", [0], 1));
    expect(tell({ kind: "routesChanged" })).toEqual([{ kind: "route", id: "b" }]);
    expect(starts(routed("b", 0, group("smtp:y")))).toMatchObject([{ destination: "smtp:y" }]);
    expect(finish(first)).toEqual([{ kind: "route", id: "a" }]);
  });
});

test("a slow destination with more mail than its share keeps nobody else from being tried", () => {
  const { tell, routed, group, finish, scheduler } = desk({ activeLimit: 100, maxRouting: 10 });
  const queue: ScheduleCommand[] = [];
  for (let n = 0; n < 500; n += 1) queue.push(...tell({ kind: "restored", id: `slow${n}`, dueAt: 0 }));
  queue.push(...tell({ kind: "restored", id: "quick", dueAt: 1 }));
  const flying: ScheduleCommand[] = [];
  let quick = false;
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    if (next.kind === "start") {
      quick ||= next.id === "quick";
      flying.push(next);
    } else if (next.kind === "route") {
      queue.push(...routed(next.id, 0, group(next.id === "quick" ? "smtp:quick" : "smtp:slow")));
    }
  }
  expect(quick).toBe(true);
  expect(scheduler.counts.active).toBeLessThanOrEqual(16);
  // And all of the slow ones come in the end.
  const done = new Set<string>();
  for (let next = flying.shift(); next !== undefined; next = flying.shift()) {
    const commands = [...finish(next)];
    for (let order = commands.shift(); order !== undefined; order = commands.shift()) {
      if (order.kind === "start") flying.push(order);
      else if (order.kind === "route") commands.push(...routed(order.id, 0, group("smtp:slow")));
      else if (order.kind === "done") done.add(order.id);
    }
  }
  expect(done.size).toBe(501);
});

describe.each([1, 2, 3, 4, 5, 6, 7, 8])("a random life, seed %d", (seed) => {
  test("no message is lost, no recipient is in two deliveries, no limit is passed, all ends", () => {
    const random = seededRandom(seed);
    const pick = (below: number) => Math.floor(random() * below);
    const options = { activeLimit: 10 + pick(60), maxRouting: 1 + pick(5), maxDeliveries: 3 + pick(20) };
    const scheduler = new Scheduler({ ...options, retry: { ...retryDefaults, lifetimeMs: 40_000_000 } });
    let now = 1_700_000_000_000;
    let wakeAt = Infinity;
    const messages = new Map<
      string,
      { arrivedAt: number; attempts: number; pending: Set<number>; flying: Set<number> }
    >();
    const ended = new Map<string, string>();
    const flying: Start[] = [];
    const routing: string[] = [];
    const inFlight = new Map<string, number>();
    const limits = [1, 2, 6, 20];
    const down = new Set<number>();
    const held = new Set<string>();
    /** Asked before the message was held: their answers still come. */
    const stale: string[] = [];

    const groupsOf = (id: string): DeliveryGroup[] => {
      const groups = new Map<string, number[]>();
      for (const index of messages.get(id)?.pending ?? []) {
        const key = String((index + id.length) % limits.length);
        groups.set(key, [...(groups.get(key) ?? []), index]);
      }
      return [...groups].map(([key, recipients]) => ({
        destination: key,
        recipients,
        maxConcurrency: limits[Number(key)] as number,
      }));
    };
    const end = (id: string, how: string) => {
      expect(ended.has(id)).toBe(false);
      ended.set(id, how);
    };
    const tell = (event: ScheduleEvent) => {
      for (const command of scheduler.step(event, now, random)) {
        if (command.kind === "wakeAt") wakeAt = command.at;
        else if (command.kind === "route") routing.push(command.id);
        else if (command.kind === "reschedule") {
          const message = messages.get(command.id);
          expect(command.schedule.nextAttemptAt).toBeGreaterThan(now);
          if (message !== undefined) message.attempts = command.schedule.attempts;
        } else if (command.kind === "start") {
          const message = messages.get(command.id);
          expect(held.has(command.id)).toBe(false);
          for (const index of command.recipients) {
            expect(message?.flying.has(index)).toBe(false);
            message?.flying.add(index);
          }
          flying.push(command);
          const count = (inFlight.get(command.destination) ?? 0) + 1;
          inFlight.set(command.destination, count);
          expect(count).toBeLessThanOrEqual(limits[Number(command.destination)] as number);
        } else if (command.kind === "done" || !held.has(command.id)) {
          if (command.kind === "done") expect([...(messages.get(command.id)?.pending ?? [])]).toEqual([]);
          end(command.id, command.kind);
        }
      }
      expect(flying.length).toBeLessThanOrEqual(options.maxDeliveries);
      expect(routing.length).toBeLessThanOrEqual(options.maxRouting);
      expect(scheduler.counts.active).toBeLessThanOrEqual(options.activeLimit + limits.length * options.maxRouting);
    };
    const finish = () => {
      const start = flying.splice(pick(flying.length), 1)[0] as Start;
      const message = messages.get(start.id);
      inFlight.set(start.destination, (inFlight.get(start.destination) ?? 0) - 1);
      const isDown = down.has(Number(start.destination));
      const pending = start.recipients.filter(() => isDown || random() < 0.3);
      for (const index of start.recipients) {
        message?.flying.delete(index);
        if (!pending.includes(index)) message?.pending.delete(index);
      }
      const fate = isDown ? "dead" : random() < 0.1 ? "throttled" : "alive";
      const report: DestinationReport =
        random() < 0.2 ? { destination: fate, retryAfterMs: pick(1_000_000) } : { destination: fate };
      tell({ kind: "finished", delivery: start.delivery, pending, report });
    };
    const answer = () => {
      const asked = stale.length > 0 && random() < 0.5 ? stale : routing;
      const [id] = asked.splice(pick(asked.length), 1);
      if (id === undefined) return;
      const message = messages.get(id);
      if (message === undefined || ended.has(id) || held.has(id)) return tell({ kind: "forgotten", id });
      const { arrivedAt, attempts } = message;
      if (random() < 0.05) return tell({ kind: "unrouted", id, arrivedAt, attempts, reason: "x" });
      tell({ kind: "routed", id, arrivedAt, bounce: false, attempts, groups: groupsOf(id) });
    };
    const hold = (id: string) => {
      held.add(id);
      stale.push(...routing.filter((other) => other === id));
      routing.splice(0, routing.length, ...routing.filter((other) => other !== id));
      tell({ kind: "forgotten", id });
    };
    const release = (id: string) => {
      held.delete(id);
      tell({ kind: "restored", id, dueAt: now });
    };
    const move = (ms: number) => {
      now += ms;
      if (now >= wakeAt) {
        wakeAt = Infinity;
        tell({ kind: "timer" });
      }
    };

    for (let step = 0; step < 4000; step += 1) {
      const dice = random();
      if (dice < 0.25 && messages.size < 600) {
        const id = `m${messages.size}`;
        const pending = new Set(Array.from({ length: 1 + pick(3) }, (_, index) => index));
        messages.set(id, { arrivedAt: now, attempts: 0, pending, flying: new Set() });
        if (random() < 0.2) tell({ kind: "restored", id, dueAt: now + pick(1_000_000) });
        else tell({ kind: "added", id, arrivedAt: now, bounce: false, attempts: 0, groups: groupsOf(id) });
      } else if (dice < 0.6 && flying.length > 0) finish();
      else if (dice < 0.8 && routing.length > 0) answer();
      else if (dice < 0.95) move(pick(60_000));
      else if (dice < 0.96) down.add(pick(limits.length));
      else if (dice < 0.98) down.clear();
      else if (dice < 0.985) tell({ kind: "flush" });
      else if (dice < 0.988) tell({ kind: "routesChanged" });
      else if (dice < 0.991 && messages.size > 0) {
        const id = `m${pick(messages.size)}`;
        if (!ended.has(id) && messages.get(id)?.flying.size === 0) {
          held.delete(id);
          end(id, "forgotten");
          tell({ kind: "forgotten", id });
        }
      } else if (random() < 0.5 && messages.size > 0) {
        const id = flying[pick(flying.length * 2)]?.id ?? `m${messages.size - 1 - pick(Math.min(messages.size, 50))}`;
        if (!ended.has(id)) hold(id);
        if (random() < 0.5) for (const other of held) release(other);
      } else for (const id of held) if (random() < 0.5) release(id);
    }
    down.clear();
    for (const id of held) release(id);
    for (let step = 0; ended.size < messages.size; step += 1) {
      expect(step, "the schedule stands still").toBeLessThan(50_000);
      if (flying.length > 0) finish();
      else if (routing.length > 0) answer();
      else {
        expect(wakeAt, "nobody would ever wake it").toBeLessThan(Infinity);
        move(Math.max(wakeAt - now, 0));
      }
    }
    expect(scheduler.counts).toMatchObject({ deliveries: 0 });
    expect([...ended.values()].filter((how) => how === "done").length).toBeGreaterThan(messages.size / 2);
  });
});
