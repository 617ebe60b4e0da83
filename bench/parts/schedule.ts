/** The scheduler's part: a message comes in, is started, and is done; the queue to its destination is 20 deep. */
import { retryDefaults, Scheduler, schedulerDefaults, type ScheduleCommand } from "./core.ts";
import { nextId } from "./mail.ts";
import type { Part } from "./part.ts";

const depth = 20;
const report = { destination: "alive" } as const;
const groups = [{ destination: "smtp:[127.0.0.1]:2526", recipients: [0], maxConcurrency: 20 }];

export function openSchedule(): Part {
  const scheduler = new Scheduler({ ...schedulerDefaults, retry: retryDefaults });
  return {
    name: "schedule",
    covers: "the pure scheduler: added, start, finished, done",
    run(messages) {
      const started: number[] = [];
      let done = 0;
      const take = (commands: readonly ScheduleCommand[]): void => {
        for (const command of commands) {
          if (command.kind === "start") started.push(command.delivery);
          if (command.kind === "done") done += 1;
        }
      };
      const finishOldest = (now: number): boolean => {
        const delivery = started.shift();
        if (delivery === undefined) return false;
        take(scheduler.step({ kind: "finished", delivery, pending: [], report }, now, Math.random));
        return true;
      };
      for (let count = 0; count < messages; count += 1) {
        const now = Date.now();
        const head = { id: nextId(), arrivedAt: now, bounce: false, attempts: 0 };
        take(scheduler.step({ kind: "added", ...head, groups }, now, Math.random));
        if (count >= depth) finishOldest(now);
      }
      while (finishOldest(Date.now()));
      if (done !== messages) throw new Error(`the scheduler finished ${done} of ${messages} messages`);
    },
  };
}
