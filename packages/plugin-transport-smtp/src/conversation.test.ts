import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import { createMemoryBlob, type Blob } from "@postern/core";
import { createFakeClock } from "@postern/testkit";
import { expect, test } from "vitest";
import { Conversation } from "./conversation.ts";

test("the answer to the dot is not kept waiting by a content that the peer does not take to its end", async () => {
  const socket = new Duplex({ writableHighWaterMark: 1, read: () => undefined, write: () => undefined });
  const content = createMemoryBlob([Buffer.alloc(300_000, "x")]);
  const conversation = new Conversation(socket as unknown as Socket, createFakeClock());
  const written = conversation.content(content, 180_000, () => undefined);
  // The one block waits to be taken; the dot comes behind it.
  await turn();
  socket.emit("drain");
  await turn();
  socket.push("552 5.3.4 too big\r\n");
  expect(await written).toBe(true);
  expect((await conversation.reply(600_000)).text).toBe("552 5.3.4 too big");
  expect(conversation.quiet).toBe(false);
  conversation.abort();
});

test("an early no that comes while the content is read is not waited for, although the peer takes nothing more", async () => {
  let taking = true;
  const socket = new Duplex({
    writableHighWaterMark: 1,
    read: () => undefined,
    write(_chunk, _encoding, done) {
      if (taking) done();
    },
  });
  const piece = Buffer.alloc(300_000, "x");
  const content: Blob = {
    ...createMemoryBlob([piece]),
    chunks: undefined,
    async *read() {
      yield piece;
      taking = false;
      socket.push("552 5.3.4 too big\r\n");
      await turn();
      yield piece;
      throw new Error("nothing more is read");
    },
  };
  const clock = createFakeClock();
  const conversation = new Conversation(socket as unknown as Socket, clock);
  expect(await conversation.content(content, 180_000, () => undefined)).toBe(false);
  expect((await conversation.reply(600_000)).text).toBe("552 5.3.4 too big");
  conversation.abort();
});
