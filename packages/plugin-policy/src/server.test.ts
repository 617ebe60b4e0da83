// Lists of ours behind the policy protocol: what is answered, who may ask, and what bad clients get.
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  checkConfig,
  definePlugin,
  defer,
  permit,
  reject,
  resolveConfig,
  stages,
  type Answer,
  type Ask,
} from "@postern/core";
import { createFakeClock, createTestGateway } from "@postern/testkit";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { toAction } from "./server/action.ts";
import { Door, type Listening } from "./server/door.ts";
import policy from "./index.ts";

const answers: readonly [name: string, answer: Answer, action: string][] = [
  ["nothing", undefined, "DUNNO"],
  ["permit", permit, "DUNNO"],
  ["refusal", reject("<a@b>: Recipient address rejected: no\r\nsuch", "5.1.1"), "550 5.1.1 no such"],
  ["deferral", defer("later", "4.2.0", 451), "451 4.2.0 later"],
  ["refusal without a text", reject(""), "550 5.7.1 Access denied"],
  ["deferIfPermit", { kind: "deferIfPermit", reply: defer("greylisted").reply }, "DEFER_IF_PERMIT 4.7.1 greylisted"],
  ["deferIfReject", { kind: "deferIfReject", reply: defer("x").reply }, "DEFER_IF_REJECT 4.7.1 x"],
  ["refusal that is to be deferred", [{ kind: "deferIfReject", reply: defer("x").reply }, reject("y")], "450 4.7.1 x"],
  ["deferral beside another", [{ kind: "deferIfReject", reply: defer("x").reply }, defer("y")], "450 4.7.1 y"],
  ["header", { kind: "prepend", name: "X-A", value: "b\r\n c" }, "PREPEND X-A: b c"],
  ["header and refusal", [{ kind: "prepend", name: "X-A", value: "b" }, reject("no")], "550 5.7.1 no"],
  [
    "header and hold",
    [
      { kind: "prepend", name: "X-A", value: "b" },
      { kind: "hold", text: "look" },
    ],
    "HOLD look",
  ],
  ["discard and permit", [{ kind: "discard" }, permit], "DISCARD"],
  ["redirect", { kind: "redirect", address: "a@b" }, "REDIRECT a@b"],
  ["filter", { kind: "filter", destination: "smtp:[127.0.0.1]:1" }, "FILTER smtp:[127.0.0.1]:1"],
  ["bcc", { kind: "bcc", address: "a@b" }, "BCC a@b"],
  ["forged", { kind: "hold", text: "a\n\naction=OK" }, "HOLD a action=OK"],
];

test.each(answers)("%s", (_, answer, action) => expect(toAction(answer, "DUNNO")).toBe(action));
test("a permit is an OK when the operator says so", () => expect(toAction(permit, "OK")).toBe("OK"));

/** Says what it was asked. */
const asked: Ask[] = [];
let next: (ask: Ask) => Answer | Promise<Answer> = () => undefined;
const words = definePlugin({
  name: "words",
  apiVersion: 1,
  options: z.strictObject({}),
  setup(gateway) {
    const word = { args: z.tuple([]), description: "For this test." };
    gateway.restriction({
      ...word,
      name: "listen",
      stages,
      compile: () => (ask) => {
        asked.push(ask);
        return next(ask);
      },
    });
    gateway.restriction({ ...word, name: "rcpt_only", stages: ["rcpt"], compile: () => () => reject("only at rcpt") });
  },
});

async function serve(options: Readonly<Record<string, unknown>> = {}, name = "p.sock") {
  const folder = mkdtempSync(join(tmpdir(), "pp-"));
  const path = join(folder, name);
  asked.length = 0;
  next = () => undefined;
  const gateway = await createTestGateway(
    { networks: ["192.0.2.0/24"] },
    { plugins: [words, [policy, { listen: [{ address: `unix:${path}`, list: ["listen"], ...options }] }]] },
  );
  onTestFinished(async () => {
    await gateway.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return { gateway, path, folder };
}

/** Sends what it is given, and collects until the other side ends or `answers` have come. */
function talk(path: string, text: string, answers = 1): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let heard = "";
    const over = (): void => {
      socket.destroy();
      resolve(heard);
    };
    socket.on("data", (piece: Buffer) => {
      heard += piece.toString();
      if (heard.split("\n\n").length > answers) over();
    });
    socket.on("end", over);
    socket.on("error", reject);
    socket.write(text);
  });
}

