/** One start of store and scheduler: `start.ts DIRECTORY MORE` says as JSON what it cost; MORE messages later it kills itself. */
import { readFileSync, writeSync } from "node:fs";
import { createIdSource, systemClock } from "../../packages/core/src/model/index.ts";
import { createSegmentStore, Scheduler, schedulerDefaults } from "../../packages/core/src/queue/index.ts";
import { accept } from "./accept.ts";

const [directory = "", more = "0"] = process.argv.slice(2);
const started = performance.now();
const store = createSegmentStore({ directory, clock: systemClock });
const { waiting } = await store.open();
const openMs = performance.now() - started;
const scheduler = new Scheduler(schedulerDefaults);
// Nothing is due yet: what is tried is not what is measured.
const later = Date.now() + 3_600_000;
for (const { id } of store.waiting()) scheduler.step({ kind: "restored", id, dueAt: later }, Date.now(), Math.random);
const readyMs = performance.now() - started;
const [, peak = "0"] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
writeSync(1, JSON.stringify({ waiting, openMs, readyMs, rssBytes: Number(peak) * 1024 }));
if (Number(more) > 0) {
  await accept(store, { bytes: 1024, nextId: createIdSource(Date.now, Math.random) }, Number(more));
  process.kill(process.pid, "SIGKILL");
}
await store.close();
