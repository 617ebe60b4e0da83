// Sessions as a whole: how many there may be, how they are closed, large messages, real sockets.
import { once } from "node:events";
import { mkdtemp, readdir } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFakeClock } from "@postern/testkit";
import { describe, expect, test } from "vitest";
import { heldBytes } from "../../../../test/held-memory.ts";
import { createNamelessFiles, createSpooler } from "../message/index.ts";
import { createFront, Talk, type Front } from "./front.fixture.ts";

const envelope = ["MAIL FROM:<a@there.test>", "RCPT TO:<b@ours.test>", "DATA"];

describe("limits on sessions", () => {
  async function greetings(front: Front, addresses: readonly string[]): Promise<string[]> {
    const talks = addresses.map((remoteAddress) => front.connect({ remoteAddress }));
    return Promise.all(talks.map(async (talk) => (await talk.reply()).slice(0, 9)));
  }

  test.each([
    ["of one client", { sessionsPerClient: 2 }, ["192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.1"], "421 4.7.0"],
    [
      "of one /64",
      { sessionsPerClient: 2 },
      ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::", "2001:db8::3"],
      "421 4.7.0",
    ],
    ["of all", { sessions: 3 }, ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"], "421 4.3.2"],
    ["in a minute", { sessionsPerMinute: 2 }, ["192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.1"], "421 4.7.0"],
  ])("%s", async (_, limits, addresses, refusal) => {
    const front = await createFront({ limits });
    expect(await greetings(front, addresses)).toEqual(["220 mx.ou", "220 mx.ou", "220 mx.ou", refusal]);
    expect(front.events.at(-1)?.kind === "turnedAway" || front.events.some(({ kind }) => kind === "turnedAway")).toBe(
      true,
    );
  });

  test("networks are not limited", async () => {
    const front = await createFront({ limits: { sessionsPerClient: 1, sessions: 1, sessionsPerMinute: 1 } });
    expect(await greetings(front, Array<string>(5).fill("127.0.0.9"))).toEqual(Array(5).fill("220 mx.ou"));
  });

  test("a session that has ended makes room, a minute that has passed too", async () => {
    const clock = createFakeClock();
    const front = await createFront({ clock, limits: { sessionsPerClient: 1, sessionsPerMinute: 3 } });
    for (const expected of ["220", "220", "220", "421"]) {
      const talk = front.connect();
      expect((await talk.reply()).slice(0, 3)).toBe(expected);
      talk.stream.destroy();
      await front.idle();
    }
    await clock.run(60_000);
    expect(await front.connect().reply()).toMatch(/^220/);
  });
});

describe("closing a listener", () => {
  test("idle sessions end at once, messages under way are finished", async () => {
    const front = await createFront();
    const idle = await front.greeted();
    const busy = await front.greeted();
    for (const line of envelope) await busy.say(line);
    const closed = front.listener.close(60_000);
    expect(await idle.rest()).toBe("421 4.3.2 Server is shutting down, try again later\r\n");
    expect(await busy.say("x: y\r\n.")).toMatch(/^250 /);
    expect(await busy.rest()).toMatch(/^421 4\.3\.2 /);
    await closed;
    expect(front.held).toBe(0);
  });

  test("after the grace everything is cut off", async () => {
    const clock = createFakeClock();
    const front = await createFront({ clock });
    const busy = await front.greeted();
    for (const line of envelope) await busy.say(line);
    const closed = front.listener.close(5000);
    await clock.run(5000);
    expect(await busy.rest()).toMatch(/^421 4\.3\.2 /);
    await closed;
    expect(front.held).toBe(0);
    expect(front.queue).toEqual([]);
  });
});

test("a port that is taken is one clear error", async () => {
  const first = await createFront();
  const { port } = await first.listener.listen();
  const second = await createFront({ listener: { port } });
  await expect(second.listener.listen()).rejects.toMatchObject({
    code: "LISTEN_FAILED",
    message: `listener test cannot take 127.0.0.1:${port}: the port is in use`,
  });
  await first.listener.close(0);
});

test("a message of 50 MB over a real socket arrives whole and does not stay in memory", async () => {
  const directory = await mkdtemp(join(tmpdir(), "postern-smtp-"));
  let sizeBytes = 0;
  let highest = 0;
  const before = heldBytes();
  const front = await createFront({
    spooler: createSpooler({ files: createNamelessFiles(directory), maxSizeBytes: 60 * 1024 * 1024 }),
    enqueue: async (_, content) => {
      for await (const chunk of content.read()) sizeBytes += chunk.length;
    },
  });
  const { port } = await front.listener.listen();
  const socket = connect(port, "127.0.0.1");
  const talk = new Talk(socket);
  await talk.reply();
  await talk.say("EHLO client.test");
  for (const line of envelope) await talk.say(line);
  talk.send("Subject: large\r\n\r\n");
  const block = Buffer.from(`${"x".repeat(76)}\r\n`.repeat(1000));
  const blocks = Math.floor((50 * 1024 * 1024) / block.length);
  for (let count = 0; count < blocks; count += 1) {
    if (!socket.write(block)) await once(socket, "drain");
    if (count % 60 === 0) highest = Math.max(highest, heldBytes() - before);
  }
  expect(await talk.say(".")).toMatch(/^250 /);
  expect(sizeBytes).toBeGreaterThan(blocks * block.length);
  expect(highest).toBeLessThan(8 * 1024 * 1024);
  expect(await readdir(directory)).toEqual([]);
  expect(await talk.say("QUIT")).toMatch(/^221 /);
  await talk.rest();
  await front.listener.close(1000);
});

test("a message without end is given up", async () => {
  const front = await createFront({ limits: { messageSizeBytes: 1000 } });
  const { port } = await front.listener.listen();
  const talk = new Talk(connect(port, "127.0.0.1"));
  await talk.reply();
  await talk.say("EHLO client.test");
  for (const line of envelope) await talk.say(line);
  const line = Buffer.from(`${"x".repeat(998)}\r\n`.repeat(64));
  while (!talk.ended) {
    talk.stream.write(line);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await talk.rest()).toBe("552 5.3.4 Message exceeds the size limit\r\n");
  await front.listener.close(1000);
});

test("a client that never reads its replies is not answered for ever", async () => {
  const front = await createFront({
    networks: ["127.0.0.0/8"],
    limits: { junkCommands: Infinity, commandTimeoutMs: 300 },
  });
  const { port } = await front.listener.listen();
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.pause();
  await once(socket, "connect");
  const noops = Buffer.from("EHLO x.test\r\n".repeat(5000));
  let written = 0;
  while (!socket.destroyed && written < 200 * 1024 * 1024 && !socket.writableNeedDrain) {
    socket.write(noops);
    written += noops.length;
    await new Promise((resolve) => setImmediate(resolve));
  }
  await front.idle();
  expect(front.lines().some((line) => line.endsWith(": timeout"))).toBe(true);
  socket.destroy();
  await front.listener.close(1000);
});
