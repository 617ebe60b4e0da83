// Real folders and files; faults by a file port that fails where it is told to.
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createMemoryBlob, systemClock, type Outcome } from "@postern/core";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createMaildirTransport } from "./maildir-transport.ts";
import { nodeFiles, type FilePort, type OpenFile } from "./maildir.ts";
import { mailboxPath } from "./mailbox-path.ts";

let folder = "";
const warnings: string[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "postern-maildir-"));
  warnings.length = 0;
});
afterEach(() => rmSync(folder, { recursive: true }));

const text = "Subject: x\r\n\r\n.dot\r\n\u0000\xff bare\rCR\r\n";

async function deliver(addresses: readonly string[], files: FilePort = nodeFiles, sender = "from@gateway.test") {
  const transport = createMaildirTransport(
    { directory: "./mail" },
    {
      name: "maildir",
      hostname: "gate/way:test",
      directory: folder,
      clock: systemClock,
      log: { warn: (line) => warnings.push(line) },
      files,
    },
  );
  const outcomes = new Map<string, Outcome>();
  const report = await transport.deliver(
    {
      id: "M1",
      envelope: { sender, body: "7bit", smtputf8: false },
      recipients: addresses.map((address) => ({ address, original: address })),
      route: { transport: "maildir", nextHop: "" },
      content: createMemoryBlob([Buffer.from(text.slice(0, 7), "latin1"), Buffer.from(text.slice(7), "latin1")]),
      more: false,
    },
    { settle: ({ address }, outcome) => outcomes.set(address, outcome), signal: new AbortController().signal },
  );
  return { outcomes, report };
}

function box(domain: string, local: string) {
  const path = join(folder, "mail", domain, local);
  return { path, list: (name: string) => (existsSync(join(path, name)) ? readdirSync(join(path, name)) : []) };
}

test("each recipient gets a file in new, trace fields on top, octets unchanged", async () => {
  const { outcomes, report } = await deliver(["Joe@Example.test", "ann@example.test"]);
  expect(outcomes.get("Joe@Example.test")).toEqual({
    status: "delivered",
    enhanced: "2.0.0",
    text: "delivered to maildir",
  });
  expect(report).toEqual({ destination: "alive" });
  const joe = box("example.test", "joe");
  const [name = ""] = joe.list("new");
  expect(name).toMatch(/^\d{10}\.M\d{6}P\d+Q\d+R[0-9a-f]{16}\.gate\\057way\\072test$/);
  expect(readFileSync(join(joe.path, "new", name)).toString("latin1")).toBe(
    `Return-Path: <from@gateway.test>\r\nDelivered-To: Joe@Example.test\r\n${text}`,
  );
  expect(joe.list("tmp")).toEqual([]);
  expect(box("example.test", "ann").list("new")).toHaveLength(1);
  for (const part of ["", "new", "tmp", "cur"]) expect(statSync(join(joe.path, part)).mode & 0o777).toBe(0o700);
  expect(statSync(join(joe.path, "new", name)).mode & 0o777).toBe(0o600);
});

test("the null sender has its empty path", async () => {
  await deliver(["joe@example.test"], nodeFiles, "");
  const joe = box("example.test", "joe");
  expect(readFileSync(join(joe.path, "new", joe.list("new")[0] ?? ""), "latin1")).toMatch(
    /^Return-Path: <>\r\nDelivered-To: /,
  );
});

test("a hundred messages at once have a hundred names", async () => {
  await Promise.all(Array.from({ length: 100 }, () => deliver(["joe@example.test"])));
  expect(box("example.test", "joe").list("new")).toHaveLength(100);
});

test.each([
  ["joe@example.test", "example.test", "joe"],
  ["JOE+Tag@EXAMPLE.test", "example.test", "joe+tag"],
  ['"../../etc"@example.test', "example.test", "%2E.%2F..%2Fetc"],
  ['".."@example.test', "example.test", "%2E."],
  ['"a/b\\\\c"@example.test', "example.test", "a%2Fb%5Cc"],
  ['"100%"@example.test', "example.test", "100%25"],
  ['""@example.test', undefined, undefined],
  ["joe@[192.0.2.1]", "%5B192.0.2.1%5D", "joe"],
  ["jürgen@bücher.test", "xn--bcher-kva.test", "j%C3%BCrgen"],
  ["no-domain", undefined, undefined],
])("%s", (address, domain, local) => {
  expect(mailboxPath(address)).toEqual(domain === undefined ? undefined : [domain, local]);
});

