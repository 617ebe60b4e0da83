/**
 * Finds the parts of a body that comes piece by piece (RFC 2046 §5.1), by searching for lines that begin with two hyphens; no octet is
 * looked at twice, and what is held between two pieces is a header section at most. A delimiter line is "--boundary" and blanks, exactly: a
 * boundary that begins like another is another. The delimiter of an outer part ends all parts within, whether they were closed or not.
 * Offsets are into the body that is pushed.
 */
import { isUtf8 } from "node:buffer";
import type { HeaderList } from "./header-list.ts";
import { MimeLimit, type MimeLimits } from "./mime-limits.ts";
import { assertUnambiguous, MimeAmbiguity } from "./mime-ambiguity.ts";
import { readMediaType, readTransferEncoding, type MediaType } from "./mime-type.ts";
import { ParsedHeaders } from "./parsed-headers.ts";

/** What is inside: nothing that is looked into, parts between delimiters, or one whole message. */
export type PartKind = "leaf" | "multipart" | "message";

interface PartStart {
  readonly path: string;
  readonly depth: number;
  readonly kind: PartKind;
  readonly headers: HeaderList;
  readonly type: MediaType;
  readonly encoding: string;
  /** Where its header section begins; with the message's own it is not in this body, and 0. */
  readonly headerStart: number;
  readonly start: number;
}

/** A part whose end is known. */
export interface PartRange extends PartStart {
  readonly end: number;
}

interface OpenPart extends PartStart {
  /** "--boundary" of a multipart that has not been closed. */
  delimiter: string | undefined;
  children: number;
}

const crlf = Buffer.from("\r\n", "latin1");
const hyphens = Buffer.from("\r\n--", "latin1");
const hyphen = 0x2d;
/** A field's first line. */
const fieldLine = /^[\u0021-\u0039\u003b-\u007e]+[ \t]*:/;
/** What mailboxes put before a message, and some leave there when they attach it. */
const fromLine = /^>?From /;
/** What says what a part is. */
const partField = /^content-(?:type|transfer-encoding|disposition)[ \t]*:/i;
/** How far a header is looked for behind a line that is no field. */
const raggedBytes = 4096;
const blankStart = /^[ \t]/;
/** What a line that cannot be a field is looked at for. */
const fieldNameBytes = 1024;
const nestedTypes: ReadonlySet<string> = new Set(["message/rfc822", "message/global"]);
/** What may be behind a boundary that says nothing: blanks, the two hyphens. */
const delimiterSlack = 256;

export class MimeParser {
  /** Parts that ended since somebody last took them; inner ones before those that hold them. */
  readonly ended: PartRange[] = [];
  readonly #limits: Required<MimeLimits>;
  readonly #open: OpenPart[] = [];
  /** By delimiter, those of `#open` that have one, the innermost last. */
  readonly #delimited = new Map<string, OpenPart[]>();
  #parts = 0;
  #headerBytes = 0;
  /** What was not consumed yet, and where in the body it begins. */
  #held: Buffer = Buffer.alloc(0);
  #heldAt = 0;
  /** Within `#held`: what lies before is done with. */
  #at = 0;
  /** A line begins at `#at`. */
  #atLine = true;
  /** The part whose header section is being read. */
  #heading: Heading | undefined;

  /** Throws `MimeLimit` and `MimeAmbiguity`, as all of it. */
  constructor(headers: HeaderList, limits: Required<MimeLimits>) {
    this.#limits = limits;
    this.#begin({ path: "1", depth: 0, headers, fallback: undefined, headerStart: 0, start: 0 });
  }

  push(piece: Buffer): void {
    this.#held = this.#at >= this.#held.length ? piece : Buffer.concat([this.#held.subarray(this.#at), piece]);
    this.#heldAt += this.#at;
    this.#at = 0;
    this.#run(false);
  }

  /** `sizeBytes`: of the whole body. */
  end(sizeBytes: number): void {
    this.#run(true);
    this.#close(0, sizeBytes);
  }

  /** Nothing more can begin: the rest of the body need not be pushed. */
  get idle(): boolean {
    return this.#heading === undefined && this.#delimited.size === 0;
  }

