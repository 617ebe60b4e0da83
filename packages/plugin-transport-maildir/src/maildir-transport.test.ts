// Real folders and files; faults by a file port that fails where it is told to.
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createMemoryBlob, systemClock, type Blob, type Outcome } from "@postern/core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { watchedFiles, type Step } from "./faulty-files.fixture.ts";
import { nodeFiles, type FilePort } from "./file-port.ts";
import { createMaildirTransport } from "./maildir-transport.ts";

let folder = "";
const warnings: string[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "postern-maildir-"));
  warnings.length = 0;
});
afterEach(() => rmSync(folder, { recursive: true }));

const text = "Subject: x\r\n\r\n.dot\r\n\u0000\xff bare\rCR\r\n";

interface Case {
  readonly to?: readonly string[];
  readonly files?: FilePort;
  readonly sender?: string;
  readonly content?: Blob;
  readonly signal?: AbortSignal;
  readonly hostname?: string;
}

async function deliver(given: Case = {}) {
  const transport = createMaildirTransport(
    { directory: "./mail", concurrency: 8 },
    {
      name: "maildir",
      hostname: given.hostname ?? "gate/way:test",
      directory: folder,
      clock: systemClock,
      log: { warn: (line) => warnings.push(line) },
      files: given.files ?? nodeFiles,
    },
  );
  const outcomes = new Map<string, Outcome>();
  const report = await transport.deliver(
    {
      id: "M1",
      envelope: { sender: given.sender ?? "from@gateway.test", body: "7bit", smtputf8: false },
      recipients: (given.to ?? ["joe@example.test"]).map((address) => ({ address, original: address })),
      route: { transport: "maildir", nextHop: "" },
      content: given.content ?? createMemoryBlob([Buffer.from(text, "latin1")]),
      more: false,
    },
    {
      settle: ({ address }, outcome) => outcomes.set(address, outcome),
      signal: given.signal ?? new AbortController().signal,
    },
  );
  return { outcomes, report };
}

function box(domain = "example.test", local = "joe") {
  const path = join(folder, "mail", domain, local);
  const list = (name: string) => (existsSync(join(path, name)) ? readdirSync(join(path, name)) : []);
  return { path, list, read: () => readFileSync(join(path, "new", list("new")[0] ?? ""), "latin1") };
}

test("each recipient gets a file in new, trace fields on top, lines as the system's", async () => {
  const { outcomes, report } = await deliver({ to: ["Joe@example.test", "ann@example.test"] });
  const delivered = { status: "delivered", enhanced: "2.0.0", text: "delivered to maildir", remote: "maildir" };
  expect([...outcomes.values()]).toEqual([delivered, delivered]);
  expect(report).toEqual({ destination: "alive" });
  const joe = box();
  const [name = ""] = joe.list("new");
  expect(name).toMatch(/^\d{10}\.M\d{6}P\d+Q\d+R[0-9a-f]{16}\.gate\\057way\\072test,S=\d+$/);
  expect(joe.read()).toBe(
    `Return-Path: <from@gateway.test>\nDelivered-To: Joe@example.test\n${text.replaceAll("\r\n", "\n")}`,
  );
  expect(Number(name.split(",S=")[1])).toBe(statSync(join(joe.path, "new", name)).size);
  expect(joe.list("tmp")).toEqual([]);
  expect(box("example.test", "ann").list("new")).toHaveLength(1);
  for (const part of ["", "new", "tmp", "cur"]) expect(statSync(join(joe.path, part)).mode & 0o777).toBe(0o700);
  expect(statSync(join(joe.path, "new", name)).mode & 0o777).toBe(0o600);
});

test("the null sender has its empty path", async () => {
  await deliver({ sender: "" });
  expect(box().read()).toMatch(/^Return-Path: <>\nDelivered-To: /);
});

