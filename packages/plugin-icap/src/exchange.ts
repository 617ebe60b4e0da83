/**
 * One request and its answer over a connection. The content goes out while the answer may already come in; with a preview the service says
 * first whether it wants the rest (RFC 3507 §4.5). Clean is only what was sent to its end.
 */
import { ScannerFailure } from "@postern/core";
import type { IcapAddress } from "./address.ts";
import { chunk, lastChunk, readChunks, wholePreview } from "./chunks.ts";
import type { Connection } from "./connection.ts";
import { fault } from "./fault.ts";
import { Fields, readHead } from "./fields.ts";
import type { Item } from "./item.ts";
import { composeOptions, type Method } from "./request.ts";
import { previewFor, readServiceOptions, unknownOptions, type ServiceOptions } from "./service-options.ts";
import { findBlock, findThreat, refusal, type AnswerHead } from "./verdict.ts";

/** Octets in one chunk, or a little more. */
const chunkBytes = 64 * 1024;
const largestInside = 64 * 1024;

export interface Exchanged {
  /** The name of what was found; `undefined`: clean. */
  readonly found: string | undefined;
  readonly istag: string | undefined;
  /** The connection takes another request. */
  readonly reusable: boolean;
}

export async function askOptions(
  connection: Connection,
  address: IcapAddress,
  method: Method,
): Promise<{ readonly options: ServiceOptions; readonly reusable: boolean }> {
  await connection.write([composeOptions(address)]);
  const { status, fields } = await readAnswerHead(connection);
  // A body of OPTIONS is for nobody.
  const { parts } = status === 200 ? readEncapsulated(fields) : { parts: undefined };
  const reusable = parts?.length === 1 && parts[0]?.name === "null-body" && stays(fields);
  if (status === 200) return { options: readServiceOptions(fields, method), reusable };
  if (status === 405 || status === 501) return { options: unknownOptions, reusable: false };
  throw refusal({ status, fields });
}

/** Throws `ScannerFailure` for everything that is no verdict. */
export async function exchange(
  connection: Connection,
  options: ServiceOptions,
  method: Method,
  item: Item,
  compose: (preview: number | undefined) => string,
): Promise<Exchanged> {
  const preview = previewFor(options, item.name);
  const source = item.read()[Symbol.asyncIterator]();
  try {
    let rest: Buffer[] = [];
    let head: AnswerHead | undefined;
    let sent = false;
    if (preview === undefined) await connection.write([compose(undefined)]);
    else {
      const shown = await take(source, preview);
      rest = shown.rest;
      await connection.write([compose(preview), ...chunk(shown.first), shown.whole ? wholePreview : lastChunk]);
      head = await readAnswerHead(connection);
      if (head.status !== 100) sent = true;
      else if (shown.whole) throw fault("100 after a preview that was the whole");
      else head = undefined;
    }
    if (head !== undefined) return await readAnswer(connection, head, method, item, () => sent);
    const sending = send(connection, rest, source).then((complete) => {
      sent = complete;
    });
    const answer = readAnswerHead(connection).then((late) => readAnswer(connection, late, method, item, () => sent));
    try {
      // What could not be read from the spool ends it at once; a connection that is lost says so to the reader.
      return await Promise.race([answer, sending.then(() => answer)]);
    } finally {
      if (!sent) connection.close();
      await Promise.allSettled([sending, answer]);
    }
  } finally {
    void source.return?.();
  }
}

/** The first octets, what was read beyond them, and whether that was all. */
async function take(
  source: AsyncIterator<Buffer>,
  bytes: number,
): Promise<{ readonly first: Buffer[]; readonly rest: Buffer[]; readonly whole: boolean }> {
  const first: Buffer[] = [];
  for (let left = bytes; ;) {
    const { value, done } = await source.next();
    if (done === true) return { first, rest: [], whole: true };
    if (value.length > left) {
      if (left > 0) first.push(value.subarray(0, left));
      return { first, rest: [value.subarray(left)], whole: false };
    }
    first.push(value);
    left -= value.length;
  }
}

/** False when the server stopped listening. */
async function send(connection: Connection, rest: Buffer[], source: AsyncIterator<Buffer>): Promise<boolean> {
  let parts = rest;
  for (;;) {
    const { value, done } = await source.next();
    if (done !== true && value.length > 0) parts.push(value);
    const bytes = parts.reduce((sum, { length }) => sum + length, 0);
    if (done !== true && bytes < chunkBytes) continue;
    if (!(await connection.write(done === true ? [...chunk(parts), lastChunk] : chunk(parts)))) return false;
    if (done === true) return true;
    parts = [];
  }
}

async function readAnswerHead(connection: Connection): Promise<AnswerHead> {
  const { start, fields } = await readHead(connection);
  const status = /^ICAP\/1\.0 ([1-5]\d\d)(?: .*)?$/.exec(start)?.[1];
  if (status === undefined) throw fault(`no ICAP answer: ${JSON.stringify(start.slice(0, 100))}`);
  return { status: Number(status), fields };
}

