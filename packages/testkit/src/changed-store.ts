/** A queue store that does some things otherwise: notes them, or fails. */
import type { QueueStore } from "@postern/core";

export function changedStore(store: QueueStore, changes: Partial<QueueStore>): QueueStore {
  return {
    get size() {
      return store.size;
    },
    open: () => store.open(),
    waiting: () => store.waiting(),
    entry: (id) => store.entry(id),
    content: (id) => store.content(id),
    contentBytes: (id) => store.contentBytes?.(id),
    hasRoom: (sizeBytes) => store.hasRoom(sizeBytes),
    commit: (message, content, schedule) => store.commit(message, content, schedule),
    settle: (id, outcomes) => store.settle(id, outcomes),
    reschedule: (id, schedule) => store.reschedule(id, schedule),
    remove: (id) => store.remove(id),
    close: () => store.close(),
    ...changes,
  };
}
