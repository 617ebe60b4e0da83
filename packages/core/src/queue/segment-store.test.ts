import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, test } from "vitest";
import { systemClock } from "../model/index.ts";
import { createSegmentStore } from "./segment-store.ts";
import { queueStoreCases } from "./store-suite.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

async function openIn(directory: string) {
  const store = createSegmentStore({ directory, clock: systemClock });
  await store.open();
  return store;
}

for (const { name, run } of queueStoreCases) {
  test(name, () =>
    run(async () => {
      const parent = mkdtempSync(join(tmpdir(), "postern-queue-"));
      folders.push(parent);
      const store = await openIn(join(parent, "queue"));
      const reopen = async () => {
        await store.close();
        return openIn(join(parent, "queue"));
      };
      return { store, reopen };
    }),
  );
}
