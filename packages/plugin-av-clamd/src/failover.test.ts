// Several clamd, scripted: who is asked, who next, and what a dead one costs the mail after it.

import type { Socket } from "node:net";
import { createFakeClock, sampleMessage } from "@postern/testkit";
import { describe, expect, test } from "vitest";
import { undisturbed } from "../../../test/undisturbed.ts";
import { engineOn, startFake, type FakeClamd } from "./fake-clamd.fixture.ts";

const nobody = { path: "/nonexistent/clamd.sock" };
const { signal } = new AbortController();
const ask = (engine: ReturnType<typeof engineOn>, text = "x") => engine.scan({ message: sampleMessage(text), signal });
const streams = ({ commands }: FakeClamd) => commands.filter((command) => command === "zINSTREAM").length;

describe("the next one has the message", () => {
  test.each<[what: string, first: Parameters<typeof startFake>[0]]>([
    ["when one closes", { onConnect: (socket) => socket.end() }],
    ["when one dies in the middle", { onStream: ({ socket }) => socket.destroy() }],
    ["when one answers rubbish", { onStream: ({ answer }) => answer("stream: maybe") }],
    ["when one has no memory left", { onStream: ({ answer }) => answer("stream: Can't allocate memory ERROR") }],
    ["when one takes less", { streamMaxBytes: 3 }],
  ])("%s", async (_, options) => {
    const first = await startFake(options);
    const second = await startFake({
      onStream: ({ answer, octets }) => answer(`stream: ${octets.toString("latin1")} FOUND`),
    });
    const engine = engineOn([first.address, second.address]);
    expect(await ask(engine, "whole")).toMatchObject({ reply: { text: "infected: whole" } });
    await expect.poll(() => first.open).toBe(0);
  });

  test("a verdict is final: the second is not asked for its opinion", async () => {
    const first = await startFake({ onStream: ({ answer }) => answer("stream: V FOUND") });
    const second = await startFake();
    expect(await ask(engineOn([first.address, second.address]))).toMatchObject({ kind: "reject" });
    expect(second.connections).toBe(0);
  });

  test("when all fail it is the first failure, and nothing is clean", async () => {
    const rubbish = await startFake({ onStream: ({ answer }) => answer("rubbish") });
    await expect(ask(engineOn([rubbish.address, nobody]))).rejects.toMatchObject({ reason: "error" });
    await expect(ask(engineOn([nobody, rubbish.address]))).rejects.toMatchObject({ reason: "down" });
  });

  test("one that hangs is asked whether it lives; without PONG the next has the message within the deadline", async () => {
    await undisturbed(async () => {
      const first = await startFake({ onStream: () => undefined, hangs: () => true });
      const second = await startFake();
      const engine = engineOn([first.address, second.address], { deadlineMs: 800 });
      expect(await ask(engine)).toBeUndefined();
      expect(await ask(engine)).toBeUndefined();
      expect([streams(first), streams(second)]).toEqual([1, 2]);
      await expect.poll(() => first.open).toBe(0);
    });
  });

  test("one that is slow and answers PING keeps it", async () => {
    await undisturbed(async () => {
      const pinged = Promise.withResolvers<void>();
      const first = await startFake({
        onStream: ({ answer }) => void pinged.promise.then(() => answer("stream: V FOUND")),
        hangs: () => (pinged.resolve(), false),
      });
      const second = await startFake();
      const engine = engineOn([first.address, second.address], { deadlineMs: 800 });
      expect(await ask(engine)).toMatchObject({ kind: "reject" });
      expect(first.commands).toContain("zPING");
      expect(second.connections).toBe(0);
    });
  });
});

test("a dead one costs the mail after it nothing, and is used again when it answers PING", async () => {
  const clock = createFakeClock();
  let dead = true;
  const first = await startFake({ onConnect: (socket) => dead && socket.end() });
  const second = await startFake();
  const engine = engineOn([first.address, second.address], { clock });
  for (let at = 0; at < 20; at += 1) expect(await ask(engine)).toBeUndefined();
  expect([first.connections, streams(second)]).toEqual([1, 20]);
  await clock.run(1_100);
  await ask(engine);
  await expect.poll(() => first.connections).toBe(2); // one PING, beside the mail
  await expect.poll(() => first.open).toBe(0);
  for (let at = 0; at < 20; at += 1) await ask(engine);
  expect(first.connections).toBe(2);
  dead = false;
  await clock.run(5_000);
  await ask(engine);
  await expect.poll(() => engine.daemons[0]?.healthy).toBe(true);
  await ask(engine);
  expect(streams(first)).toBe(1);
});

test("what one has no room for goes to the next that has", async () => {
  const held: (() => void)[] = [];
  const first = await startFake({ onStream: ({ answer }) => held.push(() => answer("stream: OK")) });
  const second = await startFake();
  const engine = engineOn([first.address, second.address], { connections: 2 });
  const [one, two, three] = [ask(engine), ask(engine), ask(engine)];
  await three;
  await expect.poll(() => held.length).toBe(2);
  for (const release of held) release();
  await Promise.all([one, two]);
  expect([streams(first), streams(second)]).toEqual([2, 1]);
});

test("what is larger than any of them takes is not sent", async () => {
  const [first, second] = [await startFake({ streamMaxBytes: 10 }), await startFake({ streamMaxBytes: 20 })];
  const engine = engineOn([first.address, second.address]);
  for (const daemon of engine.daemons) await daemon.measure(1_000);
  first.commands.length = 0;
  second.commands.length = 0;
  await expect(ask(engine, "x".repeat(21))).rejects.toThrow(/more than clamd's StreamMaxLength, 20/);
  expect(await ask(engine, "x".repeat(20))).toBeUndefined();
  expect([streams(first), streams(second)]).toEqual([0, 1]);
});

test("called off, it goes to nobody else", async () => {
  const first = await startFake({ onStream: () => undefined });
  const second = await startFake();
  const client = new AbortController();
  const engine = engineOn([first.address, second.address]);
  const answer = engine.scan({ message: sampleMessage(), signal: client.signal });
  await expect.poll(() => streams(first)).toBe(1);
  client.abort();
  await expect(answer).rejects.toMatchObject({ reason: "timeout" });
  expect(streams(second)).toBe(0);
});

test("a PING that is answered after the scan has ended is the last one", async () => {
  const clock = createFakeClock();
  const sockets: Socket[] = [];
  const answers: (() => void)[] = [];
  const first = await startFake({
    onConnect: (socket) => sockets.push(socket),
    onStream: ({ answer }) => answers.push(() => answer("stream: OK")),
    hangs: () => true,
  });
  const second = await startFake();
  const said = ask(engineOn([first.address, second.address], { clock }));
  await expect.poll(() => answers.length).toBe(1);
  await clock.run(5_000);
  await expect.poll(() => first.commands).toContain("zPING");
  answers[0]?.();
  expect(await said).toBeUndefined();
  sockets[1]?.write("1: PONG\0");
  await expect.poll(() => first.commands).toContain("zVERSION");
  await expect.poll(() => first.open).toBe(1);
  expect(clock.pending).toBe(1); // the idle session's
});