test("addresses that differ have folders that differ", () => {
  const addresses = ['"a/b"@x.test', '"a%2Fb"@x.test', "a@x.test", '"a."@x.test', '".a"@x.test', '"%2Ea"@x.test'];
  expect(new Set(addresses.map((address) => mailboxPath(address)?.join("/"))).size).toBe(addresses.length);
});

type Step = "open" | "writev" | "sync" | "rename" | "mkdir";

/** Fails at one kind of call with a code; counts what is synced. */
function failing(step: Step, code: string): FilePort {
  const fail = (at: Step): void => {
    if (at === step) throw Object.assign(new Error(`${code}: no`), { code });
  };
  return {
    async open(path, flags, mode): Promise<OpenFile> {
      fail("open");
      const file = await nodeFiles.open(path, flags, mode);
      return {
        async writev(buffers) {
          fail("writev");
          return file.writev(buffers);
        },
        async sync() {
          fail("sync");
          return file.sync();
        },
        close: () => file.close(),
      };
    },
    async mkdir(path, options) {
      fail("mkdir");
      return nodeFiles.mkdir(path, options);
    },
    async rename(from, to) {
      fail("rename");
      return nodeFiles.rename(from, to);
    },
    unlink: (path) => nodeFiles.unlink(path),
  };
}

test.each([
  ["writev", "ENOSPC", "4.3.1"],
  ["mkdir", "ENOSPC", "4.3.1"],
  ["writev", "EDQUOT", "4.2.2"],
  ["sync", "EIO", "4.3.0"],
  ["rename", "EIO", "4.3.0"],
  ["open", "EMFILE", "4.3.0"],
  ["open", "EACCES", "4.2.0"],
] as const)("%s failing with %s is %s for now, and leaves nothing", async (step, code, enhanced) => {
  // The folders are there, unless making them is what fails.
  if (step !== "mkdir") await deliver(["joe@example.test"]);
  const before = box("example.test", "joe").list("new").length;
  const { outcomes } = await deliver(["joe@example.test"], failing(step, code));
  expect(outcomes.get("joe@example.test")).toMatchObject({ status: "deferred", enhanced });
  expect(outcomes.get("joe@example.test")?.text).not.toContain(folder);
  expect(warnings.join()).toContain(folder);
  expect(box("example.test", "joe").list("tmp")).toEqual([]);
  expect(box("example.test", "joe").list("new")).toHaveLength(before);
});

test("a short write goes on where it ended", async () => {
  const short: FilePort = {
    ...nodeFiles,
    async open(path, flags, mode) {
      const file = await nodeFiles.open(path, flags, mode);
      return {
        writev: ([first = new Uint8Array()]) => file.writev([first.subarray(0, 3)]),
        sync: () => file.sync(),
        close: () => file.close(),
      };
    },
  };
  await deliver(["joe@example.test"], short);
  const joe = box("example.test", "joe");
  expect(readFileSync(join(joe.path, "new", joe.list("new")[0] ?? ""), "latin1").endsWith(text)).toBe(true);
});

test("message, folder and every new folder above are synced, in this order", async () => {
  const calls: string[] = [];
  const spying: FilePort = {
    ...nodeFiles,
    async open(path, flags, mode) {
      const file = await nodeFiles.open(path, flags, mode);
      const short = path.slice(folder.length).replace(/\d{10}\..*/, "FILE");
      return {
        writev: (buffers) => file.writev(buffers),
        close: () => file.close(),
        sync() {
          calls.push(`sync ${short}`);
          return file.sync();
        },
      };
    },
    rename(from, to) {
      calls.push("rename");
      return nodeFiles.rename(from, to);
    },
  };
  await deliver(["joe@example.test"], spying);
  expect(calls).toEqual([
    "sync /mail/example.test/joe",
    "sync /mail/example.test",
    "sync /mail",
    "sync ",
    "sync /mail/example.test/joe/tmp/FILE",
    "rename",
    "sync /mail/example.test/joe/new",
  ]);
});

test.skipIf(process.getuid?.() === 0)("a folder that may not be written is a deferral", async () => {
  mkdirSync(join(folder, "mail"));
  chmodSync(join(folder, "mail"), 0o500);
  const { outcomes } = await deliver(["joe@example.test"]);
  expect(outcomes.get("joe@example.test")?.status).toBe("deferred");
});