const question = (attributes: Readonly<Record<string, string>>): string =>
  `request=smtpd_access_policy\n${Object.entries(attributes)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("")}\n`;

const rcpt = {
  protocol_state: "RCPT",
  protocol_name: "ESMTP",
  client_address: "192.0.2.9",
  client_name: "unknown",
  client_port: "4711",
  helo_name: "h.test",
  sender: "a b@S.test",
  recipient: "r@R.test",
  queue_id: "",
  instance: "1.2.3",
  size: "17",
  sasl_username: "u",
  sasl_method: "plain",
  encryption_protocol: "TLSv1.3",
  encryption_cipher: "c",
  encryption_keysize: "256",
};

describe("a question", () => {
  test("is asked of the list with all that it tells", async () => {
    const { path } = await serve();
    expect(await talk(path, question(rcpt))).toBe("action=DUNNO\n\n");
    expect(asked).toMatchObject([
      {
        stage: "rcpt",
        session: {
          id: "policy-1.2.3",
          client: { address: "192.0.2.9", port: 4711, name: "unknown", nameStatus: "temporary", inNetworks: true },
          helo: { verb: "EHLO", name: "h.test" },
          tls: { protocol: "TLSv1.3", bits: 256 },
          auth: { identity: "u", mechanism: "plain" },
        },
        transaction: { id: "1.2.3", sender: '"a b"@s.test', recipients: [], declaredSizeBytes: 17 },
        recipient: { address: "r@r.test" },
        dry: false,
      },
    ]);
  });

  test.each([
    ["CONNECT", "connect"],
    ["EHLO", "helo"],
    ["MAIL", "mail"],
    ["DATA", "data"],
    ["BDAT", "data"],
    ["END-OF-MESSAGE", "message"],
    ["VRFY", undefined],
    ["ETRN", undefined],
    ["", undefined],
  ])("at %s is asked at %s", async (state, stage) => {
    const { path } = await serve();
    next = () => reject("no");
    expect(await talk(path, question({ ...rcpt, protocol_state: state }))).toBe(
      stage === undefined ? "action=DUNNO\n\n" : "action=550 5.7.1 no\n\n",
    );
    expect(asked.map((ask) => ask.stage)).toEqual(stage === undefined ? [] : [stage]);
  });

  test("at DATA tells the recipient that is alone", async () => {
    const { path } = await serve();
    await talk(path, question({ ...rcpt, protocol_state: "DATA", queue_id: "Q1" }));
    expect(asked).toMatchObject([{ transaction: { id: "Q1", recipients: [{ address: "r@r.test" }] } }]);
  });

  test("passes over words that cannot stand there", async () => {
    const { path } = await serve({ list: ["rcpt_only"] });
    expect(await talk(path, question(rcpt))).toBe("action=550 5.7.1 only at rcpt\n\n");
    expect(await talk(path, question({ ...rcpt, protocol_state: "MAIL" }))).toBe("action=DUNNO\n\n");
  });

  test("whose word fails is put off", async () => {
    const { path } = await serve();
    next = () => {
      throw new Error("secret");
    };
    expect(await talk(path, question(rcpt))).toMatch(/^action=451 4\.3\.0 (?!.*secret)/);
  });

  test("after question over one connection, also when they come at once", async () => {
    const { path } = await serve();
    next = (ask) => new Promise((resolve) => setImmediate(() => resolve(reject(ask.recipient?.address ?? ""))));
    const three = ["a@x", "b@x", "c@x"].map((recipient) => question({ ...rcpt, recipient })).join("");
    expect(await talk(path, three, 3)).toBe("action=550 5.7.1 a@x\n\naction=550 5.7.1 b@x\n\naction=550 5.7.1 c@x\n\n");
  });
});