async function readAnswer(
  connection: Connection,
  head: AnswerHead,
  method: Method,
  item: Item,
  sent: () => boolean,
): Promise<Exchanged> {
  const { status, fields } = head;
  const istag = fields.get("istag");
  if (status !== 200 && status !== 201 && status !== 204) throw refusal(head);
  const threat = findThreat(fields);
  // Whatever follows is a page for people; the connection is not worth reading it.
  if (threat !== undefined) return { found: threat, istag, reusable: false };
  const clean = (): Exchanged => {
    if (!sent()) throw fault("an answer before all was sent");
    return { found: undefined, istag, reusable: stays(fields) };
  };
  if (status === 204) return clean();
  const { inside, hasBody } = await readInside(connection, fields);
  const block = findThreat(inside.fields) ?? findBlock(inside, method === "RESPMOD" ? "response" : "request");
  if (block !== undefined) return { found: block, istag, reusable: false };
  // Whoever sends on while it still looks says at the end what it found.
  let late: string | undefined;
  const chunks = readChunks(connection, (trailer) => (late = findThreat(trailer)));
  const same = hasBody && (await isSame(chunks, item.read()));
  if (late !== undefined) return { found: late, istag, reusable: false };
  if (!same) throw fault("the service changed the content and named no reason");
  return clean();
}

/** Octet by octet the same, however they are cut. */
async function isSame(one: AsyncIterable<Buffer>, other: AsyncIterable<Buffer>): Promise<boolean> {
  const source = other[Symbol.asyncIterator]();
  try {
    let left = Buffer.alloc(0);
    for await (const piece of one) {
      let at = 0;
      while (at < piece.length) {
        if (left.length === 0) {
          const { value, done } = await source.next();
          if (done === true) return false;
          left = value as Buffer<ArrayBuffer>;
          continue;
        }
        const bytes = Math.min(left.length, piece.length - at);
        if (left.compare(piece, at, at + bytes, 0, bytes) !== 0) return false;
        left = left.subarray(bytes);
        at += bytes;
      }
    }
    for (;;) {
      if (left.length > 0) return false;
      const { value, done } = await source.next();
      if (done === true) return true;
      left = value as Buffer<ArrayBuffer>;
    }
  } finally {
    void source.return?.();
  }
}

function stays(fields: Fields): boolean {
  return !fields.lists("connection", "close");
}

interface Section {
  readonly name: string;
  readonly offset: number;
}

/** `res-hdr=0, res-body=137` (§4.4.1), in order from 0. */
function readEncapsulated(fields: Fields): { readonly parts: readonly Section[] } {
  const parts = (fields.get("encapsulated") ?? "").split(",").map((part) => {
    const section = /^\s*(req-hdr|res-hdr|req-body|res-body|opt-body|null-body)=(\d{1,9})\s*$/.exec(part);
    return { name: section?.[1] ?? "", offset: Number(section?.[2]) };
  });
  const sound = parts.every(
    ({ name, offset }, index) =>
      name !== "" &&
      offset >= (parts[index - 1]?.offset ?? 0) &&
      name.endsWith("body") === (index === parts.length - 1),
  );
  if (!sound || parts[0]?.offset !== 0) throw fault("an Encapsulated field that does not add up");
  return { parts };
}

async function readInside(
  connection: Connection,
  fields: Fields,
): Promise<{
  readonly inside: { readonly status: number | undefined; readonly fields: Fields };
  readonly hasBody: boolean;
}> {
  const { parts } = readEncapsulated(fields);
  const body = parts.at(-1);
  const head = parts.find(({ name }) => name.endsWith("-hdr"));
  // Of a request and a response both, the response is the answer; we ask for neither.
  if (head === undefined || body === undefined || parts.length !== 2) throw fault("an answer without an HTTP header");
  if (body.name !== "null-body" && body.name.slice(0, 3) !== head.name.slice(0, 3))
    throw fault("header and body do not fit");
  if (body.offset > largestInside) throw new ScannerFailure("error", "ICAP: an HTTP header without end");
  const octets: Buffer[] = [];
  for (let left = body.offset; left > 0;) {
    const piece = await connection.octets(left);
    octets.push(Buffer.from(piece));
    left -= piece.length;
  }
  const text = Buffer.concat(octets).toString("latin1");
  const end = /\r?\n\r?\n$/.exec(text);
  if (end === null) throw fault("an HTTP header that does not end where it should");
  const [start = "", ...lines] = text.slice(0, end.index).split(/\r?\n/);
  const response = /^HTTP\/1\.[01] (\d{3})(?: .*)?$/.exec(start)?.[1];
  if (response === undefined && head.name === "res-hdr") throw fault("no HTTP response inside");
  return {
    inside: {
      status: head.name === "res-hdr" ? Number(response) : undefined,
      fields: Fields.parse(lines),
    },
    hasBody: body.name !== "null-body",
  };
}
