/** The queue's part in a message that is delivered at once: commit, read back, outcome, removal; 20 writers share each sync. */
import { createSegmentStore, delivered } from "@postern/core";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { clock } from "./gateway.ts";
import { compose, queuedMessage } from "./mail.ts";
import { inParallel, type Part, type PartScope } from "./part.ts";

const outcome = delivered("250 2.0.0 Ok: queued as 4XyZ", { remote: "sink.example.test[127.0.0.1]:25" });

export async function openCommit({ folder, sizeBytes }: PartScope): Promise<Part> {
  mkdirSync(folder, { recursive: true });
  const store = createSegmentStore({ directory: join(folder, "queue"), clock });
  await store.open();
  const { blob } = compose(sizeBytes);
  return {
    name: "commit",
    covers: "segment store: commit, read back, settle, remove; 20 writers",
    run: (messages) =>
      inParallel(messages, 20, async () => {
        const message = queuedMessage(sizeBytes);
        await store.commit(message, blob);
        await store.content(message.id);
        void store.settle(message.id, [{ index: 0, outcome }]);
        void store.remove(message.id);
      }),
    close: () => store.close(),
  };
}
