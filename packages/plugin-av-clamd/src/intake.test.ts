// A message that is streamed while it arrives, against a scripted clamd: when it is, when not, and that nothing is believed by half.
import type { Socket } from "node:net";
import { sampleMessage, createFakeClock, sampleTransaction } from "@postern/testkit";
import { describe, expect, test } from "vitest";
import {
  engineOn,
  startFake,
  type EngineOptions,
  type FakeClamd,
  type FakeOptions,
  type FakeStream,
} from "./fake-clamd.fixture.ts";

const part = Buffer.alloc(64 * 1024, "x");
const parts = (count: number): Buffer[] => Array.from({ length: count }, () => part);
const streams = ({ commands }: FakeClamd) => commands.filter((command) => command === "zINSTREAM").length;
const verdict = ({ octets, answer }: Pick<FakeStream, "octets" | "answer">): void =>
  answer(octets.includes("virus") ? "stream: V FOUND" : "stream: OK");

async function setUp(options: FakeOptions = {}, more: EngineOptions = {}) {
  const clock = createFakeClock();
  const fake = await startFake({ onStream: verdict, ...options });
  const engine = engineOn([fake.address], { clock, ...more });
  const client = new AbortController();
  const { signal } = client;
  const begin = (declaredSizeBytes?: number) =>
    engine.begin({ transaction: { ...sampleTransaction(), declaredSizeBytes }, signal });
  return { clock, fake, engine, client, signal, begin, daemon: engine.daemons[0] };
}

/** Both of the message: what is written on its way in, and what `scan` is given afterwards. */
async function arrive(setting: Awaited<ReturnType<typeof setUp>>, chunks: readonly Buffer[]) {
  const intake = setting.begin();
  for (const chunk of chunks) await intake?.write(chunk);
  return setting.engine.scan({ message: sampleMessage(chunks), signal: setting.signal, intake });
}

describe("large messages are at clamd when they are complete", () => {
  test.each([
    ["clean", parts(20), undefined],
    ["infected in its last octets", [...parts(20), Buffer.from("a virus")], { kind: "reject" }],
    ["infected in its first", [Buffer.from("a virus"), ...parts(20)], { kind: "reject" }],
  ])("%s", async (_, chunks, expected) => {
    const setting = await setUp();
    const intake = setting.begin();
    for (const chunk of chunks) await intake?.write(chunk);
    await expect.poll(() => setting.fake.pieces.length).toBeGreaterThan(16);
    const said = await setting.engine.scan({ message: sampleMessage(chunks), signal: setting.signal, intake });
    if (expected === undefined) expect(said).toBeUndefined();
    else expect(said).toMatchObject(expected);
    expect(streams(setting.fake)).toBe(1);
    expect(setting.fake.pieces.reduce((sum, length) => sum + length, 0)).toBe(Buffer.concat(chunks).length);
    expect(setting.daemon?.free).toBe(20);
    expect(setting.clock.pending).toBeLessThanOrEqual(1); // the idle session's
  });

  test("small ones are not begun: by their declared size not at all, else as soon as they are large", async () => {
    const setting = await setUp();
    expect(setting.begin(100_000)).toBeUndefined();
    const intake = setting.begin();
    for (const chunk of parts(3)) await intake?.write(chunk);
    expect(setting.fake.connections).toBe(0);
    expect(
      await setting.engine.scan({ message: sampleMessage(parts(3)), signal: setting.signal, intake }),
    ).toBeUndefined();
    expect([streams(setting.fake), setting.fake.pieces.length]).toEqual([1, 4]);
  });

  test("a message octet by octet is not held", async () => {
    const setting = await setUp();
    const chunks = [...Array.from({ length: 1_100 }, () => Buffer.from("x")), ...parts(10)];
    const intake = setting.begin();
    for (const chunk of chunks) void intake?.write(chunk);
    expect(setting.fake.connections).toBe(0);
    expect(
      await setting.engine.scan({ message: sampleMessage(chunks), signal: setting.signal, intake }),
    ).toBeUndefined();
  });
});

