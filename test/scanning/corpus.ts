// Mail that is meant to harm whoever looks into it, and mail as it is, damaged at random; all from a seed, CRLF line ends unless that is
// the harm. What a gateway refuses before anybody scans (bare CR and LF, NUL) is here too: a scanner may be asked by other ways.
import { crc32, deflateRawSync } from "node:zlib";
import { randomFrom } from "../sampling.ts";

export interface BadMail {
  readonly name: string;
  readonly content: Buffer;
}

export interface CorpusOptions {
  /** How large the large ones are, in octets: 20 MB. Counts of parts, fields and levels go with it. */
  readonly largeBytes?: number;
}

const crlf = "\r\n";
const top = (fields: readonly string[] = []): string =>
  ["From: a@source.test", "To: b@example.test", "Subject: bad", "MIME-Version: 1.0", ...fields, ""].join(crlf);
const message = (fields: readonly string[], body: string): Buffer =>
  Buffer.from(`${top(fields)}${crlf}${body}`, "latin1");
const mixed = (boundary = "b"): string => `Content-Type: multipart/mixed; boundary="${boundary}"`;

/** One of each kind. */
export function badMail(seed: number, { largeBytes = 20_000_000 }: CorpusOptions = {}): BadMail[] {
  const random = randomFrom(seed);
  const below = (limit: number): number => Math.floor(random() * limit);
  const noise = (length: number): Buffer => Buffer.from(Array.from({ length }, () => below(256)));
  const depth = Math.min(Math.ceil(largeBytes / 50), 10_000);
  const kinds: readonly [name: string, make: () => Buffer][] = [
    ["multipart within multipart", () => nestedMultiparts(depth)],
    ["messages within messages", () => message(["Content-Type: message/rfc822"], `Content-Type: message/rfc822${crlf}${crlf}`.repeat(depth))],
    ["nesting just below a hundred", () => nestedMultiparts(99)],
    ["thousands of parts", () => message([mixed()], `--b${crlf}${crlf}x${crlf}`.repeat(largeBytes / 20))],
    ["thousands of empty parts", () => message([mixed()], `--b${crlf}`.repeat(largeBytes / 20))],
    ["parts of headers alone", () => message([mixed()], `--b${crlf}Content-Type: text/plain${crlf}`.repeat(largeBytes / 100))],
    ["almost delimiters", () => message([mixed()], `--b-${crlf}`.repeat(largeBytes / 6))],
    ["delimiters with trailing blanks", () => message([mixed()], `--b${" ".repeat(largeBytes / 4)}${crlf}`.repeat(2))],
    ["no close delimiter, no line end", () => message([mixed()], `--b${crlf}${crlf}x${crlf}--b`)],
    ["one boundary for all levels", () => message([mixed()], `--b${crlf}${mixed()}${crlf}${crlf}`.repeat(90))],
    ["boundaries that begin like each other", () => message([mixed("a")], Array.from({ length: 90 }, (_, at) => `--${"a".repeat(at + 1)}${crlf}${mixed("a".repeat(at + 2))}${crlf}${crlf}`).join(""))],
    ["a boundary of 5,000 octets", () => message([mixed("y".repeat(5_000))], `--${"y".repeat(5_000)}${crlf}${crlf}x`)],
    ["an empty boundary", () => message([mixed("")], `--${crlf}${crlf}x${crlf}----${crlf}`)],
    ["a boundary of special characters", () => message([mixed("(.*)+[$^")], `--(.*)+[$^${crlf}${crlf}x${crlf}--(.*)+[$^--`)],
    ["two Content-Type fields", () => message([mixed("a"), mixed("b")], `--a${crlf}${crlf}x${crlf}--b${crlf}${crlf}y${crlf}--b--`)],
    ["ten thousand parameters", () => message([`Content-Type: multipart/mixed${"; a*0*=utf-8''%41".repeat(2_000)}; boundary=b`], `--b${crlf}${crlf}x`)],
    ["comments without an end", () => message([`Content-Type: ${"(".repeat(20_000)}`], "x")],
    ["a header of twenty megabytes", () => Buffer.from(`${top()}${`X-Long: ${"y".repeat(900)}${crlf}`.repeat(largeBytes / 910)}${crlf}x`)],
    ["a field of twenty megabytes", () => Buffer.from(`${top()}X-Long: ${`${"y".repeat(900)}${crlf} `.repeat(largeBytes / 903)}${crlf}${crlf}x`)],
    ["a part's header of twenty megabytes", () => message([mixed()], `--b${crlf}${`X-Long: ${"y".repeat(900)}${crlf}`.repeat(largeBytes / 910)}${crlf}x`)],
    ["a part's header line of twenty megabytes", () => message([mixed()], `--b${crlf}X-Long: ${"y".repeat(largeBytes)}${crlf}${crlf}x`)],
    ["ten thousand fields", () => Buffer.from(`${top()}${Array.from({ length: 9_000 }, (_, at) => `X-${at}: y${crlf}`).join("")}${crlf}x`)],
    ["a header without an end", () => Buffer.from(top().repeat(50))],
    ["no header", () => Buffer.from(` ${crlf}x`)],
    ["nothing", () => Buffer.alloc(0)],
    ["one line of twenty megabytes", () => message([], "x".repeat(largeBytes))],
    ["millions of empty lines", () => message([], crlf.repeat(largeBytes / 2))],
    ["a line without an end in quoted-printable", () => message(["Content-Transfer-Encoding: quoted-printable"], "=41".repeat(largeBytes / 3))],
    ["blanks without an end in quoted-printable", () => message(["Content-Transfer-Encoding: quoted-printable"], " ".repeat(largeBytes))],
    ["padding without an end in base64", () => message(["Content-Transfer-Encoding: base64"], "=".repeat(largeBytes))],
    ["noise in base64", () => message(["Content-Transfer-Encoding: base64"], "-*A".repeat(largeBytes / 3))],
    ["an unknown encoding", () => message(["Content-Transfer-Encoding: x-unheard-of"], "x")],
    ["a zip bomb", () => attachment("bomb.zip", zip("zeros", Buffer.alloc(Math.max(largeBytes * 10, 1_000_000))))],
    ["zips within zips", () => attachment("nested.zip", Array.from({ length: 40 }).reduce<Buffer>((inner) => zip("inner.zip", inner), Buffer.from("x")))],
    ["a zip cut short", () => attachment("cut.zip", zip("a", noise(10_000)).subarray(0, 5_000))],
    ["lone CR", () => message([], "a\rb\r\r\nc\r")],
    ["lone LF", () => Buffer.from(top().replaceAll(crlf, "\n") + "\nx\n.\n")],
    ["a smuggled end of data", () => message([], `x\n.\r\nMAIL FROM:<a@b.test>${crlf}`)],
    ["NUL everywhere", () => message([mixed("\0b")], `--\0b${crlf}Content-Type: te\0xt/plain${crlf}${crlf}\0${crlf}`)],
    ["8-bit everywhere", () => message([mixed("\xff\xfe"), "X-\xe4: \xf6"], `--\xff\xfe${crlf}Content-Type: \xe4/\xf6; name="\xff"${crlf}${crlf}\x80${crlf}`)],
    ["overlong UTF-8", () => message(["Subject: \xc0\xaf\xed\xa0\x80\xf8"], "\xc0\xaf")],
    ["noise", () => noise(20_000)],
    ["noise behind a header", () => Buffer.concat([message([mixed()], `--b${crlf}${crlf}`), noise(20_000)])],
    ["a file name that climbs", () => message([`Content-Disposition: attachment; filename="../../../etc/passwd\0.txt"`], "x")],
    ["encoded words without an end", () => Buffer.from(`${top([`Subject: ${"=?utf-8?q?=C3?= ".repeat(5_000)}`])}${crlf}x`)],
  ]; // prettier-ignore
  return kinds.map(([name, make]) => ({ name, content: make() }));
}

