// The tester of scanners finds what is right and, above all, what is wrong.
import { once } from "node:events";
import { createServer, connect, type AddressInfo, type Socket } from "node:net";
import { permit, reject, ScannerFailure, type Message, type ScanAnswer, type ScanAsk } from "@postern/core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sampleRecipient } from "./samples.ts";
import type { ScannerUnderTest } from "./scan-trial.ts";
import { testScanner, type ScannerCase, type ScannerTest } from "./test-scanner.ts";

async function textOf({ raw }: Message, signal?: AbortSignal): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of raw.read()) {
    signal?.throwIfAborted();
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("latin1");
}

function judge(text: string): ScanAnswer {
  if (text.includes("crypt")) throw new ScannerFailure("encrypted", "no password");
  if (text.includes("tag")) {
    return [
      { kind: "edit", edit: { kind: "replaceHeader", name: "Subject", nth: 1, value: "[spam] x" } },
      { kind: "prepend", name: "X-Spam", value: "yes" },
    ];
  }
  if (text.includes("some")) return { kind: "perRecipient", answers: [undefined, reject("not you")] };
  return text.includes("bad") ? reject("bad word") : permit;
}

/** Does everything right, with what comes on its way in too. */
const right: ScannerUnderTest = {
  name: "words",
  begin() {
    let text = "";
    return {
      write(part) {
        text += part.toString("latin1");
        return text.length % 2 === 0 ? undefined : Promise.resolve();
      },
      get text() {
        return text;
      },
    };
  },
  async scan({ message, intake, signal }) {
    return judge((intake as { readonly text?: string } | undefined)?.text ?? (await textOf(message, signal)));
  },
};

const recipients = [sampleRecipient("a@x.test"), sampleRecipient("b@x.test")];
const cases: readonly ScannerCase[] = [
  { name: "clean", expect: "permit" },
  { name: "bad", message: "Subject: x\r\n\r\nbad", expect: "reject 550 5.7.1 bad word" },
  {
    name: "tagged",
    message: "Subject: x\r\n\r\ntag",
    expect: "replaceHeader Subject#1: [spam] x; prepend X-Spam: yes",
  },
  {
    name: "for one of two",
    message: "\r\nsome",
    transaction: { recipients },
    expect: "recipients none, reject 550 5.7.1 not you",
  },
  { name: "encrypted", message: "\r\ncrypt", expect: { fails: "encrypted" } },
];

test("a good one passes, and each case that is not so is named", async () => {
  await testScanner(right, { cases, reasons: ["encrypted"] });
  const wrong = testScanner(right, {
    cases: [
      { name: "clean", expect: { fails: "down" } },
      { name: "bad", message: "\r\nbad", expect: "none" },
    ],
    reasons: ["down", "tooLarge"],
  });
  await expect(wrong).rejects.toThrow(/ {2}clean: expected it to fail as down, got "permit"/);
  await expect(wrong).rejects.toThrow(/ {2}bad: expected "none", got "reject 550 5\.7\.1 bad word"/);
  await expect(wrong).rejects.toThrow(/ {2}reasons: no case provokes tooLarge/);
});

test("one that hangs is given up at the deadline, once", async () => {
  const hung = { name: "hung", scan: () => new Promise<never>(() => undefined) };
  await testScanner(hung, { deadlineMs: 20, cases: [{ name: "hangs", expect: { fails: "timeout" } }] });
});

test("what comes after `before` is asked once, in order", async () => {
  const log: string[] = [];
  let up = true;
  const scan = async ({ message, signal }: ScanAsk): Promise<ScanAnswer> => {
    if (!up) throw new ScannerFailure("down", "nobody listens");
    return judge(await textOf(message, signal));
  };
  await testScanner(
    { name: "engine", scan: (ask) => (log.push(up ? "up" : "down"), scan(ask)) },
    {
      cases: [
        { name: "up", expect: "permit" },
        { name: "stopped", before: () => void (up = false), expect: { fails: "down" } },
        { name: "still", expect: { fails: "down" } },
        { name: "started", before: () => void (up = true), expect: "permit" },
      ],
      reasons: ["down"],
    },
  );
  expect(log.slice(-3)).toEqual(["down", "down", "up"]);
});

let port = 0;
const peers = new Set<Socket>();
const server = createServer((socket) => {
  peers.add(socket);
  socket.on("error", () => undefined).on("close", () => peers.delete(socket));
  socket.once("data", () => socket.write("OK"));
});
beforeAll(async () => {
  await once(server.listen(0, "127.0.0.1"), "listening");
  port = (server.address() as AddressInfo).port;
});
afterAll(() => {
  for (const peer of peers) peer.destroy();
  server.close();
});

