// The engine against a scripted clamd on a real socket: every answer of clamd 1.4 and every way to lose it.
import { once } from "node:events";
import { rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ScannerFailure, systemClock, type Answer, type Blob, type Message } from "@postern/core";
import { sampleMessage } from "@postern/testkit";
import { afterEach, describe, expect, test } from "vitest";
import { parseAddress } from "./address.ts";
import { createClamd } from "./clamd.ts";
import { options } from "./options.ts";
import { createSlots } from "./slots.ts";

/** What the fake does with a connection once the stream is complete; `command` and `octets` are what it got. */
type Script = (socket: Socket, octets: Buffer, command: string) => void;

interface FakeClamd {
  readonly address: { readonly path: string };
  /** Lengths of the stream's pieces. */
  readonly pieces: number[];
  open: number;
}

const cleanUp: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const call of cleanUp.splice(0)) await call();
});

let count = 0;
/** `onConnect` may end the conversation before the stream is read. */
async function startFake(
  onStream: Script,
  onConnect: (socket: Socket) => unknown = () => undefined,
): Promise<FakeClamd> {
  const path = join(tmpdir(), `clamd-${process.pid}-${(count += 1)}.sock`);
  const fake: FakeClamd = { address: { path }, pieces: [], open: 0 };
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    fake.open += 1;
    socket.on("close", () => (fake.open -= 1));
    socket.on("error", () => undefined);
    onConnect(socket);
    let got = Buffer.alloc(0);
    let command: string | undefined;
    const octets: Buffer[] = [];
    socket.on("data", (data) => {
      got = Buffer.concat([got, data]);
      if (command === undefined) {
        const end = got.indexOf(0);
        if (end < 0) return;
        command = got.toString("latin1", 0, end);
        got = got.subarray(end + 1);
      }
      while (got.length >= 4 && got.length >= 4 + got.readUInt32BE()) {
        const length = got.readUInt32BE();
        fake.pieces.push(length);
        if (length === 0) return onStream(socket, Buffer.concat(octets), command);
        octets.push(got.subarray(4, 4 + length));
        got = got.subarray(4 + length);
      }
    });
  }).listen(path);
  await once(server, "listening");
  cleanUp.push(() => {
    for (const socket of sockets) socket.destroy();
    rmSync(path, { force: true });
    return new Promise((resolve) => server.close(() => resolve()));
  });
  return fake;
}

const answering =
  (answer: string): Script =>
  (socket) =>
    socket.end(answer);
const settings = { onInfected: "reject", maxSize: undefined, connections: 20 } as const;

function scan(
  address: FakeClamd["address"],
  message: Message = sampleMessage(),
  more: Partial<Parameters<typeof createClamd>[1]> = {},
  signal = new AbortController().signal,
): Promise<Answer> {
  return createClamd(address, { ...settings, ...more }, systemClock)({ message, signal });
}

describe("clamd's answers", () => {
  const infected = (name: string) => ({
    kind: "reject",
    reply: { code: 550, enhanced: "5.7.1", text: `infected: ${name}` },
  });
  test.each<[answer: string, expected: unknown]>([
    ["stream: OK\0", undefined],
    ["stream: OK\n", undefined],
    ["stream: Test.Eicar.Body.UNOFFICIAL FOUND\0", infected("Test.Eicar.Body.UNOFFICIAL")],
    ["stream: YARA.Test_Yara.UNOFFICIAL FOUND\0", infected("YARA.Test_Yara.UNOFFICIAL")],
    ["stream: A\r\n250 ok FOUND\0", { reason: "error" }],
    ["stream: Räuber\u0001 X FOUND\0", infected("R?uber?X")],
    [`stream: ${"x".repeat(300)} FOUND\0`, infected("x".repeat(128))],
    ["INSTREAM size limit exceeded. ERROR\0", { reason: "tooLarge" }],
    ["INSTREAM size limit exceeded. ERROR\n", { reason: "tooLarge" }],
    ["COMMAND READ TIMED OUT\n", { reason: "timeout" }],
    ["UNKNOWN COMMAND\0", { reason: "error" }],
    ["stream: Can't allocate memory ERROR\0", { reason: "error" }],
    ["stream: FOUND\0", { reason: "error" }],
    ["stream: OK and more\0", { reason: "error" }],
    ["1: stream: OK\0", { reason: "error" }],
    ["\0", { reason: "error" }],
    ["x".repeat(5_000), { reason: "error" }],
    ["", { reason: "down" }],
    ["stream: OK", { reason: "down" }],
    ["stream: Test.Eicar", { reason: "down" }],
  ])("%j", async (answer, expected) => {
    const { address } = await startFake(answering(answer));
    const said = await scan(address).catch((error: unknown) => error);
    if (said instanceof Error) expect(said).toBeInstanceOf(ScannerFailure);
    if (expected === undefined) expect(said).toBeUndefined();
    else expect(said).toMatchObject(expected as object);
  });

  test("an answer in many packets is one answer", async () => {
    const { address } = await startFake((socket) => {
      const octets = "stream: Eicar FOUND\0".split("");
      const next = (): void => {
        const octet = octets.shift();
        if (octet !== undefined) socket.write(octet, () => setImmediate(next));
      };
      next();
    });
    expect(await scan(address)).toMatchObject(infected("Eicar"));
  });

  test("discard is an effect that says why", async () => {
    const { address } = await startFake(answering("stream: Eicar FOUND\0"));
    expect(await scan(address, undefined, { onInfected: "discard" })).toEqual({
      kind: "discard",
      text: "infected: Eicar",
    });
  });

  test("clean before all was sent is not clean", async () => {
    const { address } = await startFake(answering("stream: OK\0"), (socket) => void socket.write("stream: OK\0"));
    await expect(scan(address, sampleMessage(Buffer.alloc(8 << 20, "x")))).rejects.toMatchObject({ reason: "error" });
  });
});