test.each([
  "a\r\nb\r\n",
  "\r\n\r\n",
  "a\r\r\nb\n\r\n",
  "ends with CR\r",
  "",
  `${"line of some length\r\n".repeat(40_000)}end`,
])("line ends are found wherever chunks are cut: %#", async (content) => {
  const expected = content.replaceAll("\r\n", "\n");
  const octets = Buffer.from(content, "latin1");
  for (const piece of content.length > 100 ? [65_536, 1023] : [1, 2, 3]) {
    const chunks: Buffer[] = [];
    for (let at = 0; at < octets.length; at += piece) chunks.push(octets.subarray(at, at + piece), Buffer.alloc(0));
    const memory = createMemoryBlob(chunks);
    // As from memory, so from a spool file.
    const spooled: Blob = {
      ...memory,
      sizeBytes: memory.sizeBytes,
      chunks: undefined,
      read: () => memory.read(),
      slice: () => memory,
    };
    for (const [at, blob] of [memory, spooled].entries()) {
      await deliver({ to: [`box${piece}x${at}@example.test`], content: blob });
      const stored = box("example.test", `box${piece}x${at}`).read();
      expect(stored.slice(stored.indexOf("example.test\n") + 13) === expected).toBe(true);
    }
  }
});

test("a hundred messages at once, into boxes that are not there yet, have a hundred names", async () => {
  const all = await Promise.all(
    Array.from({ length: 100 }, (_, at) => deliver({ to: [`joe@d${at % 7}.test`, "joe@example.test"] })),
  );
  for (const { outcomes } of all) for (const { status } of outcomes.values()) expect(status).toBe("delivered");
  expect(box().list("new")).toHaveLength(100);
});

test("the longest hostname makes no name too long", async () => {
  const { outcomes } = await deliver({ hostname: `${"h/".repeat(120)}.test` });
  expect(outcomes.get("joe@example.test")?.status).toBe("delivered");
});

test("the longest address has a box", async () => {
  const address = `"${"/".repeat(240)}"@x.test`;
  expect((await deliver({ to: [address] })).outcomes.get(address)?.status).toBe("delivered");
});

test("an address that is none is returned, the others get their mail", async () => {
  const { outcomes } = await deliver({ to: ["nonsense", "joe@example.test"] });
  expect(outcomes.get("nonsense")).toMatchObject({ status: "bounced", enhanced: "5.1.3" });
  expect(outcomes.get("joe@example.test")?.status).toBe("delivered");
});

test("what was not begun when the delivery is aborted is not settled", async () => {
  const controller = new AbortController();
  const files = watchedFiles((step) => step === "rename" && controller.abort());
  const to = Array.from({ length: 20 }, (_, at) => `u${at}@example.test`);
  const { outcomes } = await deliver({ to, files, signal: controller.signal });
  expect(outcomes.size).toBeGreaterThan(0);
  expect(outcomes.size).toBeLessThan(20);
});

function fault(code: string, message = `${code}: no`): Error {
  return Object.assign(new Error(message), { code });
}

describe("a fault is a deferral and leaves nothing", () => {
  test.each<[Step, string, string, "alive" | "throttled"]>([
    ["writev", "ENOSPC", "4.3.1", "throttled"],
    ["open", "ENOSPC", "4.3.1", "throttled"],
    ["rename", "ENOSPC", "4.3.1", "throttled"],
    ["open", "EROFS", "4.3.0", "throttled"],
    ["writev", "EDQUOT", "4.2.2", "alive"],
    ["datasync", "EIO", "4.3.0", "alive"],
    ["close", "EIO", "4.3.0", "alive"],
    ["rename", "EIO", "4.3.0", "alive"],
    ["open", "EMFILE", "4.3.0", "alive"],
    ["open", "EACCES", "4.3.0", "alive"],
    ["open", "ENOENT", "4.3.0", "alive"],
  ])("%s failing with %s", async (step, code, enhanced, destination) => {
    await deliver(); // the folders are there
    const files = watchedFiles((at, path) => {
      if (at === step && path.includes("/tmp/")) throw fault(code, `${code}: no, '${path}'`);
    });
    const { outcomes, report } = await deliver({ files, to: ["joe@example.test"] });
    const outcome = outcomes.get("joe@example.test");
    expect(outcome).toMatchObject({ status: "deferred", enhanced });
    expect(outcome?.text).not.toMatch(/[/\\]|E[A-Z]{3}/);
    expect(report).toMatchObject({ destination });
    expect(report.retryAfterMs).toBe(destination === "throttled" ? 60_000 : undefined);
    expect(warnings.join()).toContain(folder);
    expect(box().list("tmp")).toEqual([]);
    expect(box().list("new")).toHaveLength(1);
  });

  test("of a folder that cannot be synced, too: then the message may come twice", async () => {
    await deliver();
    const files = watchedFiles((step, path) => {
      if (step === "sync" && path.endsWith("/new")) throw fault("EIO");
    });
    expect((await deliver({ files })).outcomes.get("joe@example.test")?.status).toBe("deferred");
  });

  test("one box without room for its folder leaves the others alone", async () => {
    mkdirSync(join(folder, "mail/example.test"), { recursive: true });
    writeFileSync(join(folder, "mail/example.test/joe"), "a file");
    const { outcomes, report } = await deliver({ to: ["joe@example.test", "ann@example.test"] });
    expect(outcomes.get("joe@example.test")).toMatchObject({ status: "deferred", enhanced: "4.3.0" });
    expect(outcomes.get("ann@example.test")?.status).toBe("delivered");
    expect(report.destination).toBe("alive");
  });

  test("content that cannot be read", async () => {
    const content: Blob = {
      sizeBytes: 100,
      chunks: undefined,
      async *read() {
        yield Buffer.from("Subject: half\r\n");
        throw new Error("damaged");
      },
      slice: () => content,
    };
    expect((await deliver({ content })).outcomes.get("joe@example.test")?.status).toBe("deferred");
    expect(box().list("tmp")).toEqual([]);
    expect(box().list("new")).toEqual([]);
  });

  test.skipIf(process.getuid?.() === 0)("a folder that may not be written", async () => {
    mkdirSync(join(folder, "mail"));
    chmodSync(join(folder, "mail"), 0o500);
    expect((await deliver()).outcomes.get("joe@example.test")?.status).toBe("deferred");
  });
});

