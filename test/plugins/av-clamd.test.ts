// The plugin against a real clamd: what it finds, what it refuses, and what it says of itself.
import { createHash } from "node:crypto";
import { crc32, deflateRawSync } from "node:zlib";
// oxlint-disable-next-line import/default -- the linter does not know the export condition of the sources
import clamd from "@postern/plugin-av-clamd";
import {
  openPlugin,
  sampleMessage,
  sampleSession,
  sampleTransaction,
  testScanner,
  type OpenPlugin,
  type ScannerTest,
} from "@postern/testkit";
import type { Scanner } from "@postern/core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith, eicar, eicarName, startClamd, temporaryFolder, type Clamd } from "../services/index.ts";

const base64 = (content: string | Buffer): string =>
  (
    Buffer.from(content)
      .toString("base64")
      .match(/.{1,76}/g) ?? []
  ).join("\r\n");

/** One attachment after a text. */
const mime = (attachment: string, type = "application/octet-stream", encoding = "base64", text = "See attachment.") =>
  [
    "Subject: invoice",
    "MIME-Version: 1.0",
    'Content-Type: multipart/mixed; boundary="b"',
    "",
    "--b",
    "Content-Type: text/plain",
    "",
    text,
    "--b",
    `Content-Type: ${type}; name="invoice"`,
    `Content-Transfer-Encoding: ${encoding}`,
    "",
    attachment,
    "--b--",
    "",
  ].join("\r\n");

/** A zip archive of one file. */
function zip(name: string, content: Buffer, encrypted = false): Buffer {
  const packed = deflateRawSync(content);
  const local = Buffer.alloc(30);
  local.writeUInt32LE(0x04034b50, 0);
  local.writeUInt16LE(20, 4);
  local.writeUInt16LE(encrypted ? 1 : 0, 6);
  local.writeUInt16LE(8, 8);
  local.writeUInt32LE(crc32(content), 14);
  local.writeUInt32LE(packed.length, 18);
  local.writeUInt32LE(content.length, 22);
  local.writeUInt16LE(name.length, 26);
  const central = Buffer.alloc(46);
  central.writeUInt32LE(0x02014b50, 0);
  local.copy(central, 6, 4, 30);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(46 + name.length, 12);
  end.writeUInt32LE(30 + name.length + packed.length, 16);
  return Buffer.concat([local, Buffer.from(name), packed, central, Buffer.from(name), end]);
}

const program = "a program that is known by its hash only\n";
const signatures = {
  "known.hdb": `${createHash("md5").update(program).digest("hex")}:${program.length}:Known-Program\n`,
  "known.hsb": `${createHash("sha256").update(`${program}2`).digest("hex")}:${program.length + 1}:Known-Program-2\n`,
  "rules.yar": 'rule Secret_Word { strings: $a = "xyzzy-plugh-plover" condition: $a }\n',
  "phish.ndb": `Heuristics.Own.Phish:0:*:${Buffer.from("verify your account at once").toString("hex")}\n`,
};