function nestedMultiparts(depth: number): Buffer {
  const levels = Array.from({ length: depth }, (_, at) => `${mixed(`b${at}`)}${crlf}${crlf}--b${at}${crlf}`);
  return Buffer.from(`${top()}${levels.join("")}${crlf}the bottom${crlf}`);
}

export function attachment(name: string, octets: Buffer): Buffer {
  const encoded = octets.toString("base64").replaceAll(/.{76}/g, `$&${crlf}`);
  const fields = ["Content-Type: application/zip", `Content-Disposition: attachment; filename="${name}"`];
  const part = [...fields, "Content-Transfer-Encoding: base64", "", encoded].join(crlf);
  return message([mixed()], `--b${crlf}${crlf}see attachment${crlf}--b${crlf}${part}${crlf}--b--${crlf}`);
}

/** An archive of one file. */
export function zip(name: string, content: Buffer): Buffer {
  const packed = deflateRawSync(content, { level: 9 });
  const title = Buffer.from(name);
  const head = Buffer.alloc(26);
  head.writeUInt16LE(20, 0);
  head.writeUInt16LE(8, 4);
  head.writeUInt32LE(crc32(content), 10);
  head.writeUInt32LE(packed.length, 14);
  head.writeUInt32LE(content.length, 18);
  head.writeUInt16LE(title.length, 22);
  const local = Buffer.concat([Buffer.from("PK\x03\x04", "latin1"), head, title, packed]);
  const entry = Buffer.alloc(14);
  const central = Buffer.concat([Buffer.from("PK\x01\x02\x14\x00", "latin1"), head, entry, title]);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(1, 4);
  end.writeUInt16LE(1, 6);
  end.writeUInt32LE(central.length, 8);
  end.writeUInt32LE(local.length, 12);
  return Buffer.concat([local, central, Buffer.from("PK\x05\x06", "latin1"), end]);
}