test("short writes go on where they ended", async () => {
  await deliver({ files: watchedFiles(() => {}, 3) });
  expect(box().read().endsWith(text.replaceAll("\r\n", "\n"))).toBe(true);
});

describe("on stable storage", () => {
  function recorder() {
    const calls: string[] = [];
    const files = watchedFiles((step, path) => {
      calls.push(`${step} ${path.slice(folder.length).replace(/\d{10}\..*/, "FILE")}`);
    });
    return { calls, files };
  }
  const message = [
    "open /mail/example.test/joe/tmp/FILE",
    "writev /mail/example.test/joe/tmp/FILE",
    "datasync /mail/example.test/joe/tmp/FILE",
    "close /mail/example.test/joe/tmp/FILE",
    "rename /mail/example.test/joe/tmp/FILE",
    "open /mail/example.test/joe/new",
    "sync /mail/example.test/joe/new",
    "close /mail/example.test/joe/new",
  ];

  test("first the message, then its name", async () => {
    await deliver();
    const { calls, files } = recorder();
    await deliver({ files });
    expect(calls).toEqual(message);
  });

  test("a new box and every new folder above, before tmp tells others that all is there", async () => {
    const { calls, files } = recorder();
    await deliver({ files });
    expect(calls.filter((call) => !/^(?:open|close)(?! .*FILE)/.test(call))).toEqual([
      "open /mail/example.test/joe/tmp/FILE",
      "mkdir /mail/example.test/joe/new",
      "mkdir /mail/example.test/joe/cur",
      "sync /mail/example.test/joe",
      "sync /mail/example.test",
      "sync /mail",
      "sync ",
      "mkdir /mail/example.test/joe/tmp",
      ...message.filter((call) => !/^(?:open|close)(?! .*FILE)/.test(call)),
    ]);
  });

  test("a box that somebody left half made is finished and synced", async () => {
    mkdirSync(join(folder, "mail/example.test/joe/new"), { recursive: true });
    const { calls, files } = recorder();
    await deliver({ files });
    expect(calls.filter((call) => call.startsWith("sync"))).toEqual([
      "sync /mail/example.test/joe",
      "sync /mail/example.test",
      "sync /mail",
      "sync /mail/example.test/joe/new",
    ]);
  });

  test("it is settled after all of that", async () => {
    const { calls, files } = recorder();
    const { outcomes } = await deliver({ files });
    expect(outcomes.size).toBe(1);
    expect(calls.at(-1)).toBe("close /mail/example.test/joe/new");
  });
});

test("a large message is stored whole", async () => {
  const line = `${"0123456789".repeat(7)}\r\n`;
  const content = createMemoryBlob(Array.from({ length: 3_000 }, () => Buffer.from(line.repeat(20))));
  await deliver({ content });
  const stored = box().read();
  const digest = (value: string) => createHash("sha256").update(value, "latin1").digest("hex");
  expect(digest(stored.slice(stored.indexOf("0123")))).toBe(digest(line.repeat(60_000).replaceAll("\r", "")));
});
