// Places are objects only while somebody counts on them: a search through a hundred thousand messages must leave none behind.
import { expect, test } from "vitest";
import { pendingNote, QueueIndex, type Segment } from "./queue-index.ts";

const segment = { number: 1, salt: 0, path: "", size: 0, liveBytes: 0, liveMessages: 0 } as unknown as Segment;

function indexOf(id: string): QueueIndex {
  const index = new QueueIndex();
  index.put(id, { segment, offset: 32, headBytes: 100, bodyBytes: 2000, spooled: false, nextAttemptAt: 7 });
  return index;
}

test("at rest it is packed, and says the same when it is asked for again", () => {
  const index = indexOf("one");
  const place = index.get("one");
  expect(index.get("one")).toBe(place);
  index.rest("one");
  expect(index.get("one")).not.toBe(place);
  expect(index.get("one")).toEqual(place);
  index.rest("nobody");
});

test.each<[string, (index: QueueIndex) => void]>([
  ["held", (index) => void Object.assign(index.get("one") ?? {}, { held: 1 })],
  ["being removed", (index) => void Object.assign(index.get("one") ?? {}, { removal: Promise.resolve() })],
  [
    "with something to be said of it yet",
    (index) => void Object.assign(index.get("one") ?? {}, { schedule: pendingNote({ attempts: 1, nextAttemptAt: 9 }) }),
  ],
])("one that is %s stays the object that it is", (_, change) => {
  const index = indexOf("one");
  change(index);
  const place = index.get("one");
  index.rest("one");
  expect(index.get("one")).toBe(place);
});

test("the size of a content is known without an object, unless part of it is in a file", () => {
  const index = indexOf("one");
  index.put("large", { segment, offset: 3000, headBytes: 100, bodyBytes: 5, spooled: true, nextAttemptAt: 0 });
  expect([index.contentBytes("one"), index.contentBytes("large"), index.contentBytes("nobody")]).toEqual([
    2000,
    undefined,
    undefined,
  ]);
});