test("a client that asks on and on is held back, not kept in memory", async () => {
  const { path } = await serve();
  const { promise: asked, resolve: wasAsked } = Promise.withResolvers<void>();
  const { promise: answer, resolve: say } = Promise.withResolvers<Answer>();
  next = () => (wasAsked(), answer);
  const socket = connect(path);
  onTestFinished(() => void socket.destroy());
  socket.write(question(rcpt));
  await asked;
  const piece = question(rcpt).repeat(200);
  const much = 32 << 20;
  let taken = 0;
  const write = (): Promise<boolean> => new Promise((resolve) => socket.write(piece, () => resolve(true)));
  const stalled = (): Promise<boolean> => new Promise((resolve) => setTimeout(() => resolve(false), 300));
  while (taken < much && (await Promise.race([write(), stalled()]))) taken += piece.length;
  expect(taken).toBeLessThan(much);
  say(undefined);
});

test.each([
  ["no attributes", "\n\n"],
  ["no equals", "hello\n\n"],
  ["another request", "request=other\n\n"],
  ["a name that is missing", "=x\n\n"],
  [
    "too many attributes",
    `request=smtpd_access_policy\n${Array.from({ length: 200 }, (_, i) => `a${i}=\n`).join("")}\n`,
  ],
  ["too much", `request=smtpd_access_policy\nx=${"y".repeat(40_000)}`],
])("%s: closed without an answer, one line in the log", async (_, text) => {
  const { path, gateway } = await serve();
  expect(await talk(path, text)).toBe("");
  expect(await talk(path, text)).toBe("");
  expect(gateway.log.filter((line) => line.includes("is closed"))).toHaveLength(1);
  expect(await talk(path, question(rcpt))).toBe("action=DUNNO\n\n");
});

test("a socket has its rights; one that was left behind is taken over, one in use and a file are not", async () => {
  const { path, folder } = await serve({ mode: "0600" });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const start = (name: string) =>
    createTestGateway({}, { plugins: [words, [policy, { listen: [{ address: `unix:${name}`, list: ["listen"] }] }]] });
  await expect(start(path)).rejects.toThrow(/cannot listen on unix:.*EADDRINUSE/);
  const file = join(folder, "file");
  writeFileSync(file, "mine");
  await expect(start(file)).rejects.toThrow(/cannot listen/);
  expect(readFileSync(file, "utf8")).toBe("mine");
  const left = join(folder, "left");
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(join(folder, "other"), resolve));
  renameSync(join(folder, "other"), left);
  await new Promise((resolve) => other.close(resolve));
  const again = await start(left);
  expect(await talk(left, question(rcpt))).toBe("action=DUNNO\n\n");
  await again.close();
  expect(existsSync(left)).toBe(false);
});

/** A kept connection: asks, one question after another. */
function keep(path: string) {
  const socket = connect(path);
  let heard = "";
  let wake = (): void => undefined;
  socket.on("data", (piece: Buffer) => {
    heard += piece.toString();
    if (heard.endsWith("\n\n")) wake();
  });
  socket.on("error", () => undefined);
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  return {
    closed,
    async ask(attributes: Readonly<Record<string, string>> = rcpt): Promise<string> {
      heard = "";
      socket.write(question(attributes));
      await new Promise<void>((resolve) => (wake = resolve));
      return heard.trimEnd();
    },
  };
}

test("a reload keeps address and connections", async () => {
  const { path, gateway } = await serve();
  const client = keep(path);
  expect(await client.ask()).toBe("action=DUNNO");
  const { generation } = gateway.runtime;
  await gateway.runtime.reload(generation.config);
  expect(gateway.runtime.generation).not.toBe(generation);
  expect(await client.ask()).toBe("action=DUNNO");
  await gateway.close();
  await client.closed;
});