/** Sound messages of every ordinary shape; the `index`th is always the same for one seed. */
export function soundMail(seed: number, index: number): Buffer {
  const random = randomFrom(seed * 100_003 + index);
  const below = (limit: number): number => Math.floor(random() * limit);
  const pick = <T>(from: readonly T[]): T => from[below(from.length)] as T;
  const words = ["meeting", "tomorrow", "invoice", "über", "https://example.test/?a=b", "€", "Grüße,", "offer", "ok"];
  const text = (): string => Array.from({ length: 1 + below(9) }, () => pick(words)).join(" ");
  const lines = (): string => Array.from({ length: 1 + below(12) }, () => (below(5) === 0 ? "" : text())).join(crlf);
  let boundaries = 0;
  const names = ["a.txt", '"b c.pdf"', "c.exe"];

  function leaf(): string {
    const type = pick([
      "text/plain; charset=utf-8",
      "text/html; charset=utf-8",
      "application/octet-stream",
      "image/png",
    ]);
    const disposition = below(3) === 0 ? `Content-Disposition: attachment; filename=${pick(names)}${crlf}` : "";
    const octets = Buffer.from(
      below(3) === 0 ? Buffer.from(Array.from({ length: below(900) }, () => below(256))) : lines(),
    );
    const encoding = pick(["base64", "quoted-printable", "8bit"]);
    const head = `Content-Type: ${type}${crlf}${disposition}Content-Transfer-Encoding: ${encoding}${crlf}${crlf}`;
    if (encoding === "base64") return `${head}${octets.toString("base64").replaceAll(/.{76}/g, `$&${crlf}`)}${crlf}`;
    if (encoding === "quoted-printable") return `${head}${quotedPrintable(octets)}${crlf}`;
    return `${head}${Buffer.from(lines()).toString("latin1")}${crlf}`;
  }

  function entity(depth: number): string {
    const kind = depth > 3 ? 0 : below(5);
    if (kind === 1)
      return `Content-Type: message/rfc822${crlf}${crlf}From: x@y.test${crlf}Subject: ${pick(["inside", "fwd"])}${crlf}${entity(depth + 1)}`;
    if (kind > 2) {
      const boundary = `${pick(["b", "=_", "----=_Part_", "Apple-Mail=_"])}${boundaries++}${pick(["", ".x", "'"])}`;
      const parts = Array.from({ length: 1 + below(3) }, () => `--${boundary}${crlf}${entity(depth + 1)}${crlf}`);
      const head = `Content-Type: multipart/${pick(["mixed", "alternative", "related"])};${crlf}\tboundary="${boundary}"${crlf}${crlf}`;
      return `${head}${below(3) === 0 ? `This is a message in MIME format.${crlf}` : ""}${parts.join("")}--${boundary}--${crlf}`;
    }
    return leaf();
  }

  const head = [
    "Received: from a.test (a.test [192.0.2.1])\r\n\tby b.test; Mon, 2 Nov 2026 11:00:00 +0000",
    `From: =?utf-8?q?J=C3=B6?= <joe@source.test>`,
    `To: ann@example.test,${crlf} bob@example.test`,
    `Subject: ${pick(["hello", "Re: =?utf-8?B?w7xiZXI=?=", "offer"])}`,
    `Message-ID: <${index}@source.test>`,
    "Date: Mon, 2 Nov 2026 11:00:00 +0000",
    "MIME-Version: 1.0",
  ];
  return Buffer.from(`${head.join(crlf)}${crlf}${entity(0)}`, "latin1");
}

function quotedPrintable(octets: Buffer): string {
  const escaped = octets.toString("latin1").replaceAll(/[^\x21-\x3c\x3e-\x7e]/g, (octet) => `=${octet.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`); // prettier-ignore
  return escaped.replaceAll(/(?:=..|[^=]){1,70}/g, `$&=${crlf}`).slice(0, -3);
}

const tokens = ["--", crlf, "\r", "\n", "\0", "=", ";", '"', "(", "boundary=", "Content-Type:", "multipart/mixed;", "message/rfc822", "base64", " ", "\xff", "--b0", "--b0--"]; // prettier-ignore

/** The `index`th damaged message: octets changed, pieces cut out, doubled, moved, tokens of the format thrown in. */
export function mutatedMail(seed: number, index: number): Buffer {
  const random = randomFrom(seed * 200_003 + index);
  const below = (limit: number): number => Math.floor(random() * limit);
  let content = soundMail(seed, below(2_000));
  for (let left = 1 + below(12); left > 0; left -= 1) {
    const at = below(content.length + 1);
    const end = Math.min(at + 1 + below(below(4) === 0 ? 2_000 : 40), content.length);
    const piece = content.subarray(at, end);
    const [before, behind] = [content.subarray(0, at), content.subarray(end)];
    switch (below(6)) {
      case 0:
        content = Buffer.concat([before, behind]);
        break;
      case 1:
        content = Buffer.concat([before, piece, piece, behind]);
        break;
      case 2:
        content = Buffer.concat([before, Buffer.from(piece.map(() => below(256))), behind]);
        break;
      case 3:
        content = Buffer.concat([before, Buffer.from(tokens[below(tokens.length)] ?? "", "latin1"), piece, behind]);
        break;
      case 4:
        content = Buffer.concat([piece, before, behind]);
        break;
      default:
        content = Buffer.concat([before, Buffer.from(Array.from({ length: 1 + below(5) }, () => tokens[below(tokens.length)] ?? "").join(""), "latin1"), behind]); // prettier-ignore
    }
  }
  return content;
}
