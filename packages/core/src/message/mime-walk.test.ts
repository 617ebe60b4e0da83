// The parts of a message, wherever the network cut it, in memory and in a file.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createFileBlob } from "./file-blob.ts";
import { createMemoryBlob } from "./memory-blob.ts";
import { MimeAmbiguity } from "./mime-ambiguity.ts";
import { MimeLimit, type MimeLimits } from "./mime-limits.ts";
import { walkParts, partsInMemory, type MimePart } from "./mime-walk.ts";
import { createMessage, openMessage } from "./parsed-message.ts";
import type { Message } from "./message.ts";

let directory: string;
beforeAll(async () => void (directory = await mkdtemp(join(tmpdir(), "postern-mime-"))));
afterAll(() => rm(directory, { recursive: true }));

const lines = (text: string): string => text.replace(/^\n/, "").replaceAll("\n", "\r\n");
const memory = (...texts: readonly string[]): Message =>
  createMessage(createMemoryBlob(texts.map((text) => Buffer.from(text, "latin1"))));

async function textOf(pieces: AsyncIterable<Buffer>): Promise<string> {
  const all: Buffer[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all).toString("latin1");
}

/** `1.1 leaf text/plain [content]`, a leaf decoded. */
async function tell(part: MimePart): Promise<string> {
  const { path, kind, type, fileName } = part;
  const content = kind === "leaf" ? ` [${await textOf(part.decoded())}]` : "";
  return `${path} ${kind} ${type.essence}${fileName === undefined ? "" : ` "${fileName}"`}${content}`;
}

async function tellAll(message: Message, limits?: MimeLimits): Promise<string[]> {
  const told: string[] = [];
  for await (const part of walkParts(message, limits)) told.push(await tell(part));
  return told;
}

const nested = lines(`
Content-Type: multipart/mixed; boundary="outer"

preamble
--outer
Content-Type: multipart/alternative; boundary=outer-1

--outer-1

one

two
--outer-1\t
Content-Type: text/html
Content-Transfer-Encoding: quoted-printable

a=3Db=
c  \t
d
--outer-1--
epilogue
--outer-1
no part
--outer
Content-Type: message/rfc822

Subject: inside
Content-Type: multipart/digest; boundary=digest

--digest

Subject: in a digest

digested
--digest--
--outer
Content-Type: application/octet-stream; name="old.bin"
Content-Disposition: attachment; filename*=utf-8''n%C3%A4me.exe
Content-Transfer-Encoding: BASE64

SGVsbG8s
IHdvcmxkIQ==
--outer--  
--outer
no part either
`);
const nestedParts = [
  "1.1.1 leaf text/plain [one\r\n\r\ntwo]",
  "1.1.2 leaf text/html [a=bc\r\nd]",
  "1.1 multipart multipart/alternative",
  "1.2.1.1.1 leaf text/plain [digested]",
  "1.2.1.1 message message/rfc822",
  "1.2.1 multipart multipart/digest",
  "1.2 message message/rfc822",
  '1.3 leaf application/octet-stream "näme.exe" [Hello, world!]',
  "1 multipart multipart/mixed",
];

