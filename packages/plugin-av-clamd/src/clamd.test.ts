// The engine against a scripted clamd on a real socket: every answer of clamd 1.4 and every way to lose it.
import type { Socket } from "node:net";
import { ScannerFailure, type Message, type ScanAnswer } from "@postern/core";
import { createFakeClock, sampleMessage } from "@postern/testkit";
import { describe, expect, test } from "vitest";
import {
  engineOn,
  readingMessage,
  startFake,
  type EngineOptions,
  type FakeClamd,
  type FakeOptions,
} from "./fake-clamd.fixture.ts";

const answering = (answer: string): FakeOptions => ({ onStream: ({ socket }) => socket.end(answer) });
const infected = (name: string) => ({
  kind: "reject",
  reply: { code: 550, enhanced: "5.7.1", text: `infected: ${name}` },
});

function scan(
  { address }: FakeClamd,
  message: Message = sampleMessage(),
  more: EngineOptions = {},
  signal = new AbortController().signal,
): Promise<ScanAnswer> {
  return engineOn([address], more).scan({ message, signal });
}

describe("clamd's answers", () => {
  test.each<[answer: string, expected: unknown]>([
    ["1: stream: OK\0", undefined],
    ["1: stream: OK\n", undefined],
    ["1: stream: Test.Eicar.Body.UNOFFICIAL FOUND\0", infected("Test.Eicar.Body.UNOFFICIAL")],
    ["1: stream: YARA.Test_Yara.UNOFFICIAL FOUND\0", infected("YARA.Test_Yara.UNOFFICIAL")],
    ["1: stream: Eicar(44d88612fea8a8f36de82e1278abb02f:68) FOUND\0", infected("Eicar")],
    ["1: stream: A\r\n250 ok FOUND\0", { reason: "error" }],
    ["1: stream: Räuber\u0001 X FOUND\0", infected("R?uber?X")],
    [`1: stream: ${"x".repeat(300)} FOUND\0`, infected("x".repeat(128))],
    ["1: stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND\0", { reason: "tooLarge" }],
    ["1: stream: Heuristics.Limits.Exceeded.MaxRecursion FOUND\0", { reason: "unscannable" }],
    ["1: stream: Heuristics.Encrypted.Zip FOUND\0", { reason: "encrypted" }],
    ["1: stream: Heuristics.Phishing.Email.SpoofedDomain FOUND\0", infected("Heuristics.Phishing.Email.SpoofedDomain")],
    ["1: INSTREAM size limit exceeded. ERROR\0", { reason: "tooLarge" }],
    ["INSTREAM size limit exceeded. ERROR\n", { reason: "tooLarge" }],
    ["COMMAND READ TIMED OUT\n", { reason: "timeout" }],
    ["UNKNOWN COMMAND\0", { reason: "error" }],
    ["1: Command invalid inside IDSESSION. ERROR\0", { reason: "error" }],
    ["1: stream: Can't allocate memory ERROR\0", { reason: "error" }],
    ["1: stream: FOUND\0", { reason: "error" }],
    ["1: stream: OK and more\0", { reason: "error" }],
    ["stream: OK\0", { reason: "error" }],
    ["2: stream: OK\0", { reason: "error" }],
    ["\0", { reason: "error" }],
    ["x".repeat(5_000), { reason: "error" }],
    ["", { reason: "down" }],
    ["1: stream: OK", { reason: "down" }],
    ["1: stream: Test.Eicar", { reason: "down" }],
  ])("%j", async (answer, expected) => {
    const said = await scan(await startFake(answering(answer))).catch((error: unknown) => error);
    if (said instanceof Error) expect(said).toBeInstanceOf(ScannerFailure);
    if (expected === undefined) expect(said).toBeUndefined();
    else expect(said).toMatchObject(expected as object);
  });

  test("an answer in many packets is one answer", async () => {
    const fake = await startFake({
      onStream({ socket }) {
        const octets = "1: stream: Eicar FOUND\0".split("");
        const next = (): void => {
          const octet = octets.shift();
          if (octet !== undefined) socket.write(octet, () => setImmediate(next));
        };
        next();
      },
    });
    expect(await scan(fake)).toMatchObject(infected("Eicar"));
  });

  test("clean before all was sent is not clean", async () => {
    const fake = await startFake({ onConnect: (socket) => void socket.write("1: stream: OK\0") });
    await expect(scan(fake, sampleMessage(Buffer.alloc(8 << 20, "x")))).rejects.toMatchObject({ reason: "error" });
  });
});

