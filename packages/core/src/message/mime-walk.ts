/**
 * The parts of a message, found while it is read once, decoded only where somebody asks. Parts come when their end is found: what is inside
 * comes before what holds it, the message itself last. What goes beyond a limit throws `MimeLimit`, what others would read otherwise
 * `MimeAmbiguity`: nothing is left out in silence.
 */
import { setImmediate as turn } from "node:timers/promises";
import type { Blob } from "./blob.ts";
import type { HeaderList } from "./header-list.ts";
import type { Message } from "./message.ts";
import { defaultMimeLimits, type MimeLimits } from "./mime-limits.ts";
import { MimeParser, type PartKind, type PartRange } from "./mime-parser.ts";
import { readDisposition, readFileName, type Disposition, type MediaType } from "./mime-type.ts";
import { decodeBlob } from "./transfer-encoding.ts";

export interface MimePart {
  /** `1` is the message, `1.2` its second part, `1.2.1` the first of that one's, or the message inside it. */
  readonly path: string;
  /** 0 for the message. */
  readonly depth: number;
  /** `multipart`: its parts came before it. `message`: a message that is attached as it is; its own root came before it. */
  readonly kind: PartKind;
  readonly headers: HeaderList;
  readonly type: MediaType;
  readonly disposition: Disposition | undefined;
  /** Decoded; without any meaning as a path: a stranger chose it. */
  readonly fileName: string | undefined;
  /** `7bit`, `8bit`, `binary`, `base64`, `quoted-printable`, or what nobody knows; lower case. */
  readonly encoding: string;
  /** Where the part's header section begins in the message's body, where its body begins and ends; of the message, the whole body. */
  readonly headerStart: number;
  readonly start: number;
  readonly end: number;
  /** The octets as they came: shared, not copied. */
  readonly body: Blob;
  /** The octets with the transfer encoding undone, of a leaf; of others as they came. */
  decoded(): AsyncIterable<Buffer>;
}

/** Pieces are put together up to this size, so that a body of tiny ones costs no more. */
const pieceBytes = 64 * 1024;

/** Octets in memory that are gone through before others have their turn. */
const turnBytes = 256 * 1024;

/** Reads the body once, in pieces. Throws `MimeLimit`, `MimeAmbiguity`, and as the body's `read` does. */
export async function* walkParts(message: Message, limits: MimeLimits = {}): AsyncGenerator<MimePart> {
  const { chunks } = message.body;
  const parser = new MimeParser(message.headers, { ...defaultMimeLimits, ...limits });
  let sinceTurn = 0;
  for await (const piece of chunks === undefined ? message.body.read() : gathered(chunks)) {
    if (parser.idle) break;
    sinceTurn += piece.length;
    if (chunks !== undefined && sinceTurn > turnBytes) {
      sinceTurn = 0;
      await turn();
    }
    parser.push(piece);
    yield* taken(parser, message);
  }
  parser.end(message.body.sizeBytes);
  yield* taken(parser, message);
}

/** The same without waiting, for a message that is in memory; `undefined` for one that is not. Throws on the way. */
export function partsInMemory(message: Message, limits: MimeLimits = {}): Iterable<MimePart> | undefined {
  const { chunks } = message.body;
  return chunks === undefined ? undefined : partsOf(message, chunks, limits);
}

function* partsOf(message: Message, chunks: readonly Buffer[], limits: MimeLimits): Generator<MimePart> {
  const parser = new MimeParser(message.headers, { ...defaultMimeLimits, ...limits });
  for (const piece of gathered(chunks)) {
    if (parser.idle) break;
    parser.push(piece);
    yield* taken(parser, message);
  }
  parser.end(message.body.sizeBytes);
  yield* taken(parser, message);
}

function* gathered(chunks: readonly Buffer[]): Generator<Buffer> {
  let small: Buffer[] = [];
  let bytes = 0;
  for (const chunk of chunks) {
    small.push(chunk);
    bytes += chunk.length;
    if (bytes < pieceBytes) continue;
    yield small.length === 1 ? chunk : Buffer.concat(small);
    small = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(small);
}

function* taken({ ended }: MimeParser, message: Message): Generator<MimePart> {
  if (ended.length === 0) return;
  for (const range of ended.splice(0)) yield new Part(range, message.body);
}

class Part implements MimePart {
  readonly path: string;
  readonly depth: number;
  readonly kind: PartKind;
  readonly headers: HeaderList;
  readonly type: MediaType;
  readonly encoding: string;
  readonly headerStart: number;
  readonly start: number;
  readonly end: number;
  readonly #whole: Blob;
  #body: Blob | undefined;
  #disposition: { readonly read: Disposition | undefined } | undefined;

  constructor({ path, depth, kind, headers, type, encoding, headerStart, start, end }: PartRange, whole: Blob) {
    this.path = path;
    this.depth = depth;
    this.kind = kind;
    this.headers = headers;
    this.type = type;
    this.encoding = encoding;
    this.headerStart = headerStart;
    this.start = start;
    this.end = end;
    this.#whole = whole;
  }

  get body(): Blob {
    return (this.#body ??= this.#whole.slice(this.start, this.end));
  }

  get disposition(): Disposition | undefined {
    return (this.#disposition ??= { read: readDisposition(this.headers) }).read;
  }

  get fileName(): string | undefined {
    return readFileName(this.type, this.disposition);
  }

  decoded(): AsyncIterable<Buffer> {
    return this.kind === "leaf" ? decodeBlob(this.body, this.encoding) : this.body.read();
  }
}