describe("what is sent", () => {
  const chunk = (length: number, fill: string) => Buffer.alloc(length, fill);
  test.each<[what: string, chunks: readonly Buffer[], pieces: readonly number[]]>([
    ["nothing", [], [0]],
    ["small chunks are joined", [chunk(3, "a"), chunk(0, "b"), chunk(4, "c")], [7, 0]],
    ["pieces of 64 KiB or more", [chunk(65_535, "a"), chunk(10, "b"), chunk(5, "c")], [65_545, 5, 0]],
    ["a large chunk goes as it is", [chunk(3_000_000, "a")], [3_000_000, 0]],
    ["what looks like the end of a stream is not", [chunk(4, "\0"), chunk(70_000, "\0")], [70_004, 0]],
  ])("%s", async (_, chunks, pieces) => {
    let got: Buffer | undefined;
    const fake = await startFake((socket, octets, command) => {
      expect(command).toBe("zINSTREAM");
      got = octets;
      socket.end("stream: OK\0");
    });
    expect(await scan(fake.address, sampleMessage(chunks))).toBeUndefined();
    expect(fake.pieces).toEqual(pieces);
    expect(got?.equals(Buffer.concat(chunks))).toBe(true);
  });

  test("a slow clamd holds the reading back: a spooled message is never wholly in memory", async () => {
    const release = Promise.withResolvers<void>();
    const { address } = await startFake(answering("stream: OK\0"), (socket) => {
      socket.pause();
      void release.promise.then(() => socket.resume());
    });
    let read = 0;
    const piece = Buffer.alloc(64 * 1024, "x");
    const raw: Pick<Blob, "sizeBytes" | "chunks" | "read"> = {
      sizeBytes: 1_000 * piece.length,
      chunks: undefined,
      async *read() {
        for (; read < 1_000; read += 1) yield piece;
      },
    };
    const answer = scan(address, { raw, sizeBytes: raw.sizeBytes } as Message);
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
    const fake = await startFake(answering("stream: OK\0"));
    const raw = {
      sizeBytes: 10,
      chunks: undefined,
      async *read() {
        yield Buffer.from("x");
        throw new Error("EIO");
      },
    };
    await expect(scan(fake.address, { raw, sizeBytes: 10 } as unknown as Message)).rejects.toMatchObject({
      reason: "error",
    });
    await expect.poll(() => fake.open).toBe(0);
  });
});

describe("clamd lost", () => {
  test("nobody listens", async () => {
    await expect(scan({ path: "/nonexistent/clamd.sock" })).rejects.toMatchObject({ reason: "down" });
  });

  test.each<[what: string, onStream: Script, onConnect: ((socket: Socket) => void) | undefined]>([
    ["closes at once", answering(""), (socket) => socket.end()],
    ["resets at once", answering(""), (socket) => socket.destroy()],
    ["dies in the middle of a stream", answering(""), (socket) => socket.once("data", () => socket.destroy())],
    ["dies after the stream", (socket) => socket.destroy(), undefined],
  ])("%s", async (_, onStream, onConnect) => {
    const fake = await startFake(onStream, onConnect);
    await expect(scan(fake.address, sampleMessage(Buffer.alloc(4 << 20, "x")))).rejects.toMatchObject({
      reason: "down",
    });
  });

  test("why it stopped listening is heard although writing fails", async () => {
    const closed = Promise.withResolvers<void>();
    const { address } = await startFake(answering(""), (socket) => {
      socket.on("close", () => closed.resolve());
      socket.once("data", () => {
        socket.write("INSTREAM size limit exceeded. ERROR\0");
        socket.destroySoon();
      });
    });
    const raw = {
      sizeBytes: 1,
      chunks: undefined,
      async *read() {
        yield Buffer.alloc(64 * 1024, "x");
        await closed.promise;
        // Written in the turn of the loop that closed it, before the answer can be read.
        for (;;) yield Buffer.alloc(64 * 1024, "x");
      },
    };
    await expect(scan(address, { raw, sizeBytes: 1 } as unknown as Message)).rejects.toMatchObject({
      reason: "tooLarge",
    });
  });

  test("broken without a word, it is down", async () => {
    const { address } = await startFake(answering(""), (socket) => socket.once("data", () => socket.destroy()));
    const raw = {
      sizeBytes: 1,
      chunks: undefined,
      async *read() {
        for (;;) yield Buffer.alloc(64 * 1024, "x");
      },
    };
    await expect(scan(address, { raw, sizeBytes: 1 } as unknown as Message)).rejects.toMatchObject({ reason: "down" });
  });

  test("a scan that is called off lets go of the connection", async () => {
    const fake = await startFake(() => undefined);
    const client = new AbortController();
    const answer = scan(fake.address, undefined, {}, client.signal);
    await expect.poll(() => fake.pieces.length).toBe(2);
    client.abort();
    await expect(answer).rejects.toMatchObject({ reason: "timeout" });
    await expect.poll(() => fake.open).toBe(0);
    await expect(scan(fake.address, undefined, {}, client.signal)).rejects.toMatchObject({ reason: "timeout" });
  });

  test("a message above maxSize is not even sent", async () => {
    const fake = await startFake(answering("stream: OK\0"));
    await expect(scan(fake.address, sampleMessage("x".repeat(2_000)), { maxSize: 1_999 })).rejects.toMatchObject({
      reason: "tooLarge",
    });
    expect(await scan(fake.address, sampleMessage("x".repeat(1_999)), { maxSize: 1_999 })).toBeUndefined();
    expect(fake.pieces).toEqual([1_999, 0]);
  });
});