describe("walkParts", () => {
  const cases: readonly [what: string, raw: string, parts: readonly string[]][] = [
    ["no MIME at all", "Subject: x\n\nhello\n", ["1 leaf text/plain [hello\r\n]"]],
    ["no body", "Subject: x\n", ["1 leaf text/plain []"]],
    ["nothing", "", ["1 leaf text/plain []"]],
    ["everything nested", nested, nestedParts],
    ["a boundary that begins like another", "Content-Type: multipart/mixed; boundary=ab\n\n--ab\n\n--abc\nx\n--ab-\n--ab--\n", ["1.1 leaf text/plain [--abc\r\nx\r\n--ab-]", "1 multipart multipart/mixed"]], // prettier-ignore
    ["an inner boundary that the outer one begins", "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=ab\n\n--ab\n\n1\n--ab--\n--a\n\n2\n--a--\n", ["1.1.1 leaf text/plain [1]", "1.1 multipart multipart/mixed", "1.2 leaf text/plain [2]", "1 multipart multipart/mixed"]], // prettier-ignore
    ["inner and outer with one boundary", "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=a\n\n--a\n\n1\n--a--\n--a--\n", ["1.1.1 leaf text/plain [1]", "1.1 multipart multipart/mixed", "1 multipart multipart/mixed"]], // prettier-ignore
    ["no close delimiter", "Content-Type: multipart/mixed; boundary=a\n\n--a\n\nx\n--a\n\ny\n", ["1.1 leaf text/plain [x]", "1.2 leaf text/plain [y\r\n]", "1 multipart multipart/mixed"]], // prettier-ignore
    ["inner parts that only the outer delimiter ends", "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\nSubject: x\n--a\n\ny\n--a--\n", ["1.1.1.1 leaf text/plain []", "1.1.1 message message/rfc822", "1.1 multipart multipart/mixed", "1.2 leaf text/plain [y]", "1 multipart multipart/mixed"]], // prettier-ignore
    ["a delimiter right behind the header", "Content-Type: multipart/mixed; boundary=a\n\n--a\n\n--a\nSubject: x\n--a--", ["1.1 leaf text/plain []", "1.2 leaf text/plain []", "1 multipart multipart/mixed"]], // prettier-ignore
    ["an empty line as content", "Content-Type: multipart/mixed; boundary=a\n\n--a\n\n\n--a--", ["1.1 leaf text/plain []", "1 multipart multipart/mixed"]], // prettier-ignore
    ["a multipart without a boundary", "Content-Type: multipart/mixed\n\n--a\n\nx\n--a--", ["1 leaf multipart/mixed [--a\r\n\r\nx\r\n--a--]"]], // prettier-ignore
    ["parts that never come", "Content-Type: multipart/mixed; boundary=a\n\ntext\n", ["1 multipart multipart/mixed"]],
    ["a header that ends without a blank line", "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: text/html\nno field\n\nx\n--a--", ["1.1 leaf text/html [no field\r\n\r\nx]", "1 multipart multipart/mixed"]], // prettier-ignore
    ["a header that begins with a continuation", "Content-Type: multipart/mixed; boundary=a\n\n--a\n Content-Type: text/html\n\nx\n--a--", ["1.1 leaf text/plain [ Content-Type: text/html\r\n\r\nx]", "1 multipart multipart/mixed"]], // prettier-ignore
    ["a message that should not be encoded", "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeA==\n", ["1 leaf message/rfc822 [Subject: x]"]], // prettier-ignore
    ["a message that comes from a mailbox", "Content-Type: message/rfc822\n\nFrom me@here Mon Jul  7\nContent-Type: text/html\n\nx\n", ["1.1 leaf text/html [x\r\n]", "1 message message/rfc822"]], // prettier-ignore
    ["a boundary in quotes, with blanks and folding", 'Content-Type: multipart/mixed;\n\tboundary="a b ?=\'"\n\n--a b ?=\'\n\nx\n--a b ?=\'--\n', ["1.1 leaf text/plain [x]", "1 multipart multipart/mixed"]], // prettier-ignore
    ["a boundary beyond ASCII", 'Content-Type: multipart/mixed; boundary="\xfc\xc3"\n\n--\xfc\xc3\n\nx\n', ["1.1 leaf text/plain [x\r\n]", "1 multipart multipart/mixed"]], // prettier-ignore
    ["a boundary beyond ASCII, in UTF-8", 'Content-Type: multipart/mixed; boundary="\xc3\xbc"\n\n--\xc3\xbc\n\nx\n', ["1.1 leaf text/plain [x\r\n]", "1 multipart multipart/mixed"]], // prettier-ignore
  ];
  it.each(cases)("%s", async (_, text, parts) => {
    const raw = text.includes("\r\n") ? text : lines(text);
    const bodyAt = memory(raw).sizeBytes - memory(raw).body.sizeBytes;
    for (let at = 0; at <= raw.length; at++) {
      const message = memory(raw.slice(0, at), raw.slice(at));
      const told = Array.from(
        partsInMemory(message) ?? [],
        ({ path, kind, type }) => `${path} ${kind} ${type.essence}`,
      );
      expect(told).toEqual(parts.map((part) => part.replace(/ ["[].*/s, "")));
    }
    expect(await tellAll(memory(raw))).toEqual(parts);
    // Piece by piece of one octet, as a blob that is not in memory may come.
    const octetwise = memory(raw);
    const body = Buffer.from(raw, "latin1").subarray(bodyAt);
    const slow = {
      ...octetwise,
      headers: octetwise.headers,
      body: {
        sizeBytes: body.length,
        chunks: undefined,
        slice: (start: number, end?: number) => octetwise.body.slice(start, end),
        read: async function* () {
          for (let at = 0; at < body.length; at++) yield body.subarray(at, at + 1);
        },
      },
    };
    expect(await tellAll(slow)).toEqual(parts);
  });

  it("says where parts stand in the body", async () => {
    const message = memory(nested);
    const body = await textOf(message.body.read());
    for await (const part of walkParts(message)) {
      expect(await textOf(part.body.read())).toBe(body.slice(part.start, part.end));
      if (part.depth === 0) continue;
      const fields = Array.from(part.headers, ({ raw }) => raw.toString("latin1")).join("");
      expect(body.slice(part.headerStart, part.start)).toBe(`${fields}\r\n`);
    }
  });

  it("reads a file once, piece by piece, and shares its octets", async () => {
    const path = join(directory, "message");
    const content = `--b\r\nContent-Transfer-Encoding: base64\r\n\r\n${`${"QUJD".repeat(18)}\r\n`.repeat(40_000)}`;
    const text = `Content-Type: multipart/mixed; boundary=b\r\n\r\n${content}${content}--b--\r\n`;
    await writeFile(path, text);
    const message = await openMessage(createFileBlob(path, text.length));
    const sizes: number[] = [];
    for await (const part of walkParts(message)) {
      expect(part.body.chunks).toBeUndefined();
      let octets = 0;
      for await (const piece of part.decoded()) octets += piece.length;
      sizes.push(octets);
    }
    expect(sizes.slice(0, 2)).toEqual([54 * 40_000, 54 * 40_000]);
  });

  it("has the whole body of each part that holds others", async () => {
    const all = new Map(Array.from(partsInMemory(memory(nested)) ?? [], (part) => [part.path, part]));
    const body = await textOf(all.get("1.1")?.body.read() ?? memory("").body.read());
    expect(body.startsWith("--outer-1\r\n\r\none")).toBe(true);
    expect(body.endsWith("\r\n--outer-1--\r\nepilogue\r\n--outer-1\r\nno part")).toBe(true);
    expect(await textOf(all.get("1")?.body.read() ?? memory("").body.read())).toBe(nested.slice(nested.indexOf("preamble"))); // prettier-ignore
  });
});

describe("what goes beyond a limit is told", () => {
  const within = "Content-Type: multipart/mixed; boundary=a\r\n\r\n";
  const deep = Array.from(
    { length: 7 },
    (_, at) => `Content-Type: multipart/mixed; boundary=b${at}\r\n\r\n--b${at}\r\n`,
  );
  const messages = "Content-Type: message/rfc822\r\n\r\n".repeat(7);
  const cases: readonly [limit: keyof MimeLimits, most: number, sound: string, beyond: string][] = [
    ["depth", 7, deep.join(""), `${deep.join("")}Content-Type: message/rfc822\r\n\r\nx`],
    ["depth", 7, messages, `${messages}Content-Type: message/rfc822\r\n\r\nx`],
    ["parts", 4, within + "--a\r\n\r\n".repeat(3), within + "--a\r\n\r\n".repeat(4)],
    ["partHeaderBytes", 100, `${within}--a\r\nX: ${"y".repeat(95)}\r\n\r\n`, `${within}--a\r\nX: ${"y".repeat(96)}\r\n\r\n`],
    ["headerBytes", 100, within + "--a\r\nX: 45678\r\n\r\n".repeat(10), within + "--a\r\nX: 45678\r\n\r\n".repeat(11)],
    ["boundaryBytes", 9, within.replace("=a", "=123456789"), within.replace("=a", "=1234567890")],
  ]; // prettier-ignore
  it.each(cases)("%s of %i", async (limit, most, sound, beyond) => {
    await tellAll(memory(sound), { [limit]: most });
    const failed = await tellAll(memory(beyond), { [limit]: most }).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(MimeLimit);
    expect(failed).toMatchObject({ limit, reason: "unscannable", code: "SCANNER_FAILED" });
  });

  it("a line of 300,000 octets is no header of a part, and one of that length that is breaks the limit before it ends", async () => {
    const long = "y".repeat(300_000);
    expect((await tellAll(memory(`${within}--a\r\n${long}`))).at(0)?.length).toBe(300_000 + "1.1 leaf text/plain []".length); // prettier-ignore
    await expect(tellAll(memory(`${within}--a\r\nX: ${long}`))).rejects.toMatchObject({ limit: "partHeaderBytes" });
  });
});

describe("what mail programs read differently is told", () => {
  const plain = "Content-Type: text/plain";
  const parts = (boundary: string) => `Content-Type: multipart/mixed; boundary=${boundary}`;
  it.each([
    ["a second type that has parts", [plain, parts("b")]],
    ["a first one that has", [parts("b"), plain]],
    ["a second type that is a message", [plain, "Content-Type: message/rfc822"]],
    ["two types with two boundaries", [parts("a"), parts("b")]],
    ["two boundaries in one field", [parts("a; boundary=b")]],
    ["two by RFC 2231 and without", [parts("a; boundary*=utf-8''b")]],
    ["two first pieces of one", [parts("").replace("boundary=", "boundary*0=a; boundary*0=b")]],
    ["a comment in a boundary", [parts("a(b)c")]],
    ["two encodings", ["Content-Transfer-Encoding: base64", "Content-Transfer-Encoding: 7bit"]],
  ])("%s", async (_, fields) => {
    const header = `${fields.join("\r\n")}\r\n\r\n`;
    const inner = `Content-Type: multipart/mixed; boundary=z\r\n\r\n--z\r\n${header}`;
    for (const raw of [header, inner]) {
      const failed = await tellAll(memory(`${raw}--b\r\nContent-Type: x/exe\r\n\r\nMZ\r\n--b--\r\n`)).catch(
        (error: unknown) => error,
      );
      expect(failed).toBeInstanceOf(MimeAmbiguity);
      expect(failed).toMatchObject({ reason: "unscannable" });
    }
  });

  it.each([
    ["behind a field", "Content-Type: text/plain\r\nno field\r\nContent-Disposition: attachment; filename=x.exe"],
    ["in its first line", "no field\r\n continued\r\nX: y\r\nContent-Transfer-Encoding: base64"],
  ])("a header of a part that goes on behind a line that is no field, %s", async (_, header) => {
    const raw = `${parts("a")}\r\n\r\n--a\r\n${header}\r\n\r\nTVqQ\r\n--a--\r\n`;
    for (let at = 0; at <= raw.length; at += 1) {
      await expect(tellAll(memory(raw.slice(0, at), raw.slice(at)))).rejects.toBeInstanceOf(MimeAmbiguity);
    }
    const far = header.replace("no field", `no field\r\n${"text\r\n".repeat(1_000)}`);
    for (const sound of [raw.replace("no field", "no field\r\n"), raw.replace(header, far)]) {
      expect(await tellAll(memory(sound))).toHaveLength(2);
    }
  });

  it("a part that begins in the header, for those whose header ends where a line is no field", async () => {
    const header = [parts("a"), "no field", "--a", "Content-Transfer-Encoding: base64"].join("\r\n");
    await expect(tellAll(memory(`${header}\r\n\r\nTVqQ\r\n--a--\r\n`))).rejects.toBeInstanceOf(MimeAmbiguity);
  });

  it.each([
    ["one type said twice", [parts("a"), parts('"a"; charset=x')]],
    ["two types of leaves", [plain, "Content-Type: text/html"]],
    ["a name with and without RFC 2231", [`${plain}; name=x; name*=utf-8''%C3%A4`]],
    ["a quoted parenthesis", [parts('"a(b)c"')]],
    ["a comment behind a boundary", [parts("a (b)")]],
    ["one encoding said twice", ["Content-Transfer-Encoding: base64", "content-transfer-encoding: BASE64"]],
  ])("but not %s", async (_, fields) => {
    await tellAll(memory(`${fields.join("\r\n")}\r\n\r\nx`));
  });
});

it("a message in memory does not keep others waiting while it is gone through", async () => {
  const message = memory(
    `Content-Type: multipart/mixed; boundary=a\r\n\r\n`,
    ...Array(32).fill("--\r\n".repeat(16_384)),
  );
  let turns = 0;
  let over = false;
  const count = (): void => {
    turns += 1;
    if (!over) setImmediate(count);
  };
  setImmediate(count);
  await tellAll(message);
  over = true;
  expect(turns).toBeGreaterThanOrEqual(4);
});

it.each([
  ["lines of hyphens", "--\r\n".repeat(1_000_000)],
  ["almost delimiters", "--ab\r\n".repeat(700_000)],
  ["hyphens without an end", "-".repeat(4_000_000)],
  ["a delimiter that is followed by blanks", `--a${" ".repeat(4_000_000)}`],
  ["empty lines", "\r\n".repeat(2_000_000)],
  ["very many parts", "--a\r\n\r\n".repeat(100_000)],
])("costs no more than its length: %s", async (_, body) => {
  const started = process.cpuUsage();
  const raw = Buffer.from(`Content-Type: multipart/mixed; boundary=a\r\n\r\n${body}`);
  const message = createMessage(createMemoryBlob([raw]));
  let parts = 0;
  for await (const { start } of walkParts(message, { parts: 1_000_000 })) parts += start >= 0 ? 1 : 0;
  expect(parts).toBeLessThanOrEqual(100_001);
  // A hundred times what it takes; a quadratic walk would not come back today.
  expect(process.cpuUsage(started).user / 1e6).toBeLessThan(60);
});
