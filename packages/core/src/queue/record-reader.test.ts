// What is read back from the log, while the index that said where it is goes on changing.
import { expect, test } from "vitest";
import type { Place, Segment } from "./queue-index.ts";
import { readMessage } from "./record-reader.ts";
import { encodeRecord, recordHeaderBytes, recordKinds } from "./segment-format.ts";
import { nothingSettled } from "./settled-notes.ts";
import { sampleMessage } from "./store-suite.ts";

test("compaction moves a message while it is read: the old place still says it", async () => {
  const salt = 7;
  const offset = 64;
  const { message } = sampleMessage("moved", 1);
  const record = encodeRecord(recordKinds.message, { salt, offset }, JSON.stringify({ message }));
  const move = (): void => void Object.assign(place, { offset: 4096, headBytes: 1 });
  const file = {
    read: (from: number, length: number) => {
      queueMicrotask(move);
      return Promise.resolve(record.subarray(from - offset, from - offset + length));
    },
  };
  const segment = { number: 1, salt, path: "/1.log", file, size: 0, liveBytes: 0, liveMessages: 1 };
  const place: Place = {
    segment: segment as unknown as Segment,
    offset,
    headBytes: record.length - recordHeaderBytes,
    bodyBytes: 0,
    spooled: false,
    nextAttemptAt: 0,
    settled: nothingSettled,
    schedule: undefined,
    removal: undefined,
    held: 1,
  };
  expect((await readMessage(place)).entry.message.id).toBe("moved");
  expect(place.offset).toBe(4096);
});
