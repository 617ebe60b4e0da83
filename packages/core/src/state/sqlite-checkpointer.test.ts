import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { expect, test, vi } from "vitest";
import { openSqliteStateStore } from "./sqlite-state-store.ts";

vi.mock("node:worker_threads", () => ({
  Worker: function Worker() {
    throw Object.assign(new Error("no more threads"), { code: "ERR_WORKER_INIT_FAILED" });
  },
}));

test.for([true, false])("without a thread for checkpoints the store writes on, lazily: %s", async (lazy) => {
  using disposables = new DisposableStack();
  const directory = mkdtempSync(`${tmpdir()}/state-`);
  disposables.defer(() => rmSync(directory, { recursive: true }));
  const store = openSqliteStateStore({ directory, clock: { now: () => 1_780_000_000_000 } });
  disposables.defer(() => void store.close());
  const space = store.space<number>("s", { lazy });
  for (let at = 0; at < 5000; at += 1) void space.put(`k${at}`, at, 1000);
  expect(space.scan("k499", 100)).toHaveLength(11);
});
