import { expect, test } from "vitest";
import { createMemoryStore } from "./memory-store.ts";
import { queueStoreCases, sampleMessage } from "./store-suite.ts";

for (const { name, run } of queueStoreCases) {
  test(name, () =>
    run(async () => {
      const store = createMemoryStore();
      await store.open();
      return { store };
    }),
  );
}

test("a full store refuses, and takes again after a removal", async () => {
  const { message, content } = sampleMessage("a");
  const store = createMemoryStore({ maxBytes: content.sizeBytes });
  await store.commit(message, content);
  expect(store.hasRoom(1)).toBe(false);
  await expect(store.commit({ ...message, id: "b" }, content)).rejects.toMatchObject({ code: "STORE_FULL" });
  await store.remove("a");
  await store.commit({ ...message, id: "b" }, content);
});
