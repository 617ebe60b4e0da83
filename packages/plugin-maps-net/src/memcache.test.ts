// A memcached that is silent, before a backup that is not.
import { TableUnavailable, type LookupTable, type TableScope } from "@postern/core";
import { createFakeClock } from "@postern/testkit";
import { expect, test } from "vitest";
import { lines, startNetServer } from "./net-server.fixture.ts";
import { openMemcache } from "./memcache.ts";

const clock = createFakeClock();
const backup: LookupTable = {
  type: "test",
  name: "backup",
  kind: "indexed",
  trusted: true,
  lookup: (key) => (key === "gone" ? undefined : `backup of ${key}`),
  close: () => Promise.resolve(),
};
const scope: TableScope = {
  directory: "/nonexistent",
  clock,
  purpose: {},
  warn: () => undefined,
  open: () => Promise.resolve(backup),
};

/** Moves time until the lookup has ended. */
async function later<T>(lookup: Promise<T>, ms: number): Promise<T> {
  let over = false;
  const ended = lookup.finally(() => (over = true));
  ended.catch(() => undefined);
  for (let moved = 0; !over && moved <= ms; moved += 100) await clock.run(100);
  return ended;
}

test("with a backup, silence is waited for once, and then memcached is left alone for a second", async () => {
  let silent = true;
  await using server = await startNetServer(lines, (request, socket) => {
    const key = request.replace("get ", "");
    if (!silent) socket.write(`VALUE ${key} 0 6\r\ncached\r\nEND\r\n`);
  });
  const table = await openMemcache("", scope, { memcache: `127.0.0.1:${server.port}`, backup: "static:x" });
  const ask = async (key: string) => table.lookup(key);
  expect(await later(ask("a"), 2_000)).toBe("backup of a");
  silent = false;
  expect(await ask("b")).toBe("backup of b");
  expect(await ask("gone")).toBeUndefined();
  await clock.run(1_000);
  expect(await ask("c")).toBe("cached");
  expect(server.heard).not.toContain("get b");
  await table.close();
});

test("without one it is asked max_try times, with a pause between, and then it could not be asked", async () => {
  const heard: number[] = [];
  await using server = await startNetServer(lines, (_, socket) => {
    heard.push(clock.monotonic());
    socket.write("SERVER_ERROR busy\r\n");
  });
  const parameters = { memcache: `127.0.0.1:${server.port}`, max_try: 3, retry_pause: 2, timeout: "1h" };
  const table = await openMemcache("", scope, parameters);
  await expect(later(Promise.resolve(table.lookup("a")), 600_000)).rejects.toBeInstanceOf(TableUnavailable);
  expect(heard).toHaveLength(3);
  const [first = 0, second = 0, third = 0] = heard;
  expect(second - first).toBeGreaterThanOrEqual(2_000);
  expect(third - second).toBeGreaterThanOrEqual(2_000);
  const pausing = Promise.resolve(table.lookup("b")).catch((error: unknown) => error);
  while (heard.length < 4) await clock.run(0);
  await table.close();
  expect(await pausing).toBeInstanceOf(TableUnavailable);
});