test("the newest generation answers; the one before first says what it was asked, the last closes the door", async () => {
  const folder = mkdtempSync(join(tmpdir(), "pp-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "s");
  const made = (answer: Listening["answer"], plugin = "p"): Listening => ({
    address: { path, text: `unix:${path}` },
    plugin,
    allow: [],
    mode: 0o600,
    connections: 10,
    timeoutMs: 1_000,
    idleMs: 1_000,
    clock: createFakeClock(),
    answer,
    warn: () => undefined,
  });
  const { promise: asked, resolve: wasAsked } = Promise.withResolvers<void>();
  const { promise: slow, resolve: say } = Promise.withResolvers<string>();
  const first = made(() => (wasAsked(), slow));
  const second = made(() => Promise.resolve("second"));
  const door = await Door.enter("/g", first);
  const [early, late] = [keep(path), keep(path)];
  const answer = early.ask();
  await asked;
  expect(await Door.enter("/g", second)).toBe(door);
  await expect(
    Door.enter(
      "/g",
      made(() => slow, "other"),
    ),
  ).rejects.toThrow("is listened on by plugin p");
  expect(await late.ask()).toBe("action=second");
  let gone = false;
  const left = door.leave(first).then(() => (gone = true));
  expect(await late.ask()).toBe("action=second");
  expect(gone).toBe(false);
  say("first");
  await left;
  expect(await answer).toBe("action=first");
  expect(await early.ask()).toBe("action=second");
  await door.leave(second);
  await Promise.all([early.closed, late.closed]);
  expect(existsSync(path)).toBe(false);
});

test("a config that is only checked takes no address", async () => {
  const folder = mkdtempSync(join(tmpdir(), "pp-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "s");
  writeFileSync(
    join(folder, "plugin.mjs"),
    `export { default } from ${JSON.stringify(new URL("./index.ts", import.meta.url).href)};`,
  );
  const check = (list: readonly string[], look?: () => void) =>
    checkConfig(
      resolveConfig(
        {
          hostname: "mx.example.test",
          listeners: [{ host: "127.0.0.1", port: 0 }],
          queue: { directory: "./queue" },
          plugins: [["./plugin.mjs", { listen: [{ address: `unix:${path}`, list }] }]],
        },
        { file: join(folder, "postern.config.json") },
      ),
      {},
      look,
    );
  let looked = false;
  await check(["check_policy_service inet:127.0.0.1:1"], () => {
    looked = true;
    expect(existsSync(path)).toBe(false);
  });
  expect(looked).toBe(true);
  await expect(check(["no_such_word"])).rejects.toThrow(/plugin policy, listen\[0\]\.list\[0\]: unknown word/);
});

test("strangers, too many, slow and silent clients are closed", async () => {
  const clock = createFakeClock();
  const warnings: string[] = [];
  const address = { host: "127.0.0.1", port: 0, text: "inet:127.0.0.1:0" } as const;
  const listening: Listening = {
    address,
    plugin: "p",
    allow: ["192.0.2.0/24"],
    mode: 0o600,
    connections: 1,
    timeoutMs: 10_000,
    idleMs: 60_000,
    clock,
    answer: () => Promise.resolve("OK"),
    warn: (matter) => warnings.push(matter),
  };
  const door = await Door.enter("/strangers", listening);
  const port = door.port ?? 0;
  const dial = (): Promise<Socket> =>
    new Promise((resolve) => {
      const socket = connect(port, "127.0.0.1", () => resolve(socket));
      socket.on("error", () => undefined);
    });
  const ended = (socket: Socket) => new Promise<void>((resolve) => socket.once("close", () => resolve()).resume());
  await ended(await dial());
  expect(warnings).toEqual(["allow"]);
  const kind = { ...listening, allow: ["127.0.0.0/8"] };
  await Door.enter("/strangers", kind);
  await door.leave(listening);
  const slow = await dial();
  await expect.poll(() => clock.pending).toBe(1);
  await ended(await dial());
  expect(warnings).toEqual(["allow", "connections"]);
  slow.write("request=smtpd");
  await expect.poll(() => warnings.length === 2 && slow.bytesWritten > 0 && clock.pending).toBe(1);
  await new Promise((resolve) => setTimeout(resolve, 20));
  clock.advance(10_000);
  await ended(slow);
  expect(warnings).toEqual(["allow", "connections", "question"]);
  const silent = await dial();
  await expect.poll(() => clock.pending).toBe(1);
  clock.advance(60_000);
  await ended(silent);
  expect(warnings).toHaveLength(3);
  await door.leave(kind);
  await expect(
    new Promise((resolve, reject) => connect(port, "127.0.0.1", () => resolve("in")).on("error", reject)),
  ).rejects.toThrow(/ECONNREFUSED/);
});