describe("a doubtful stream is not believed: the message is scanned from the start", () => {
  const chunks = [Buffer.from("a virus"), ...parts(20)];
  test.each<[what: string, options: FakeOptions]>([
    ["clamd closes it", { onConnect: once((socket) => socket.once("data", () => socket.destroy())) }],
    ["clamd says clean too early", { onConnect: once((socket) => socket.write("1: stream: OK\0")) }],
    ["clamd times out", { onConnect: once((socket) => socket.end("COMMAND READ TIMED OUT\n")) }],
    ["clamd answers rubbish", { onConnect: once((socket) => socket.write("nonsense\0")) }],
  ])("%s", async (_, options) => {
    const setting = await setUp(options);
    expect(await arrive(setting, chunks)).toMatchObject({ kind: "reject" });
    expect(setting.daemon?.free).toBe(20);
  });

  test("octets are missing", async () => {
    const setting = await setUp();
    const intake = setting.begin();
    const header = Buffer.from("Subject: x\r\n\r\n");
    for (const chunk of parts(10)) await intake?.write(chunk);
    const message = sampleMessage([header, ...parts(10), Buffer.from("virus")]);
    expect(await setting.engine.scan({ message, signal: setting.signal, intake })).toMatchObject({ kind: "reject" });
  });

  test("the client dribbles: clamd's connection is not kept for it", async () => {
    const setting = await setUp();
    const intake = setting.begin();
    for (const chunk of parts(5)) await intake?.write(chunk);
    await expect.poll(() => setting.fake.open).toBe(1);
    await setting.clock.run(2_000);
    expect(setting.daemon?.free).toBe(19);
    void intake?.write(part);
    await setting.clock.run(2_000);
    expect(setting.daemon?.free).toBe(20);
    await expect.poll(() => setting.fake.open).toBe(0);
    const rest = [...parts(3), Buffer.from("virus")];
    for (const chunk of rest) await intake?.write(chunk);
    const message = sampleMessage([...parts(6), ...rest]);
    expect(await setting.engine.scan({ message, signal: setting.signal, intake })).toMatchObject({ kind: "reject" });
    expect(setting.clock.pending).toBeLessThanOrEqual(1);
  });
});

test("what clamd refuses by size on the way is tooLarge, and its slot is free at once", async () => {
  const setting = await setUp({
    onConnect: (socket) => socket.once("data", () => socket.end("1: INSTREAM size limit exceeded. ERROR\0")),
  });
  const intake = setting.begin();
  for (const chunk of parts(10)) await intake?.write(chunk);
  await expect.poll(() => setting.daemon?.free).toBe(20);
  for (const chunk of parts(10)) await intake?.write(chunk);
  await expect(
    setting.engine.scan({ message: sampleMessage(parts(20)), signal: setting.signal, intake }),
  ).rejects.toMatchObject({ reason: "tooLarge" });
});

test("what the first refuses by size on the way goes to the next, which may take more", async () => {
  const first = await startFake({
    onConnect: (socket) => socket.once("data", () => socket.end("1: INSTREAM size limit exceeded. ERROR\0")),
  });
  const second = await startFake({ onStream: verdict });
  const engine = engineOn([first.address, second.address]);
  const { signal } = new AbortController();
  const chunks = [...parts(10), Buffer.from("a virus")];
  const intake = engine.begin({ transaction: sampleTransaction(), signal });
  for (const chunk of chunks) await intake?.write(chunk);
  await expect.poll(() => first.connections).toBe(1);
  expect(await engine.scan({ message: sampleMessage(chunks), signal, intake })).toMatchObject({ kind: "reject" });
});

test("the next scan is not put into a stream that clamd has answered before its end", async () => {
  const sockets: Socket[] = [];
  const setting = await setUp({ onConnect: (socket) => sockets.push(socket) });
  const intake = setting.begin();
  for (const chunk of parts(5)) await intake?.write(chunk);
  await expect.poll(() => setting.fake.pieces.length).toBe(5);
  sockets[0]?.write("1: stream: V FOUND\0");
  await expect.poll(() => setting.daemon?.free).toBe(20);
  const message = sampleMessage(parts(5));
  expect(await setting.engine.scan({ message, signal: setting.signal, intake })).toMatchObject({ kind: "reject" });
  expect(await setting.engine.scan({ message: sampleMessage("next"), signal: setting.signal })).toBeUndefined();
  expect(setting.fake.connections).toBe(2);
});

test("beyond maxSize nothing more is sent", async () => {
  const setting = await setUp({}, { maxSize: 600_000 });
  expect(setting.begin(700_000)).toBeUndefined();
  await expect(arrive(setting, parts(20))).rejects.toMatchObject({ reason: "tooLarge" });
  await expect.poll(() => setting.fake.open).toBe(0);
  expect(setting.daemon?.free).toBe(20);
});

