// Every way in which spamd can give no verdict, by a scripted server on a real socket: none of them is a verdict.
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { PosternError, type Blob, type Message, type ScanAnswer } from "@postern/core";
import {
  createFakeClock,
  openPlugin,
  sampleMessage,
  sampleRecipient,
  sampleScanAsk,
  sampleTransaction,
} from "@postern/testkit";
import { afterEach, describe, expect, test } from "vitest";
import spamassassin from "./index.ts";

/** The servers hear nothing but messages. */
const quiet = { dry: true };
const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const call of cleanUp.splice(0).toReversed()) await call();
});

interface Asked {
  readonly command: string;
  readonly user: string | undefined;
  readonly content: string;
}
type Script = (socket: Socket, asked: Asked) => void;

interface Fake {
  readonly address: string;
  readonly open: Set<Socket>;
  readonly asked: Asked[];
}

/** Calls `script` when a whole request has come and its sender has closed its half. */
async function startFake(script: Script, onConnect: (socket: Socket) => unknown = () => undefined): Promise<Fake> {
  const open = new Set<Socket>();
  const asked: Asked[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    socket.on("error", () => undefined);
    onConnect(socket);
    const pieces: Buffer[] = [];
    socket.on("data", (data) => pieces.push(data));
    socket.on("end", () => {
      const text = Buffer.concat(pieces).toString("latin1");
      const [head = "", content = ""] = [
        text.slice(0, text.indexOf("\r\n\r\n")),
        text.slice(text.indexOf("\r\n\r\n") + 4),
      ];
      const {
        command = "",
        length,
        user,
      } = /^(?<command>\w+) SPAMC\/1\.5\r\nContent-length: (?<length>\d+)(?:\r\nUser: (?<user>.*))?$/.exec(head)
        ?.groups ?? {};
      if (Number(length) !== content.length) return void socket.destroy();
      asked.push({ command, user, content });
      script(socket, { command, user, content });
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanUp.push(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return { address: `tcp:127.0.0.1:${(server.address() as AddressInfo).port}`, open, asked };
}

const spam = "Spam: True ; 51.9 / 5.0\r\n";
const ham = "Spam: False ; -1.2 / 5.0\r\n";
const ok = (octets: string, verdict = ham): string =>
  `SPAMD/1.1 0 EX_OK\r\nContent-length: ${octets.length}\r\n${verdict}\r\n${octets}`;
const saying =
  (answer: string): Script =>
  (socket) =>
    void socket.end(answer, "latin1");
/** What it was given, with more fields on top. */
const adding =
  (fields: string, verdict = ham): Script =>
  (socket, { content }) =>
    void socket.end(ok(fields + content.slice(0, content.indexOf("\r\n\r\n") + 4), verdict), "latin1");

/** Who has read to the end hears only when it writes that nobody is there any more. */
function stillOpen({ open }: Fake): number {
  for (const socket of open) socket.write("x");
  return open.size;
}

interface Asking {
  readonly message?: Message;
  readonly signal?: AbortSignal;
  readonly plugin?: ReturnType<typeof openPlugin>;
  readonly recipients?: readonly string[];
  readonly more?: Record<string, unknown>;
  readonly maxBody?: number;
}

/** What the plugin's scanner says; its `ScannerFailure` in place of a rejection. */
async function scan(address: string | readonly string[], asking: Asking = {}): Promise<ScanAnswer | Error> {
  const {
    message = sampleMessage(),
    signal = new AbortController().signal,
    recipients = ["user@example.test"],
  } = asking;
  const transaction = sampleTransaction({ recipients: recipients.map((each) => sampleRecipient(each)) });
  const opened = await (asking.plugin ??
    openPlugin(spamassassin, { address, onError: "defer", ...asking.more }, quiet));
  cleanUp.push(() => opened.close());
  try {
    return await opened.scanners[0]?.scanner.scan(
      sampleScanAsk({ transaction, message, signal, spoolBytes: asking.maxBody ?? Infinity }),
    );
  } catch (error) {
    return error as Error;
  }
}

const inserted = (name: string, value: string, index = 0) => ({
  kind: "edit",
  edit: { kind: "insertHeader", index, name, value: Buffer.from(value) },
});

describe("no verdict", () => {
  const header = "Subject: sample\r\n\r\n";
  test.each<[what: string, answer: string, reason: string]>([
    ["nothing at all", "", "down"],
    ["half a status line", "SPAMD/1", "error"],
    ["a status without headers", "SPAMD/1.1 0 EX_OK\r\n", "error"],
    ["a header too few", `SPAMD/1.1 0 EX_OK\r\nContent-length: 5\r\n${ham}`, "down"],
    ["closed in the middle", ok(header).slice(0, -3), "down"],
    ["more than it announced", `${ok(header)}x`, "error"],
    ["no length", `SPAMD/1.1 0 EX_OK\r\n${ham}\r\n${header}`, "error"],
    ["a wrong length", `SPAMD/1.1 0 EX_OK\r\nContent-length: many\r\n${ham}\r\n`, "error"],
    ["two lengths", `SPAMD/1.1 0 EX_OK\r\nContent-length: 5\r\nContent-length: 17\r\n${ham}\r\n`, "error"],
    ["no verdict", `SPAMD/1.1 0 EX_OK\r\nContent-length: ${header.length}\r\n\r\n${header}`, "error"],
    ["a verdict like none", ok(header, "Spam: Perhaps ; 1 / 5\r\n"), "error"],
    ["a score like none", ok(header, "Spam: True ; nan / 5\r\n"), "error"],
    ["two verdicts", ok(header, `${spam}${ham}`), "error"],
    ["a header that is none", ok(header, `${ham}rubbish\r\n`), "error"],
    ["a verdict and no header section", ok(""), "error"],
    ["a body where there should be none", ok(`${header}body`), "error"],
    ["HTTP", "HTTP/1.1 200 OK\r\n\r\n", "error"],
    ["a protocol error", "SPAMD/1.0 76 Bad header line: HEADERS\r\n", "error"],
    ["wrong data", "SPAMD/1.5 65 EX_DATAERR\r\n\r\n", "error"],
    ["its time-out", "SPAMD/1.5 79 EX_TIMEOUT\r\n\r\n", "timeout"],
    ["unavailable", "SPAMD/1.5 69 EX_UNAVAILABLE\r\n", "down"],
    ["try again", "SPAMD/1.5 75 EX_TEMPFAIL\r\n", "error"],
    ["a head without an end", `SPAMD/1.1 0 EX_OK\r\n${"X: y\r\n".repeat(5_000)}`, "error"],
    ["a section without an end", ok(`X: ${"y".repeat(600 * 1024)}`), "error"],
    ["another header section altogether", ok("Subject: other\r\n\r\n"), "error"],
  ])("%s", async (_, answer, reason) => {
    const fake = await startFake(saying(answer));
    expect(await scan(fake.address)).toMatchObject({ name: "ScannerFailure", reason });
    await expect.poll(() => fake.open.size, { interval: 2 }).toBe(0);
  });

  test("a verdict before it had the whole message", async () => {
    const fake = await startFake(
      () => undefined,
      (socket) => socket.end(ok("A_TEST")),
    );
    const message = sampleMessage(Buffer.alloc(8 << 20, "x"));
    const answer = await scan(fake.address, { message, more: { mode: "check", maxSize: "10MB" } });
    expect(answer).toMatchObject({ name: "ScannerFailure", reason: "error" });
  });

  test("more tests than it announced", async () => {
    const fake = await startFake(saying(`${ok("A_TEST")},B_TEST`));
    expect(await scan(fake.address, { more: { mode: "check" } })).toMatchObject({ reason: "error" });
  });

  test("a message above maxSize is not even sent", async () => {
    const fake = await startFake(adding(""));
    const sized = (octets: number) =>
      sampleMessage(Buffer.concat([Buffer.from("A: b\r\n\r\n"), Buffer.alloc(octets - 8, "x")]));
    expect(await scan(fake.address, { message: sized(512 * 1024 + 1) })).toMatchObject({ reason: "tooLarge" });
    expect(fake.asked).toEqual([]);
    expect(await scan(fake.address, { message: sized(512 * 1024) })).toEqual([]);
  });

  test("a message that cannot be read, or is not as long as it says", async () => {
    const fake = await startFake(adding(""));
    for (const pieces of [["x"], ["xx", "xx"]]) {
      const raw: Pick<Blob, "sizeBytes" | "chunks" | "read"> = {
        sizeBytes: 3,
        chunks: undefined,
        async *read() {
          for (const piece of pieces) yield Buffer.from(piece);
          if (pieces.length === 1) throw new Error("EIO");
        },
      };
      const message = { ...sampleMessage(), headers: sampleMessage("").headers, raw: raw as Blob, sizeBytes: 3 };
      expect(await scan(fake.address, { message })).toMatchObject({ reason: "error" });
    }
    await expect.poll(() => fake.open.size).toBe(0);
  });

  test("a new body that is larger than a message may be", async () => {
    const wrapped = "Content-Type: multipart/mixed\r\n\r\nreport";
    const fake = await startFake((socket, { content }) => {
      const received = content.slice(0, content.indexOf("From:"));
      socket.end(ok(received + wrapped));
    });
    expect(await scan(fake.address, { more: { mode: "message" }, maxBody: 5 })).toMatchObject({ reason: "tooLarge" });
    const whole = (await scan(fake.address, { more: { mode: "message" }, maxBody: 6 })) as readonly unknown[];
    expect(whole.at(-1)).toMatchObject({ edit: { kind: "replaceBody", body: { sizeBytes: 6 } } });
  });
});

describe("what is asked", () => {
  test("the message with the Received field that it will have, which comes back in no edit", async () => {
    const fake = await startFake(adding("X-Spam-Flag: YES\r\n", spam));
    expect(await scan(fake.address)).toEqual([inserted("X-Spam-Flag", " YES")]);
    const [asked] = fake.asked;
    expect(asked).toMatchObject({ command: "HEADERS", user: undefined });
    expect(asked?.content).toMatch(
      /^Received: from client\.example\.net \(client\.example\.net \[192\.0\.2\.1\]\)\r\n\tby mx\.example\.test with ESMTP id TRANSACTION\r\n\tfor <user@example\.test>; .*\r\nFrom: sender@example\.net\r\n/,
    );
    expect(asked?.content.endsWith("\r\n\r\nHello.\r\n")).toBe(true);
  });

  test("a message that begins within a field has no header section but ours", async () => {
    const fake = await startFake(adding(""));
    expect(await scan(fake.address, { message: sampleMessage(" folded\r\nSubject: x\r\n\r\n") })).toEqual([]);
    expect(fake.asked[0]?.content).toMatch(/^Received: .*\r\n\t.*\r\n\t.*\r\n\r\n folded\r\nSubject: x\r\n\r\n$/);
  });

  test("a user's name cannot become a header or a message", async () => {
    const fake = await startFake(adding(""));
    const more = { user: "%s" };
    await scan(fake.address, { more, recipients: ["a\r\nUser: root\r\n\r\nx@example.test"] });
    expect(fake.asked[0]?.user).toBe("a_User:_root_x@example.test");
  });

  test("a changed MIME structure is asked for with its body", async () => {
    const fake = await startFake((socket, { command, content }) => {
      const received = content.slice(0, content.indexOf("From:"));
      const octets = `${received}Content-Type: multipart/mixed\r\n\r\n${command === "PROCESS" ? "new body" : ""}`;
      socket.end(ok(octets, spam));
    });
    const parts = (await scan(fake.address)) as readonly { edit: { kind: string } }[];
    expect(fake.asked.map(({ command }) => command)).toEqual(["HEADERS", "PROCESS"]);
    expect(parts.at(-1)?.edit.kind).toBe("replaceBody");
  });

  test("a slow spamd holds the reading back: a spooled message is never wholly in memory", async () => {
    const fake = await startFake(saying(ok("A_TEST")), (socket) => socket.pause());
    const piece = Buffer.alloc(64 * 1024, "x");
    let read = 0;
    const raw: Pick<Blob, "sizeBytes" | "chunks" | "read"> = {
      sizeBytes: 500 * piece.length,
      chunks: undefined,
      async *read() {
        for (; read < 500; read += 1) yield piece;
      },
    };
    const message = {
      ...sampleMessage(),
      headers: sampleMessage("").headers,
      raw: raw as Blob,
      sizeBytes: raw.sizeBytes,
    };
    const answer = scan(fake.address, { message, more: { mode: "check", maxSize: "64MB" } });
    let before = -1;
    while (read === 0 || read !== before) {
      before = read;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(read).toBeLessThan(150);
    for (const socket of fake.open) socket.resume();
    expect(await answer).not.toBeInstanceOf(Error);
    expect(read).toBe(500);
  });

  test("an answer in many packets, and one that holds spamd back, are one answer", async () => {
    const fake = await startFake((socket, { content }) => {
      const octets = ok(content.replace("sample", "*SPAM* sample"), spam).split("");
      const next = (): void => {
        const octet = octets.shift();
        if (octet === undefined) socket.end();
        else socket.write(octet, () => setImmediate(next));
      };
      next();
    });
    expect(await scan(fake.address, { more: { mode: "message" } })).toEqual([
      { kind: "edit", edit: { kind: "replaceHeader", name: "Subject", nth: 1, value: Buffer.from(" *SPAM* sample") } },
    ]);
  });
});

describe("called off", () => {
  test.each<[when: string, script: Script]>([
    ["while it thinks", () => undefined],
    ["in the middle of its answer", (socket) => void socket.write(ok("Subject: x\r\n\r\n").slice(0, -5))],
  ])("%s", async (_, script) => {
    const client = new AbortController();
    const fake = await startFake(script);
    const answer = scan(fake.address, { signal: client.signal });
    await expect.poll(() => fake.asked.length).toBe(1);
    client.abort();
    expect(await answer).toMatchObject({ reason: "timeout" });
    await expect.poll(() => stillOpen(fake)).toBe(0);
    expect(await scan(fake.address, { signal: client.signal })).toMatchObject({ reason: "timeout" });
    expect(fake.asked).toHaveLength(1);
  });

  test("while it waits in line; no more than `connections` at once", async () => {
    const held: Socket[] = [];
    const fake = await startFake((socket) => void held.push(socket));
    const plugin = openPlugin(spamassassin, { address: fake.address, onError: "defer", connections: 2 }, quiet);
    const clients = Array.from({ length: 4 }, () => new AbortController());
    const answers = clients.map(({ signal }) => scan("", { plugin, signal }));
    await expect.poll(() => held.length).toBe(2);
    clients[2]?.abort();
    expect(await answers[2]).toMatchObject({ reason: "timeout" });
    clients[0]?.abort();
    await expect.poll(() => held.length).toBe(3); // the fourth has its turn
    for (const client of clients) client.abort();
    await Promise.all(answers);
    await expect.poll(() => stillOpen(fake)).toBe(0);
  });
});

describe("connections", () => {
  test("nobody there", async () => {
    expect(await scan("unix:/nonexistent/spamd.sock")).toMatchObject({ reason: "down" });
  });

  test("the next one is asked when the first cannot be, and the first again later", async () => {
    const dead = await startFake((socket) => socket.destroy());
    const alive = await startFake(adding(""));
    const clock = createFakeClock();
    const options = { address: [dead.address, alive.address], onError: "defer" };
    const plugin = openPlugin(spamassassin, options, { ...quiet, clock });
    for (let at = 0; at < 3; at += 1) expect(await scan("", { plugin })).toEqual([]);
    expect([dead.asked.length, alive.asked.length]).toEqual([1, 3]);
    clock.advance(10_000);
    expect(await scan("", { plugin })).toEqual([]);
    expect([dead.asked.length, alive.asked.length]).toEqual([2, 4]);
    expect(clock.pending).toBe(0);
  });

  test("a server that refuses is believed; one that was silent until the deadline is asked last next time", async () => {
    const [confused, silent, alive] = [
      await startFake(saying("SPAMD/1.0 76 What?\r\n")),
      await startFake(() => undefined),
      await startFake(adding("")),
    ];
    expect(await scan([confused.address, alive.address])).toMatchObject({ reason: "error" });
    const plugin = openPlugin(spamassassin, { address: [silent.address, alive.address], onError: "defer" }, quiet);
    const controller = new AbortController();
    const answer = scan("", { plugin, signal: controller.signal });
    await expect.poll(() => silent.asked.length).toBe(1);
    controller.abort(new PosternError("DEADLINE_EXCEEDED", "no answer"));
    expect(await answer).toMatchObject({ reason: "timeout" });
    expect(await scan("", { plugin })).toEqual([]);
    expect([silent.asked.length, alive.asked.length]).toEqual([1, 1]);
  });
});

test("without onError it does not start: nobody knows what should stand when spamd is down", async () => {
  await expect(openPlugin(spamassassin, { address: "127.0.0.1:783" })).rejects.toThrow(/"onError" is missing/);
});

test("who puts large messages off for ever is told", async () => {
  const plugin = await openPlugin(spamassassin, { address: "127.0.0.1:783", onError: "defer" });
  await plugin.close();
  expect(plugin.log.join("\n")).toContain('say in "onError" what stands for tooLarge');
});