describe("scans at once", () => {
  test("no more than `connections`; the rest wait their turn", async () => {
    // Three are held until nothing more comes; a fourth would be seen.
    const held: Socket[] = [];
    let most = 0;
    const fake = await startFake((socket) => {
      most = Math.max(most, held.push(socket));
      if (held.length !== 3) return;
      setTimeout(() => {
        for (const waiting of held.splice(0)) waiting.end("stream: OK\0");
      }, 5);
    });
    const engine = createClamd(fake.address, { ...settings, connections: 3 }, systemClock);
    const { signal } = new AbortController();
    const answers = await Promise.all(Array.from({ length: 21 }, () => engine({ message: sampleMessage(), signal })));
    expect(answers).toEqual(Array(21).fill(undefined));
    expect(most).toBe(3);
    expect(fake.pieces).toHaveLength(42);
  });

  test("one that is called off leaves the line; one that fails gives its slot on; the line is bounded", async () => {
    const slots = createSlots(1);
    const { signal } = new AbortController();
    const first = Promise.withResolvers<string>();
    const [client, ran] = [new AbortController(), [] as number[]];
    const one = slots.run(signal, () => first.promise);
    const two = slots.run(client.signal, async () => ran.push(2));
    const three = slots.run(signal, async () => ran.push(3));
    client.abort();
    await expect(two).rejects.toMatchObject({ reason: "timeout" });
    await expect(slots.run(client.signal, async () => 0)).rejects.toMatchObject({ reason: "timeout" });
    const line = Array.from({ length: 999 }, () => slots.run(signal, async () => undefined));
    await expect(slots.run(signal, async () => 0)).rejects.toMatchObject({ reason: "down" });
    first.reject(new Error("x"));
    await expect(one).rejects.toThrow("x");
    await three;
    await Promise.all(line);
    expect(ran).toEqual([3]);
    expect(await slots.run(signal, async () => "free again")).toBe("free again");
  });
});

describe("options", () => {
  test.each([
    ["unix:/run/clamav/clamd.ctl", { path: "/run/clamav/clamd.ctl" }],
    ["unix:run/clamd.ctl", { path: "/etc/postern/run/clamd.ctl" }],
    ["127.0.0.1:3310", { host: "127.0.0.1", port: 3310 }],
    ["av.example.test:3310", { host: "av.example.test", port: 3310 }],
    ["[::1]:3310", { host: "::1", port: 3310 }],
    ["unix:", undefined],
    ["/run/clamav/clamd.ctl", undefined],
    ["127.0.0.1", undefined],
    ["127.0.0.1:0", undefined],
    ["127.0.0.1:70000", undefined],
    ["::1:3310", undefined],
  ])("address %s", (text, expected) => {
    expect(parseAddress(text, "/etc/postern")).toEqual(expected);
  });

  test("defaults", () => {
    expect(options.parse({ address: "unix:/x" })).toEqual({
      address: "unix:/x",
      onInfected: "reject",
      connections: 20,
    });
  });

  test.each([
    [
      "quarantine, since nothing keeps it yet",
      { address: "unix:/x", onInfected: "quarantine" },
      /"quarantine" is not possible yet/,
    ],
    ["another word", { address: "unix:/x", onInfected: "bounce" }, /"reject"\|"discard"/],
    ["no address", {}, /address/],
    ["a wrong address", { address: "clamd" }, /unix:\/run\/clamav/],
    ["an unknown key", { address: "unix:/x", adress: 1 }, /adress/],
  ])("%s is refused", (_, given, message) => {
    const { error } = options.safeParse(given);
    expect(error?.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join()).toMatch(message);
  });
});
