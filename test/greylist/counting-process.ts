// One of two processes that count in one table: node counting-process.ts OPTIONS COUNT. Prints the sums it was given.
import { systemClock } from "@postern/core";
import { openSqlStateStore, options } from "@postern/plugin-state-sql";

const [, , settings = "", count = ""] = process.argv;
const log = { info: (): void => undefined, warn: (text: string): void => console.error(text) };
const store = openSqlStateStore({
  options: options.parse(JSON.parse(settings)),
  directory: "/",
  clock: systemClock,
  log,
});
const space = store.space<number>("counting");
const all = Array.from({ length: Number(count) });
const sums = await Promise.all(all.map(async () => space.increment("n", 1, 3_600_000)));
for (const _ of all) await space.update("u", 3_600_000, (current) => (current ?? 0) + 1);
const held = await store.space("counting").lease("l", String(process.pid), 3_600_000);
await store.close();
console.log(JSON.stringify({ sums, leases: held ? 1 : 0 }));