describeWith(["clamd"], "clamd", () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let service: Clamd;
  const open: OpenPlugin[] = [];
  beforeAll(async () => {
    folder = temporaryFolder();
    service = await startClamd({
      folder: folder.path,
      signatures,
      lines: ["AlertEncrypted yes", "AlertExceedsMax yes", "MaxRecursion 8", "MaxThreads 2"],
    });
  });
  afterAll(async () => {
    await Promise.all(open.map((plugin) => plugin.close()));
    await service.stop();
    folder[Symbol.dispose]();
  });

  async function pluginAt(address: string | readonly string[], more: object = {}) {
    const plugin = await openPlugin(clamd, { address, onInfected: "reject", onError: "defer", ...more });
    open.push(plugin);
    const [owned] = plugin.scanners;
    if (owned === undefined) throw new Error("no scanner");
    return { plugin, scanner: owned.scanner };
  }
  /** The cases, and what every scanner owes; then the plugin is closed. */
  async function tryAt(address: string | readonly string[], more: object, scannerTest: ScannerTest) {
    const { plugin, scanner } = await pluginAt(address, more);
    await testScanner(scanner, { ...scannerTest, close: () => plugin.close() });
  }

  const infected = (name = eicarName) => `reject 550 5.7.1 infected: ${name}`;
  const inZips = (depth: number): Buffer =>
    Array.from({ length: depth }).reduce<Buffer>((inner, _, at) => zip(`${at}.zip`, inner), Buffer.from(eicar));
  const nested = Array.from({ length: 5 }).reduce<string>(
    (inner) => mime(inner, "message/rfc822", "7bit"),
    mime(base64(eicar)),
  );

  test("finds what is there, by socket and by port, and says when it is too much", async () => {
    for (const address of [`unix:${service.socket}`, `tcp:127.0.0.1:${service.port}`]) {
      await tryAt(
        address,
        {},
        {
          cases: [
            { name: "clean", expect: "none" },
            { name: "empty", message: "", expect: "none" },
            { name: "EICAR in the body", message: `Subject: x\r\n\r\n${eicar}\r\n`, expect: infected() },
            { name: "EICAR in a MIME part", message: mime(base64(eicar)), expect: infected() },
            { name: "EICAR in a zip", message: mime(base64(inZips(1))), expect: infected() },
            { name: "EICAR in zips in a zip", message: mime(base64(inZips(3))), expect: infected() },
            { name: "EICAR in a message in messages", message: nested, expect: infected() },
            {
              name: "a file known by its MD5",
              message: mime(base64(program)),
              expect: infected("Known-Program.UNOFFICIAL"),
            },
            {
              name: "by its SHA-256",
              message: mime(base64(`${program}2`)),
              expect: infected("Known-Program-2.UNOFFICIAL"),
            },
            {
              name: "a YARA rule",
              message: mime(base64("say xyzzy-plugh-plover")),
              expect: infected("YARA.Secret_Word.UNOFFICIAL"),
            },
            { name: "deeper than clamd looks", message: mime(base64(inZips(12))), expect: { fails: "unscannable" } },
            {
              name: "an encrypted zip",
              message: mime(base64(zip("secret", Buffer.from("noise".repeat(20)), true))),
              expect: { fails: "encrypted" },
            },
            { name: "exactly what clamd takes", message: Buffer.alloc(1 << 20, "x"), expect: "none" },
            { name: "one more", message: Buffer.alloc((1 << 20) + 1, "x"), expect: { fails: "tooLarge" } },
            {
              name: "much more, still being sent",
              message: Buffer.alloc(20 << 20, "x"),
              expect: { fails: "tooLarge" },
            },
            { name: "clean after all that", expect: "none" },
          ],
        },
      );
    }
  });

  test("by the name of what was found: a field, nothing, a reason", async () => {
    const phish = "Subject: x\r\n\r\nverify your account at once\r\n";
    const name = "Heuristics.Own.Phish.UNOFFICIAL";
    const address = `unix:${service.socket}`;
    await tryAt(
      address,
      { signatures: { "Heuristics.*": "tag" } },
      {
        cases: [
          { name: "tagged", message: phish, expect: `prepend X-Virus-Found: ${name}` },
          { name: "the rest is refused", message: mime(base64(eicar)), expect: infected() },
        ],
      },
    );
    await tryAt(
      address,
      { signatures: { "Heuristics.Own.*": "unscannable" } },
      {
        cases: [{ name: "a failure", message: phish, expect: { fails: "unscannable" } }],
      },
    );
  });

  test("it says which clamd it is, and that the gateway takes more than clamd", async () => {
    const { plugin, scanner } = await pluginAt(`unix:${service.socket}`, { maxSize: "3MB", header: true });
    await expect.poll(() => plugin.log.join("\n")).toMatch(/ClamAV \d+\.\d+/);
    await expect.poll(() => logOf(plugin)).toContain("takes 1048576 bytes (StreamMaxLength) and the gateway 3");
    expect(scanner.description).toMatch(/ClamAV \d+\.\d+/);
    await testScanner(scanner, {
      close: () => plugin.close(),
      cases: [
        { name: "said beforehand", message: Buffer.alloc((1 << 20) + 1, "x"), expect: { fails: "tooLarge" } },
        { name: "named", expect: /^prepend X-Virus-Scanned: ClamAV \d+\.\d+.* at mx\.example\.test$/ },
      ],
    });
  });

  test("StreamMaxLength is found out to the byte", async () => {
    const own = temporaryFolder();
    await using odd = await startClamd({ folder: own.path, streamMaxBytes: 2_345_678 });
    const { plugin } = await pluginAt(`unix:${odd.socket}`, { maxSize: "50MB" });
    await expect.poll(() => logOf(plugin), { interval: 5 }).toContain("takes 2345678 bytes");
    await plugin.close();
    own[Symbol.dispose]();
  });

  test.each<[what: string, lines: readonly string[], found: RegExp | undefined]>([
    [
      "clamd looks into less than it takes",
      ["MaxFileSize 1M"],
      /finds EICAR in a small message and not in one of 3000000 bytes/,
    ],
    ["it says so itself", ["MaxFileSize 1M", "AlertExceedsMax yes"], undefined],
    ["it looks into all", ["MaxFileSize 20M"], undefined],
  ])("its self test: %s", async (_, lines, found) => {
    const own = temporaryFolder();
    await using one = await startClamd({ folder: own.path, streamMaxBytes: 5_000_000, lines });
    const { plugin } = await pluginAt(`unix:${one.socket}`, { maxSize: "3000000B", selfTest: true });
    if (found !== undefined) {
      await expect.poll(() => logOf(plugin), { interval: 5 }).toMatch(found);
    } else {
      // The clock of the test's stands still: two scans, of which the second ends the test.
      await expect.poll(() => one.log().match(/FOUND/g)?.length ?? logOf(plugin), { interval: 5 }).toBe(2);
      expect(await logOf(plugin)).not.toContain("EICAR");
    }
    await plugin.close();
    own[Symbol.dispose]();
  });

  test("what arrives in pieces is scanned as it arrives", async () => {
    const { scanner } = await pluginAt(`unix:${service.socket}`);
    const { signal } = new AbortController();
    const ask = { session: sampleSession(), transaction: sampleTransaction(), signal };
    for (const [text, expected] of [
      [mime(base64("harmless"), undefined, undefined, "x".repeat(900_000)), undefined],
      [mime(base64(eicar), undefined, undefined, "x\r\n".repeat(300_000)), "reject"],
    ] as const) {
      const message = sampleMessage(text);
      const intake = scanner.begin?.(ask);
      for await (const chunk of message.raw.read()) {
        for (let at = 0; at < chunk.length; at += 60_000) await intake?.write(chunk.subarray(at, at + 60_000));
      }
      const answer = await scanner.scan({ ...ask, message, intake, openSpool: unused });
      expect((answer as { kind?: string } | undefined)?.kind).toBe(expected);
    }
  });

  test("one of two that is dead costs a message nothing", async () => {
    await tryAt(
      [`unix:${folder.path}/nobody.sock`, `unix:${service.socket}`],
      {},
      {
        cases: [
          { name: "clean", expect: "none" },
          { name: "infected", message: mime(base64(eicar)), expect: infected() },
        ],
      },
    );
  });

  test("stopped it is a timeout, continued it scans, dead it is down", async () => {
    const pause = () => service.pause();
    const address = `unix:${service.socket}`;
    await tryAt(
      address,
      {},
      { deadlineMs: 300, cases: [{ name: "stopped", before: pause, expect: { fails: "timeout" } }] },
    );
    service.resume();
    const kill = () => service.kill();
    await tryAt(
      address,
      {},
      {
        cases: [
          { name: "continued", expect: "none" },
          { name: "dead", before: kill, expect: { fails: "down" } },
        ],
      },
    );
    expect(open.flatMap(({ failures }) => failures)).toEqual([]);
  });
});

/** Its log so far; its clock goes on meanwhile. */
async function logOf(plugin: OpenPlugin): Promise<string> {
  await plugin.clock.run(50);
  return plugin.log.join("\n");
}

const unused: Parameters<Scanner["scan"]>[0]["openSpool"] = () => {
  throw new Error("not used");
};