/** Asks the server, which says OK; what becomes of the connection is the test's. */
async function askServer(done: (socket: Socket) => unknown): Promise<ScanAnswer> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.write("scan");
  await once(socket, "data");
  done(socket);
  return undefined;
}

const clean: ScannerTest["cases"] = [{ name: "clean", expect: "none" }];
type Fault = readonly [
  what: string,
  scanner: Omit<ScannerUnderTest, "name">,
  test: Partial<ScannerTest>,
  found: RegExp,
];

test.each<Fault>([
  [
    "deaf to its signal",
    {
      scan: ({ message }) =>
        message.sizeBytes < 1000 ? undefined : new Promise((resolve) => setTimeout(resolve, 300, undefined)),
    },
    { cancelMs: 30 },
    /called off: called off before it begins, it has not settled within 30 ms; called off at once, it has not/,
  ],
  [
    "reads on after it was called off",
    { scan: ({ message }) => textOf(message).then(() => undefined) },
    {},
    /called off after the second piece, it read on: \d+ pieces/,
  ],
  [
    "knows messages in memory only",
    { scan: ({ message }) => judge(String(message.raw.chunks?.join(""))) },
    { cases: [{ name: "bad", message: "A: b\r\n\r\nbad", expect: /^reject/ }] },
    /bad, from a file: expected .*got "permit"/,
  ],
  [
    "loses what is cut",
    {
      begin() {
        const found = { bad: false, write: (part: Buffer) => void (found.bad ||= part.includes("bad")) };
        return found;
      },
      scan: async ({ intake, message }) =>
        ((intake as { bad?: boolean } | undefined)?.bad ?? (await textOf(message)).includes("bad"))
          ? reject("bad word")
          : undefined,
    },
    { cases: [{ name: "bad", message: "A: b\r\n\r\nbad", expect: /^reject/ }] },
    /bad, on its way in: octet by octet: expected .*got "none"/,
  ],
  [
    "throws at what comes in",
    {
      begin: () => ({
        write() {
          throw new Error("too fast");
        },
      }),
      scan: () => undefined,
    },
    {},
    /on its way in: in one piece: its intake threw: too fast/,
  ],
  [
    "calls what it could not read clean",
    {
      scan: ({ message }) =>
        textOf(message).then(
          (text) => judge(text),
          () => undefined,
        ),
    },
    { cases: [{ name: "bad", message: `A: b\r\n\r\n${"x".repeat(100)}bad`, expect: /^reject/ }] },
    /bad, from a file that cannot be read: it said "none", and could not read its piece 1/,
  ],
  [
    "deaf to its signal when it has an intake",
    {
      begin: () => ({ write: () => undefined }),
      scan: ({ intake, message, signal }) =>
        intake === undefined || message.sizeBytes < 1000
          ? textOf(message, signal).then(judge)
          : new Promise((resolve) => setTimeout(resolve, 300, undefined)),
    },
    { cases: [{ name: "clean", expect: "permit" }], cancelMs: 30 },
    /called off: called off with its intake, it has not settled within 30 ms/,
  ],
  [
    "says what is no answer",
    { scan: () => ({ kind: "tag" }) as never },
    {},
    /clean: expected "none", got "fails invalid/,
  ],
  [
    "mixes scans up",
    (() => {
      let last = "";
      return {
        async scan({ message }: ScanAsk) {
          last = await textOf(message);
          await new Promise((resolve) => setImmediate(resolve));
          return last.includes("bad") ? reject("bad word") : undefined;
        },
      };
    })(),
    { cases: [...clean, { name: "bad", message: "\r\nbad", expect: /^reject/ }] },
    /20 at once: (?:clean|bad): expected/,
  ],
  [
    "leaks a connection",
    { scan: () => askServer(() => undefined) },
    {},
    /what it leaves open: \d+ TCPSocketWrap; what it keeps/,
  ],
  [
    "leaks one that keeps nothing alive",
    { scan: () => askServer((socket) => socket.unref()) },
    { close: () => peers.forEach((peer) => peer.unref()) },
    /what it leaves open: \d+ of the sockets that it opened$/m,
  ],
  [
    "leaks a timer",
    { scan: () => void setTimeout(() => undefined, 3000) },
    {},
    /what it leaves open: \d+ Timeout; what it keeps on purpose is closed by "close"/,
  ],
])("found: %s", async (what, scanner, given, found) => {
  const name = what.replaceAll(/[^a-z]+/g, "-");
  await expect(testScanner({ name, ...scanner }, { cases: clean, ...given })).rejects.toThrow(found);
});

test("one that closes what it opens is not blamed", async () => {
  await testScanner({ name: "tidy", scan: () => askServer((socket) => socket.destroy()) }, { cases: clean });
});