describe("what is sent", () => {
  const chunk = (length: number, fill: string) => Buffer.alloc(length, fill);
  test.each<[what: string, chunks: readonly Buffer[], pieces: readonly number[]]>([
    ["nothing", [], [0]],
    ["small chunks are joined", [chunk(3, "a"), chunk(0, "b"), chunk(4, "c")], [7, 0]],
    ["pieces of 64 KiB or more", [chunk(65_535, "a"), chunk(10, "b"), chunk(5, "c")], [65_545, 5, 0]],
    ["a large chunk goes as it is", [chunk(3_000_000, "a")], [3_000_000, 0]],
    ["many large ones", [chunk(500_000, "a"), chunk(500_000, "b"), chunk(7, "c")], [500_000, 500_000, 7, 0]],
    ["what looks like the end of a stream is not", [chunk(4, "\0"), chunk(70_000, "\0")], [70_004, 0]],
  ])("%s", async (_, chunks, pieces) => {
    let got: Buffer | undefined;
    const fake = await startFake({
      onStream({ octets, answer }) {
        got = octets;
        answer("stream: OK");
      },
    });
    expect(await scan(fake, sampleMessage(chunks))).toBeUndefined();
    expect(fake.commands).toEqual(["zIDSESSION", "zINSTREAM"]);
    expect(fake.pieces).toEqual(pieces);
    expect(got?.equals(Buffer.concat(chunks))).toBe(true);
  });

  test("a slow clamd holds the reading back: a spooled message is never wholly in memory", async () => {
    const release = Promise.withResolvers<void>();
    const fake = await startFake({
      onConnect(socket) {
        socket.pause();
        void release.promise.then(() => socket.resume());
      },
    });
    let read = 0;
    const piece = Buffer.alloc(64 * 1024, "x");
    const message = readingMessage(1_000 * piece.length, async function* () {
      for (; read < 1_000; read += 1) yield piece;
    });
    const answer = scan(fake, message);
    let before = -1;
    while (read !== before) {
      before = read;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(read).toBeLessThan(100);
    release.resolve();
    expect(await answer).toBeUndefined();
    expect(read).toBe(1_000);
  });

  test("a spool that cannot be read is an error, and the connection does not stay", async () => {
    const fake = await startFake();
    const message = readingMessage(10, async function* () {
      yield Buffer.from("x");
      throw new Error("EIO");
    });
    await expect(scan(fake, message)).rejects.toMatchObject({ reason: "error" });
    await expect.poll(() => fake.open).toBe(0);
  });

  test("a message above maxSize, or above what clamd takes, is not even sent", async () => {
    const fake = await startFake({ streamMaxBytes: 5_000 });
    const engine = engineOn([fake.address], { maxSize: 6_000 });
    const { signal } = new AbortController();
    const say = (size: number) => engine.scan({ message: sampleMessage("x".repeat(size)), signal });
    await expect(say(6_001)).rejects.toMatchObject({ reason: "tooLarge" });
    expect(fake.connections).toBe(0);
    await engine.daemons[0]?.measure(6_000);
    expect(engine.daemons[0]?.streamMaxBytes).toBe(5_000);
    fake.pieces.length = 0;
    await expect(say(5_001)).rejects.toMatchObject({ reason: "tooLarge" });
    expect(await say(5_000)).toBeUndefined();
    expect(fake.pieces).toEqual([5_000, 0]);
  });

  test.each([
    [50_000_000, 26_214_400],
    [50_000_000, 1_000],
    [50_000_000, 1_048_577],
    [3_000_000, 2_999_999],
    [3_000_000, undefined],
  ])("of %i bytes clamd takes %s, and is asked little for it", async (wanted, limit) => {
    const fake = await startFake({ streamMaxBytes: limit ?? 3_000_000 });
    const { daemons } = engineOn([fake.address]);
    await daemons[0]?.measure(wanted);
    expect(daemons[0]?.streamMaxBytes).toBe(limit);
    expect(fake.connections).toBeLessThan(40);
    await expect.poll(() => fake.open).toBe(0);
  });
});

describe("sessions", () => {
  test("one connection serves one scan after the other, and is closed when it was idle for long", async () => {
    const clock = createFakeClock();
    const fake = await startFake({
      onStream: ({ answer, number }) => answer(`stream: ${number === 3 ? "X FOUND" : "OK"}`),
    });
    const engine = engineOn([fake.address], { clock });
    const { signal } = new AbortController();
    const said: ScanAnswer[] = [];
    for (let at = 0; at < 4; at += 1) said.push(await engine.scan({ message: sampleMessage(), signal }));
    expect(said).toEqual([undefined, undefined, expect.objectContaining({ kind: "reject" }), undefined]);
    expect([fake.connections, fake.open]).toEqual([1, 1]);
    await clock.run(8_001);
    await expect.poll(() => fake.open).toBe(0);
    expect(await engine.scan({ message: sampleMessage(), signal })).toBeUndefined();
    expect(fake.connections).toBe(2);
    for (const daemon of engine.daemons) daemon.close();
    await expect.poll(() => fake.open).toBe(0);
  });

  test.each<[what: string, end: (socket: Socket) => unknown]>([
    ["closed", (socket) => socket.end()],
    ["reset", (socket) => socket.destroy()],
    ["timed out", (socket) => socket.end("COMMAND READ TIMED OUT\n")],
  ])("one that clamd has %s just now costs a message nothing", async (_, end) => {
    const fake = await startFake({
      onStream({ answer, socket, number }) {
        if (number === 1) answer("stream: OK");
        else end(socket);
      },
    });
    const engine = engineOn([fake.address]);
    const { signal } = new AbortController();
    for (let at = 0; at < 3; at += 1) expect(await engine.scan({ message: sampleMessage(), signal })).toBeUndefined();
    expect(engine.daemons[0]?.healthy).toBe(true);
  });

  test("two answers to one command: the second is nobody's, and the connection is not used again", async () => {
    const fake = await startFake({
      onStream: ({ socket }) => void socket.write("1: stream: OK\u00002: stream: OK\0"),
    });
    const engine = engineOn([fake.address]);
    const { signal } = new AbortController();
    for (let at = 0; at < 2; at += 1) expect(await engine.scan({ message: sampleMessage(), signal })).toBeUndefined();
    expect(fake.connections).toBe(2);
  });

  test("an answer that comes while nothing is asked is not the next message's", async () => {
    const sockets: Socket[] = [];
    const fake = await startFake({
      onStream({ socket, answer, octets }) {
        sockets.push(socket);
        answer(octets.includes("virus") ? "stream: V FOUND" : "stream: OK");
      },
    });
    const engine = engineOn([fake.address]);
    const { signal } = new AbortController();
    expect(await engine.scan({ message: sampleMessage(), signal })).toBeUndefined();
    sockets[0]?.write("2: stream: OK\0");
    await expect.poll(() => fake.open).toBe(0);
    expect(await engine.scan({ message: sampleMessage("virus"), signal })).toMatchObject(infected("V"));
  });
});

describe("clamd lost", () => {
  test("nobody listens", async () => {
    const { scan: ask } = engineOn([{ path: "/nonexistent/clamd.sock" }]);
    const question = { message: sampleMessage(), signal: new AbortController().signal };
    await expect(ask(question)).rejects.toMatchObject({ reason: "down" });
  });

  test.each<[what: string, options: FakeOptions]>([
    ["closes at once", { onConnect: (socket) => socket.end() }],
    ["resets at once", { onConnect: (socket) => socket.destroy() }],
    ["dies in the middle of a stream", { onConnect: (socket) => socket.once("data", () => socket.destroy()) }],
    ["dies after the stream", { onStream: ({ socket }) => socket.destroy() }],
  ])("%s", async (_, options) => {
    const fake = await startFake(options);
    await expect(scan(fake, sampleMessage(Buffer.alloc(4 << 20, "x")))).rejects.toMatchObject({ reason: "down" });
    await expect.poll(() => fake.open).toBe(0);
  });

  test("why it stopped listening is heard although writing fails", async () => {
    const closed = Promise.withResolvers<void>();
    const fake = await startFake({
      onConnect(socket) {
        socket.on("close", () => closed.resolve());
        socket.once("data", () => {
          socket.write("1: INSTREAM size limit exceeded. ERROR\0");
          socket.destroySoon();
        });
      },
    });
    const message = readingMessage(1, async function* () {
      yield Buffer.alloc(64 * 1024, "x");
      await closed.promise;
      // Written in the turn of the loop that closed it, before the answer can be read.
      for (;;) yield Buffer.alloc(64 * 1024, "x");
    });
    await expect(scan(fake, message)).rejects.toMatchObject({ reason: "tooLarge" });
  });

  test("broken without a word, it is down", async () => {
    const fake = await startFake({ onConnect: (socket) => socket.once("data", () => socket.destroy()) });
    const message = readingMessage(1, async function* () {
      for (;;) yield Buffer.alloc(64 * 1024, "x");
    });
    await expect(scan(fake, message)).rejects.toMatchObject({ reason: "down" });
  });

  test("a scan that is called off lets go of the connection at once", async () => {
    const fake = await startFake({ onStream: () => undefined });
    const client = new AbortController();
    const engine = engineOn([fake.address], { connections: 1 });
    const answer = engine.scan({ message: sampleMessage(), signal: client.signal });
    await expect.poll(() => fake.pieces.length).toBe(2);
    client.abort();
    await expect(answer).rejects.toMatchObject({ reason: "timeout" });
    await expect.poll(() => fake.open).toBe(0);
    expect(engine.daemons[0]?.free).toBe(1);
    await expect(engine.scan({ message: sampleMessage(), signal: client.signal })).rejects.toMatchObject({
      reason: "timeout",
    });
  });
});

describe("what is found becomes", () => {
  const name = "Heuristics.Phishing.Email";
  const found = (options: EngineOptions) =>
    startFake({ onStream: ({ answer }) => answer(`stream: ${name} FOUND`) }).then((fake) =>
      scan(fake, undefined, options),
    );
  const text = `infected: ${name}`;
  test.each<[what: string, options: EngineOptions, expected: unknown]>([
    ["refused", {}, infected(name)],
    ["deferred", { onInfected: "defer" }, { kind: "defer", reply: { code: 450, enhanced: "4.7.1", text } }],
    ["dropped, and says why", { onInfected: "discard" }, { kind: "discard", text }],
    ["put into the quarantine", { onInfected: "quarantine" }, { kind: "quarantine", text }],
    ["a header field", { onInfected: "tag" }, { kind: "prepend", name: "X-Virus-Found", value: name }],
    [
      "a header field by pattern",
      { signatures: { "heuristics.*": "tag" }, tagHeader: "X-V" },
      { kind: "prepend", name: "X-V", value: name },
    ],
    [
      "nothing but a line in the log",
      { signatures: { "*.Phishing.*": "ignore" } },
      { kind: "log", text: `ignored: ${name}` },
    ],
    [
      "what the first pattern says",
      { signatures: { "Heuristics.Phishing.?mail": "discard", "*": "tag" } },
      { kind: "discard", text },
    ],
    [
      "not what a part of the name would be",
      { signatures: { Heuristics: "ignore", "Phishing.*": "ignore" } },
      infected(name),
    ],
  ])("%s", async (_, options, expected) => {
    expect(await found(options)).toMatchObject(expected as object);
  });

  test("a reason, which onError answers", async () => {
    await expect(found({ signatures: { "Heuristics.Phishing.*": "unscannable" } })).rejects.toMatchObject({
      reason: "unscannable",
    });
  });

  test("the operator's patterns come before what clamd's own alerts mean", async () => {
    const fake = await startFake({ onStream: ({ answer }) => answer("stream: Heuristics.Encrypted.PDF FOUND") });
    expect(await scan(fake, undefined, { signatures: { "Heuristics.Encrypted.*": "reject" } })).toMatchObject(
      infected("Heuristics.Encrypted.PDF"),
    );
  });

  test("`header` says who has scanned, once clamd has said its version", async () => {
    const fake = await startFake();
    const engine = engineOn([fake.address], { header: true });
    const question = { message: sampleMessage(), signal: new AbortController().signal };
    const field = (value: string) => ({ kind: "prepend", name: "X-Virus-Scanned", value });
    expect(await engine.scan(question)).toEqual(field("ClamAV at mx.example.test"));
    await engine.daemons[0]?.ask();
    expect(await engine.scan(question)).toEqual(
      field("ClamAV 1.4.6/27400/Mon Jul  7 08:30:00 2025 at mx.example.test"),
    );
  });

  test("version and limit are asked anew now and then, and after clamd was away", async () => {
    const clock = createFakeClock();
    const limits = { streamMaxBytes: 1_000 };
    let away = false;
    const fake = await startFake({
      onConnect: (socket) => away && socket.end(),
      get streamMaxBytes() {
        return limits.streamMaxBytes;
      },
    });
    const engine = engineOn([fake.address], { clock });
    const [daemon] = engine.daemons;
    const question = { message: sampleMessage(), signal: new AbortController().signal };
    const asked = () => fake.commands.filter((command) => command === "zVERSION").length;
    const goOn = async () => {
      await clock.run(100);
      return daemon?.streamMaxBytes;
    };
    await daemon?.ask();
    void daemon?.measure(1_500);
    await expect.poll(goOn).toBe(1_000);
    await engine.scan(question);
    expect(asked()).toBe(1);
    limits.streamMaxBytes = 2_000;
    await clock.run(11 * 60_000);
    await engine.scan(question);
    await expect.poll(asked).toBe(2);
    await expect.poll(goOn).toBeUndefined();
    away = true;
    await clock.run(10_000); // no session waits any more
    await expect(engine.scan(question)).rejects.toMatchObject({ reason: "down" });
    expect(await daemon?.ask()).toBe(false);
    away = false;
    await engine.scan(question);
    await expect.poll(asked).toBe(3);
  });

  test("when it is time it is asked once, however many scans end meanwhile", async () => {
    const clock = createFakeClock();
    const limits = { streamMaxBytes: 1_000 };
    const fake = await startFake({
      get streamMaxBytes() {
        return limits.streamMaxBytes;
      },
    });
    const engine = engineOn([fake.address], { clock });
    const [daemon] = engine.daemons;
    const measured = daemon?.measure(1_500);
    const goOn = () => clock.run(100).then(() => daemon?.streamMaxBytes);
    await expect.poll(goOn).toBe(1_000);
    await measured;
    await daemon?.ask();
    const once = fake.connections;
    limits.streamMaxBytes = 800;
    await clock.run(11 * 60_000);
    const question = { message: sampleMessage(), signal: new AbortController().signal };
    await Promise.all(Array.from({ length: 20 }, () => engine.scan(question)));
    await expect.poll(goOn).toBe(800);
    expect(fake.connections).toBeLessThanOrEqual(2 * once + 20);
  });
});

describe("scans at once", () => {
  test("no more than `connections`; the rest wait their turn", async () => {
    // Three are held until nothing more comes; a fourth would be seen.
    const held: (() => void)[] = [];
    let most = 0;
    const fake = await startFake({
      onStream({ answer }) {
        most = Math.max(
          most,
          held.push(() => answer("stream: OK")),
        );
        if (held.length !== 3) return;
        setTimeout(() => {
          for (const release of held.splice(0)) release();
        }, 5);
      },
    });
    const engine = engineOn([fake.address], { connections: 3 });
    const { signal } = new AbortController();
    const answers = await Promise.all(
      Array.from({ length: 21 }, () => engine.scan({ message: sampleMessage(), signal })),
    );
    expect(answers).toEqual(Array(21).fill(undefined));
    expect(most).toBe(3);
    expect(fake.pieces).toHaveLength(42);
    expect(fake.connections).toBe(3);
  });

  test("called off in the moment that it gets its slot, it does not hold it", async () => {
    const fake = await startFake({ onStream: () => undefined });
    const [daemon] = engineOn([fake.address], { connections: 1 }).daemons;
    // Between a slot that is let go and the scan that gets it lie a few turns of promises, in which others may call it off.
    for (let turns = 0; turns < 12; turns += 1) {
      const [one, two] = [new AbortController(), new AbortController()];
      const ended = Promise.allSettled([one, two].map(async ({ signal }) => daemon?.scan(sampleMessage().raw, signal)));
      one.abort();
      for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
      two.abort();
      expect((await ended).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
      expect(daemon?.free).toBe(1);
    }
    await expect.poll(() => fake.open).toBe(0);
  });

  test("the end ends the questions for the limit too", async () => {
    const clock = createFakeClock();
    const fake = await startFake({ streamMaxBytes: 1_000 });
    const [daemon] = engineOn([fake.address], { clock }).daemons;
    const measured = daemon?.measure(50_000_000).catch((error: unknown) => error);
    await expect.poll(() => clock.run(10).then(() => fake.connections)).toBeGreaterThan(3);
    daemon?.close();
    const asked = fake.connections;
    await expect.poll(() => clock.run(10).then(() => fake.open)).toBe(0);
    expect(await measured).toMatchObject({ reason: "down" });
    expect(fake.connections).toBeLessThanOrEqual(asked + 1);
    expect(clock.pending).toBe(0);
  });

  test("after the end nothing is connected any more, and nothing is clean", async () => {
    const fake = await startFake({ onStream: ({ answer, number }) => number === 1 && answer("stream: OK") });
    const engine = engineOn([fake.address]);
    const question = { message: sampleMessage(), signal: new AbortController().signal };
    await engine.scan(question);
    const said = engine.scan(question).catch((error: unknown) => error);
    await expect.poll(() => fake.commands.filter((command) => command === "zINSTREAM").length).toBe(2);
    for (const daemon of engine.daemons) daemon.close();
    expect(await said).toMatchObject({ reason: "down" });
    await expect(engine.scan(question)).rejects.toMatchObject({ reason: "down" });
    expect(await engine.daemons[0]?.ask()).toBe(false);
    expect(fake.connections).toBe(1);
  });
});
