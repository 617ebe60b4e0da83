// Every way in which rspamd can give no verdict, by a scripted server on a real socket: none of them is a verdict.
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { createMemoryBlob, createMessage, PosternError, type Blob, type Message, type ScanAnswer } from "@postern/core";
import {
  createFakeClock,
  openPlugin,
  sampleMessage,
  sampleRecipient,
  sampleScanAsk,
  sampleTransaction,
} from "@postern/testkit";
import { afterEach, describe, expect, test } from "vitest";
import { parseAddress } from "./address.ts";
import rspamd from "./index.ts";

/** The servers hear nothing but messages. */
const quiet = { dry: true };
const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const call of cleanUp.splice(0).toReversed()) await call();
});

interface Fake {
  readonly address: string;
  readonly open: Set<Socket>;
  /** Requests that came whole. */
  requests: number;
}

/** Calls `script` with a connection when a whole request has come over it; `onConnect` when it is there. */
async function startFake(
  script: (socket: Socket, request: number) => void,
  onConnect: (socket: Socket) => unknown = () => undefined,
): Promise<Fake> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    socket.on("error", () => undefined);
    onConnect(socket);
    let head = "";
    let missing = 0;
    socket.on("data", (data) => {
      let rest = data.toString("latin1");
      while (rest !== "") {
        if (missing === 0) {
          head += rest;
          const end = head.indexOf("\r\n\r\n") + 4;
          if (end < 4) return;
          missing = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
          rest = head.slice(end);
          head = "";
          if (missing === 0) {
            script(socket, fake.requests);
            return;
          }
        }
        const taken = Math.min(missing, rest.length);
        missing -= taken;
        rest = rest.slice(taken);
        if (missing > 0) return;
        fake.requests += 1;
        script(socket, fake.requests);
      }
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const fake: Fake = { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, open, requests: 0 };
  cleanUp.push(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return fake;
}

const json = '{"action":"add header"}';
const http = (body: string, status = "200 OK", more = ""): string =>
  `HTTP/1.1 ${status}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${more}\r\n${body}`;
const good = http(json, "200 OK", "Connection: close\r\n");
const saying = (answer: string) => (socket: Socket) => void socket.end(answer, "latin1");

/** What the plugin's scanner says; its `ScannerFailure` in place of a rejection. */
async function scan(
  address: string | readonly string[],
  {
    message = sampleMessage(),
    signal = new AbortController().signal,
    plugin = openPlugin(rspamd, { address, onError: "defer" }, quiet),
    maxBody = Infinity,
    recipients = ["user@example.test"],
  }: {
    message?: Message;
    signal?: AbortSignal;
    plugin?: ReturnType<typeof openPlugin>;
    maxBody?: number;
    recipients?: readonly string[];
  } = {},
): Promise<ScanAnswer | Error> {
  const opened = await plugin;
  cleanUp.push(() => opened.close());
  const transaction = sampleTransaction({ recipients: recipients.map((each) => sampleRecipient(each)) });
  try {
    return await opened.scanners[0]?.scanner.scan(sampleScanAsk({ transaction, message, signal, spoolBytes: maxBody }));
  } catch (error) {
    return error as Error;
  }
}

const tagged = [{ kind: "edit", edit: { kind: "appendHeader", name: "X-Spam", value: Buffer.from("Yes") } }];

describe("no verdict", () => {
  test.each<[what: string, answer: string, reason: string]>([
    ["nothing at all", "", "down"],
    ["half a status line", "HTTP/1.1 2", "down"],
    ["headers alone", "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n", "down"],
    ["closed in the middle", http(json).slice(0, -3), "down"],
    ["a chunk too few", `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n17\r\n${json}\r\n`, "down"],
    ["a proxy without rspamd", http("Bad Gateway", "502 Bad Gateway"), "down"],
    ["about to go", http("", "503 Service Unavailable"), "down"],
    ["no HTTP", "SPAMD/1.1 0 EX_OK\r\n\r\n", "error"],
    ["a wrong chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "error"],
    ["two lengths", `HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n${json}`, "error"],
    ["an empty answer", http(""), "error"],
    ["no content", "HTTP/1.1 204 No Content\r\n\r\n", "error"],
    ["no JSON", http("pong\r\n"), "error"],
    ["JSON cut short by its length", http(json.slice(0, -1)), "error"],
    ["a list", http("[]"), "error"],
    ["null", http("null"), "error"],
    ["no action", http('{"score":1}'), "error"],
    ["a number for an action", http('{"action":0}'), "error"],
    ["an action and an error", http('{"action":"no action","error":"timeout"}'), "error"],
    ["a wrong position", http('{"action":"no action","milter":{"remove_headers":{"X":"all"}}}'), "error"],
    ["a field without a value", http('{"action":"no action","milter":{"add_headers":{"X":{"order":1}}}}'), "error"],
    ["a wrong command", http('{"error":"invalid command"}', "500 invalid command"), "error"],
    ["a wrong password", http('{"error":"Unauthorized"}', "401 Unauthorized"), "error"],
    ["too large for it", http("", "413 Request entity too large"), "tooLarge"],
    ["a body that is not there", http(json, "200 OK", `Message-Offset: ${json.length}\r\n`), "error"],
    ["a body at no place", http(`${json}body`, "200 OK", "Message-Offset: -1\r\n"), "error"],
    ["a body in the middle of the JSON", http(`${json}body`, "200 OK", "Message-Offset: 5\r\n"), "error"],
    ["too long an answer", http(`{"action":"no action","x":"${"x".repeat(5 << 20)}"}`), "error"],
    ["packed", http("\u001f\b", "200 OK", "Content-Encoding: gzip\r\n"), "error"],
  ])("%s", async (_, answer, reason) => {
    const fake = await startFake(saying(answer));
    expect(await scan(fake.address)).toMatchObject({ name: "ScannerFailure", reason });
    await expect.poll(() => fake.open.size, { interval: 2 }).toBe(0);
  });

  test("a redirect is not followed", async () => {
    const other = await startFake(saying(good));
    for (const status of ["301 Moved", "307 Temporary Redirect"]) {
      const fake = await startFake(saying(http("", status, `Location: ${other.address}/checkv2\r\n`)));
      expect(await scan(fake.address)).toMatchObject({ reason: "error" });
    }
    expect(other.requests).toBe(0);
  });

  test("a verdict before it had the whole message", async () => {
    const fake = await startFake(
      () => undefined,
      (socket) => socket.write(good),
    );
    const message = sampleMessage(Buffer.alloc(8 << 20, "x"));
    expect(await scan(fake.address, { message })).toMatchObject({ reason: "error" });
  });

  test("a new body that is larger than a message may be", async () => {
    const fake = await startFake(
      saying(http(`${json}${"x".repeat(2_000)}`, "200 OK", `Message-Offset: ${json.length}\r\n`)),
    );
    expect(await scan(fake.address, { maxBody: 1_999 })).toMatchObject({ reason: "tooLarge" });
    expect(await scan(fake.address, { maxBody: 2_000 })).toMatchObject([
      { edit: { kind: "replaceBody", body: { sizeBytes: 2_000 } } },
      ...tagged,
    ]);
  });

  test("a message above maxSize is not even sent", async () => {
    const fake = await startFake(saying(good));
    const plugin = () => openPlugin(rspamd, { address: fake.address, onError: "defer", maxSize: "1KB" }, quiet);
    const sized = (octets: number) => ({ message: sampleMessage(Buffer.alloc(octets, "x")), plugin: plugin() });
    expect(await scan("", sized(1_025))).toMatchObject({ reason: "tooLarge" });
    expect(fake.requests).toBe(0);
    expect(await scan("", sized(1_024))).toMatchObject(tagged);
  });

  test("broken off within a message: too large for a server that lives, down without one", async () => {
    const message = sampleMessage(Buffer.alloc(8 << 20, "x"));
    const alive = await startFake(
      (socket) => socket.end(http("pong\r\n")),
      (socket) => socket.once("data", (data) => data.includes("POST") && socket.destroy()),
    );
    expect(await scan(alive.address, { message })).toMatchObject({ reason: "tooLarge" });
    // It would take the length: something else has ended it.
    let connections = 0;
    const dying = await startFake(
      (socket) => socket.end(http("pong\r\n")),
      (socket) => {
        let bytes = 0;
        connections += 1;
        socket.on("data", ({ length }) => (bytes += length) > 1 << 20 && socket.destroy());
      },
    );
    const clock = createFakeClock();
    const end = scan("", {
      message,
      plugin: openPlugin(rspamd, { address: dying.address, onError: "defer" }, { ...quiet, clock }),
    });
    await expect.poll(() => connections).toBe(2);
    await clock.run(1_000);
    expect(await end).toMatchObject({ reason: "down" });
    await expect.poll(() => dying.open.size).toBe(0);
    const confused = await startFake(
      (socket) => socket.end(http("", "404 Not Found")),
      (socket) => socket.once("data", (data) => data.includes("POST") && socket.destroy()),
    );
    expect(await scan(confused.address, { message })).toMatchObject({ reason: "down" });
    const dead = await startFake(
      () => undefined,
      (socket) => socket.once("data", () => socket.destroy()),
    );
    expect(await scan(dead.address, { message })).toMatchObject({ reason: "down" });
  });

  test("a message that cannot be read, or is not as long as it says", async () => {
    const fake = await startFake(saying(good));
    for (const pieces of [["x"], ["xx", "xx"]]) {
      const message = messageOf(3, async function* () {
        for (const piece of pieces) yield Buffer.from(piece);
        if (pieces.length === 1) throw new Error("EIO");
      });
      expect(await scan(fake.address, { message })).toMatchObject({ reason: "error" });
    }
    await expect.poll(() => fake.open.size).toBe(0);
  });
});

/** A message that is not in memory. */
function messageOf(sizeBytes: number, read: () => AsyncIterable<Buffer>): Message {
  const raw: Pick<Blob, "sizeBytes" | "chunks" | "read"> = { sizeBytes, chunks: undefined, read };
  return { ...createMessage(createMemoryBlob([])), headers: sampleMessage("").headers, raw: raw as Blob, sizeBytes };
}

describe("verdicts all the same", () => {
  test.each([
    [
      "in chunks",
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\n${json.slice(0, 5)}\r\n12\r\n${json.slice(5)}\r\n0\r\n\r\n`,
    ],
    ["until the end of the connection", `HTTP/1.0 200 OK\r\n\r\n${json}`],
    ["after a word that it goes on", `HTTP/1.1 100 Continue\r\n\r\n${good}`],
  ])("%s", async (_, answer) => {
    expect(await scan((await startFake(saying(answer))).address)).toMatchObject(tagged);
  });

  test("octet by octet", async () => {
    const fake = await startFake((socket) => {
      const octets = good.split("");
      const next = (): void => {
        const octet = octets.shift();
        if (octet === undefined) socket.end();
        else socket.write(octet, () => setImmediate(next));
      };
      next();
    });
    expect(await scan(fake.address)).toMatchObject(tagged);
  });

  test("recipients beyond what a request may hold are not told", async () => {
    let asked = "";
    const fake = await startFake(saying(good), (socket) => socket.on("data", (data) => (asked += data.toString())));
    const recipients = Array.from({ length: 5_000 }, (_, at) => `a-long-name-of-recipient-${at}@example.test`);
    expect(await scan(fake.address, { recipients })).toMatchObject(tagged);
    expect(asked.indexOf("\r\n\r\n")).toBeLessThan(70 * 1024);
    expect(asked.match(/^Rcpt: /gm)?.length).toBeGreaterThan(1_000);
  });

  test("a slow rspamd holds the reading back: a spooled message is never wholly in memory", async () => {
    const fake = await startFake(saying(good), (socket) => socket.pause());
    const piece = Buffer.alloc(64 * 1024, "x");
    let read = 0;
    const message = messageOf(500 * piece.length, async function* () {
      for (; read < 500; read += 1) yield piece;
    });
    const answer = scan(fake.address, { message });
    let before = -1;
    while (read === 0 || read !== before) {
      before = read;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(read).toBeLessThan(150);
    for (const socket of fake.open) socket.resume();
    expect(await answer).toMatchObject(tagged);
    expect(read).toBe(500);
  });
});

describe("called off", () => {
  test.each<[when: string, script: (socket: Socket) => void]>([
    ["while it thinks", () => undefined],
    ["in the middle of its answer", (socket) => void socket.write(good.slice(0, -5))],
  ])("%s", async (_, script) => {
    const client = new AbortController();
    const fake = await startFake(script);
    const answer = scan(fake.address, { signal: client.signal });
    await expect.poll(() => fake.requests).toBe(1);
    client.abort();
    expect(await answer).toMatchObject({ reason: "timeout" });
    await expect.poll(() => fake.open.size).toBe(0);
    expect(await scan(fake.address, { signal: client.signal })).toMatchObject({ reason: "timeout" });
    expect(fake.requests).toBe(1);
  });

  test("while it waits for a free connection", async () => {
    const fake = await startFake(() => undefined);
    const plugin = openPlugin(rspamd, { address: fake.address, onError: "defer", connections: 1 }, quiet);
    const [first, second] = [new AbortController(), new AbortController()];
    const one = scan("", { plugin, signal: first.signal });
    await expect.poll(() => fake.requests).toBe(1);
    const two = scan("", { plugin, signal: second.signal });
    second.abort();
    expect(await two).toMatchObject({ reason: "timeout" });
    expect(fake.open.size).toBe(1);
    first.abort();
    expect(await one).toMatchObject({ reason: "timeout" });
    await expect.poll(() => fake.open.size).toBe(0);
  });
});

describe("connections", () => {
  test("nobody there", async () => {
    expect(await scan("unix:/nonexistent/rspamd.sock")).toMatchObject({ reason: "down" });
  });

  test("one that is kept is used again; one that was closed meanwhile is no failure", async () => {
    const sockets: Socket[] = [];
    const fake = await startFake(
      (socket, request) => {
        if (request === 3) socket.destroy();
        else socket.write(http(json));
      },
      (socket) => sockets.push(socket),
    );
    const plugin = openPlugin(rspamd, { address: fake.address, onError: "defer" }, quiet);
    for (let at = 0; at < 3; at += 1) {
      expect(await scan("", { plugin })).toMatchObject(tagged);
      await new Promise((resolve) => setImmediate(resolve)); // the pool gets it back
    }
    expect([fake.requests, sockets.length]).toEqual([4, 2]);
  });

  test("the next one is asked when the first cannot be, and the first again later", async () => {
    const dead = await startFake((socket) => socket.destroy());
    const alive = await startFake(saying(good));
    const clock = createFakeClock();
    const plugin = openPlugin(
      rspamd,
      { address: [dead.address, alive.address], onError: "defer" },
      { ...quiet, clock },
    );
    for (let at = 0; at < 3; at += 1) expect(await scan("", { plugin })).toMatchObject(tagged);
    expect([dead.requests, alive.requests]).toEqual([1, 3]);
    clock.advance(10_000);
    expect(await scan("", { plugin })).toMatchObject(tagged);
    expect([dead.requests, alive.requests]).toEqual([2, 4]);
  });

  test("with all of them down it is down; one that only cannot tell is believed", async () => {
    const dead = await startFake((socket) => socket.destroy());
    expect(await scan([dead.address, "unix:/nonexistent"])).toMatchObject({ reason: "down" });
    const [confused, alive] = [await startFake(saying(http("?"))), await startFake(saying(good))];
    expect(await scan([confused.address, alive.address])).toMatchObject({ reason: "error" });
    expect(alive.requests).toBe(0);
  });

  test("one that was silent until the deadline is asked last next time; a client that left says nothing of it", async () => {
    const [silent, alive] = [await startFake(() => undefined), await startFake(saying(good))];
    const plugin = openPlugin(rspamd, { address: [silent.address, alive.address], onError: "defer" }, quiet);
    const asks = async (reason: unknown): Promise<unknown> => {
      const controller = new AbortController();
      const answer = scan("", { plugin, signal: controller.signal });
      const before = silent.requests;
      await expect.poll(() => silent.requests).toBe(before + 1);
      controller.abort(reason);
      return answer;
    };
    expect(await asks(undefined)).toMatchObject({ reason: "timeout" });
    expect(await asks(new PosternError("DEADLINE_EXCEEDED", "no answer"))).toMatchObject({ reason: "timeout" });
    expect(await scan("", { plugin })).toMatchObject(tagged);
    expect([silent.requests, alive.requests]).toEqual([2, 1]);
  });

  test("a connection that is not made in time", async () => {
    const accepted = Promise.withResolvers<void>();
    const mute = await startFake(
      () => undefined,
      () => accepted.resolve(),
    );
    const clock = createFakeClock();
    const address = mute.address.replace("http:", "https:"); // never says its part of TLS
    const plugin = openPlugin(rspamd, { address, onError: "defer", connectTimeout: "3s" }, { ...quiet, clock });
    const answer = scan("", { plugin });
    await accepted.promise;
    clock.advance(2_999);
    expect(await Promise.race([answer, Promise.resolve("waits")])).toBe("waits");
    clock.advance(1);
    expect(await answer).toMatchObject({ reason: "down" });
    await expect.poll(() => mute.open.size).toBe(0);
    expect(clock.pending).toBe(0);
  });
});

test.each([
  ["http://127.0.0.1:11333", { tls: false, target: { host: "127.0.0.1", port: 11333 }, base: "" }],
  ["http://[::1]:11333/", { target: { host: "::1", port: 11333 }, base: "" }],
  ["https://rspamd.example.com/scan/", { tls: true, target: { host: "rspamd.example.com", port: 443 }, base: "/scan" }],
  ["unix:/run/rspamd.sock", { target: { socketPath: "/run/rspamd.sock" } }],
  ["unix:rspamd.sock", { target: { socketPath: "/etc/postern/rspamd.sock" } }],
  ["127.0.0.1:11333", undefined],
  ["ftp://127.0.0.1", undefined],
  ["http://", undefined],
  ["http://user:secret@127.0.0.1", undefined],
  ["http://127.0.0.1:11333/?x", undefined],
  ["unix:", undefined],
])("address %s", (text, expected) => {
  const endpoint = parseAddress(text, "/etc/postern");
  if (expected === undefined) expect(endpoint).toBeUndefined();
  else expect(endpoint).toMatchObject(expected);
});

test("without onError it does not start: nobody knows what should stand when rspamd is down", async () => {
  await expect(openPlugin(rspamd, { address: "http://127.0.0.1:11333" })).rejects.toThrow(/"onError" is missing/);
});