test.each([
  ["while it streams", 10],
  ["before it does", 1],
])("a client that goes %s leaves nothing", async (_, count) => {
  const setting = await setUp();
  const intake = setting.begin();
  for (const chunk of parts(count)) await intake?.write(chunk);
  setting.client.abort();
  for (const chunk of parts(10)) await intake?.write(chunk);
  await expect.poll(() => setting.fake.open).toBe(0);
  expect([setting.daemon?.free, setting.clock.pending]).toEqual([20, 0]);
});

test("called off while clamd thinks, it ends at once", async () => {
  const setting = await setUp({ onStream: () => undefined });
  const intake = setting.begin();
  for (const chunk of parts(10)) await intake?.write(chunk);
  const answer = setting.engine.scan({ message: sampleMessage(parts(10)), signal: setting.signal, intake });
  await expect.poll(() => setting.fake.pieces.at(-1)).toBe(0);
  setting.client.abort();
  await expect(answer).rejects.toMatchObject({ reason: "timeout" });
  await expect.poll(() => setting.fake.open).toBe(0);
  expect(setting.daemon?.free).toBe(20);
});

test.each([
  [20, 15],
  [8, 6],
  [7, 6],
  [4, 3],
  [3, 2],
  [2, 1],
])("of %i connections streams leave %i to complete messages", async (connections, left) => {
  const setting = await setUp({}, { connections });
  const intakes = Array.from({ length: 8 }, () => setting.begin());
  for (const intake of intakes) for (const chunk of parts(6)) await intake?.write(chunk);
  expect(setting.daemon?.free).toBe(left);
  const said = intakes.map((intake) =>
    setting.engine.scan({ message: sampleMessage(parts(6)), signal: setting.signal, intake }),
  );
  expect(await Promise.all(said)).toEqual(Array(8).fill(undefined));
  expect(setting.daemon?.free).toBe(connections);
  // Those that ended have left their place to the next.
  const next = setting.begin();
  for (const chunk of parts(6)) await next?.write(chunk);
  expect(setting.daemon?.free).toBe(connections - 1);
});

test("an only connection is for complete messages", async () => {
  const setting = await setUp({}, { connections: 1 });
  const intake = setting.begin();
  for (const chunk of parts(6)) await intake?.write(chunk);
  expect(setting.daemon?.free).toBe(1);
  const question = { message: sampleMessage(parts(6)), signal: setting.signal, intake };
  expect(await setting.engine.scan(question)).toBeUndefined();
});

test("senders that stall lose their streams, and others have them", async () => {
  const setting = await setUp({}, { connections: 8 });
  const stalled = [setting.begin(), setting.begin()];
  for (const intake of stalled) for (const chunk of parts(5)) await intake?.write(chunk);
  const late = setting.begin();
  for (const chunk of parts(5)) await late?.write(chunk);
  expect(setting.daemon?.free).toBe(6);
  // What came before the stall counts for its period; then nothing does.
  await setting.clock.run(4_000);
  expect(setting.daemon?.free).toBe(8);
  await expect.poll(() => setting.fake.open).toBe(0);
  const next = setting.begin();
  for (const chunk of parts(5)) await next?.write(chunk);
  expect(setting.daemon?.free).toBe(7);
  const message = sampleMessage([...parts(5), Buffer.from("a virus")]);
  const [intake] = stalled;
  await intake?.write(Buffer.from("a virus"));
  expect(await setting.engine.scan({ message, signal: setting.signal, intake })).toMatchObject({ kind: "reject" });
});

test("a clamd that is behind asks the client to wait, and holds little", async () => {
  const release = Promise.withResolvers<void>();
  const setting = await setUp({
    onConnect(socket) {
      socket.pause();
      void release.promise.then(() => socket.resume());
    },
  });
  const intake = setting.begin();
  let waiting: unknown;
  let written = 0;
  while (waiting === undefined && written < 200) {
    waiting = intake?.write(part);
    written += 1;
  }
  expect(written).toBeLessThan(30);
  release.resolve();
  await waiting;
  expect(
    await setting.engine.scan({ message: sampleMessage(parts(written)), signal: setting.signal, intake }),
  ).toBeUndefined();
  expect(streams(setting.fake)).toBe(1);
});

/** For the first connection only. */
function once<T>(call: (value: T) => unknown): (value: T) => unknown {
  let done = false;
  return (value) => {
    if (!done) call(value);
    done = true;
  };
}