  #run(final: boolean): void {
    for (;;) {
      const more = this.#heading === undefined ? this.#runBody(final) : this.#runHeader(this.#heading, final);
      if (!more) return;
    }
  }

  /** To the next delimiter; false when more octets are wanted. */
  #runBody(final: boolean): boolean {
    if (this.idle) {
      this.#at = this.#held.length;
      return false;
    }
    const held = this.#held;
    if (!this.#atLine) {
      const found = held.indexOf(hyphens, this.#at);
      if (found < 0) {
        // A line end and one hyphen may be the beginning.
        this.#at = Math.max(this.#at, held.length - hyphens.length + 1);
        return false;
      }
      this.#at = found + crlf.length;
    }
    const line = this.#delimiterLine(final);
    if (line === undefined) {
      this.#atLine = true;
      return false;
    }
    this.#atLine = false;
    if (line !== "") this.#isDelimiter(line);
    return true;
  }

  /**
   * The line at `#at` as far as it can be a delimiter, "" when it cannot. `undefined`: its end is not there yet.
   */
  #delimiterLine(final: boolean): string | undefined {
    const held = this.#held;
    const left = held.length - this.#at;
    if (left >= 1 && held[this.#at] !== hyphen) return "";
    if (left >= 2 && held[this.#at + 1] !== hyphen) return "";
    const most = this.#limits.boundaryBytes + delimiterSlack;
    const end = held.indexOf(crlf, this.#at);
    if (end >= 0) return held.toString("latin1", this.#at, Math.min(end, this.#at + most));
    if (left < most && !final) return undefined;
    return held.toString("latin1", this.#at, Math.min(held.length, this.#at + most));
  }

  /** Acts on a delimiter of any open part, the innermost first. */
  #isDelimiter(line: string): boolean {
    const text = withoutBlanks(line);
    const begins = this.#delimited.get(text)?.at(-1);
    const ends = text.endsWith("--") ? this.#delimited.get(text.slice(0, -2))?.at(-1) : undefined;
    const part = begins !== undefined && ends !== undefined && ends.depth > begins.depth ? ends : (begins ?? ends);
    if (part === undefined) return false;
    this.#onDelimiter(part, this.#open.indexOf(part), part === ends);
    return true;
  }

  /** It is open no more, or no delimiter of it counts any more. */
  #forget(part: OpenPart): void {
    if (part.delimiter === undefined) return;
    const same = this.#delimited.get(part.delimiter);
    same?.splice(same.indexOf(part), 1);
    if (same?.length === 0) this.#delimited.delete(part.delimiter);
    part.delimiter = undefined;
  }

  #onDelimiter(part: OpenPart, index: number, closes: boolean): void {
    const lineAt = this.#heldAt + this.#at;
    // The line end before a delimiter belongs to it (§5.1.1).
    if (this.#heading !== undefined) this.#endHeading(this.#heading, this.#heading.raggedAt ?? lineAt);
    this.#close(index + 1, lineAt - crlf.length);
    if (closes) return this.#forget(part);
    const end = this.#held.indexOf(crlf, this.#at);
    // The rest of a line that is too long for a window is blank, or at least no header.
    this.#at = end < 0 ? this.#held.length : end + crlf.length;
    part.children += 1;
    const { essence } = part.type;
    this.#heading = {
      path: `${part.path}.${part.children}`,
      depth: part.depth + 1,
      fallback: essence === "multipart/digest" ? "message/rfc822" : undefined,
      start: this.#heldAt + this.#at,
      lines: [],
      bytes: 0,
    };
  }

  /** Reads lines of a header section; false when more octets are wanted. */
  #runHeader(heading: Heading, final: boolean): boolean {
    const held = this.#held;
    while (this.#heading === heading) {
      const delimiter = this.#delimiterLine(final);
      if (delimiter === undefined) return false;
      if (delimiter !== "" && this.#isDelimiter(delimiter)) return true;
      const found = held.indexOf(crlf, this.#at);
      const left = held.length - this.#at;
      if (found < 0 && left < fieldNameBytes && !final) return false;
      const end = found < 0 ? held.length : found + crlf.length;
      const lineAt = this.#heldAt + this.#at;
      if (heading.raggedAt !== undefined && !this.#isRagged(heading, lineAt, found)) {
        this.#endHeading(heading, heading.raggedAt);
        break;
      }
      if (found === this.#at) {
        this.#at = end;
        this.#endHeading(heading, lineAt + crlf.length);
        break;
      }
      const start = held.toString("latin1", this.#at, Math.min(end, this.#at + fieldNameBytes));
      if (heading.isMessage === true && lineAt === heading.start && found >= 0 && fromLine.test(start)) {
        this.#at = end;
        continue;
      }
      if (heading.raggedAt !== undefined) {
        if (partField.test(start)) throw new MimeAmbiguity("a part's header goes on behind a line that is no field");
        this.#at = end;
        continue;
      }
      // Without a blank line: what is no field is body already. A continuation of nothing is no field.
      if (!fieldLine.test(start) && (heading.lines.length === 0 || !blankStart.test(start))) {
        heading.raggedAt = lineAt;
        continue;
      }
      if (found < 0 && !final) {
        this.#checkHeader(heading, left);
        return false;
      }
      heading.lines.push(held.subarray(this.#at, end));
      heading.bytes += end - this.#at;
      this.#checkHeader(heading, 0);
      this.#at = end;
    }
    // A delimiter may be the first line behind a header section.
    this.#atLine = true;
    return true;
  }

  /**
   * Behind a line of a header that is no field, which ends it for us: others pass it over. As long as it is so, what comes may be a field to them.
   */
  #isRagged({ raggedAt = 0, lines }: Heading, lineAt: number, found: number): boolean {
    if (found <= this.#at || found - this.#at > fieldNameBytes || lineAt - raggedAt > raggedBytes) return false;
    if (lineAt > raggedAt) return true;
    const { essence } = readMediaType(new ParsedHeaders(Buffer.concat(lines)));
    return !essence.startsWith("multipart/") && !nestedTypes.has(essence);
  }

  #checkHeader(heading: Heading, more: number): void {
    const { partHeaderBytes, headerBytes } = this.#limits;
    if (heading.bytes + more > partHeaderBytes) throw new MimeLimit("partHeaderBytes", partHeaderBytes);
    if (this.#headerBytes + heading.bytes + more > headerBytes) throw new MimeLimit("headerBytes", headerBytes);
  }

  #endHeading({ path, depth, fallback, start: headerStart, lines, bytes }: Heading, start: number): void {
    this.#heading = undefined;
    this.#headerBytes += bytes;
    const headers = new ParsedHeaders(Buffer.concat(lines));
    this.#begin({ path, depth, headers, fallback, headerStart, start });
  }

  #begin({ path, depth, headers, fallback, headerStart, start }: Begun): void {
    const { depth: mostDepth, parts, boundaryBytes } = this.#limits;
    this.#parts += 1;
    if (this.#parts > parts) throw new MimeLimit("parts", parts);
    if (depth > mostDepth) throw new MimeLimit("depth", mostDepth);
    const type = readMediaType(headers, fallback);
    const encoding = readTransferEncoding(headers);
    assertUnambiguous(headers, type.essence);
    const boundary = type.essence.startsWith("multipart/") ? readBoundary(type, headers) : "";
    if (boundary.length > boundaryBytes) throw new MimeLimit("boundaryBytes", boundaryBytes);
    const isMultipart = boundary !== "";
    // What is encoded is one leaf, although it should not be (RFC 2045 §6.4): its message is in the decoded octets.
    const isMessage = nestedTypes.has(type.essence) && encoding !== "base64" && encoding !== "quoted-printable";
    const kind: PartKind = isMultipart ? "multipart" : isMessage ? "message" : "leaf";
    const delimiter = isMultipart ? `--${boundary}` : undefined;
    const part = { path, depth, kind, headers, type, encoding, headerStart, start, delimiter, children: 0 };
    this.#open.push(part);
    if (delimiter !== undefined) {
      const same = this.#delimited.get(delimiter);
      if (same === undefined) this.#delimited.set(delimiter, [part]);
      else same.push(part);
    }
    if (isMessage) {
      const inside = { path: `${path}.1`, depth: depth + 1, fallback: undefined, start, isMessage: true };
      this.#heading = { ...inside, lines: [], bytes: 0 };
    }
  }

  /** Ends open parts from the innermost to the one at `index`. */
  #close(index: number, end: number): void {
    while (this.#open.length > index) {
      const part = this.#open.pop() as OpenPart;
      this.#forget(part);
      const { path, depth, kind, headers, type, encoding, headerStart, start } = part;
      this.ended.push({ path, depth, kind, headers, type, encoding, headerStart, start, end: Math.max(start, end) });
    }
  }
}

/** By hand: a pattern for blanks at the end is quadratic in a line full of them. */
function withoutBlanks(line: string): string {
  let end = line.length;
  while (end > 0 && (line[end - 1] === " " || line[end - 1] === "\t")) end -= 1;
  return end === line.length ? line : line.slice(0, end);
}

/** Its octets as latin1, as lines are read that are compared with it; "" when there is none. */
function readBoundary(type: MediaType, headers: HeaderList): string {
  const boundary = type.parameters.get("boundary")?.trimEnd() ?? "";
  if (!/[^\u0000-\u007f]/.test(boundary)) return boundary;
  const raw = headers.get("content-type")?.raw;
  return raw !== undefined && isUtf8(raw) ? Buffer.from(boundary).toString("latin1") : boundary;
}

interface Begun {
  readonly path: string;
  readonly depth: number;
  readonly headers: HeaderList;
  /** The type when there is no Content-Type. */
  readonly fallback: string | undefined;
  readonly headerStart: number;
  readonly start: number;
}

interface Heading extends Omit<Begun, "headers" | "headerStart"> {
  readonly lines: Buffer[];
  bytes: number;
  /** Of an attached message, not of a part. */
  readonly isMessage?: boolean;
  /** The first line that is no field, while others are looked at behind it. */
  raggedAt?: number;
}
