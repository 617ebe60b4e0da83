/** Edits make a new message; octets that none of them names stay as they are and are not copied. */
import type { Blob } from "./blob.ts";
import { concatBlobs } from "./concatenated-blob.ts";
import { header, headerOctets, type FieldText, type HeaderOptions } from "./header.ts";
import { normalizeLineEnds } from "./line-ends.ts";
import { createMemoryBlob } from "./memory-blob.ts";
import type { Edit, EnvelopeEdit, HeaderValue, Message } from "./message.ts";
import type { ParsedField } from "./parsed-headers.ts";
import { ParsedMessage, toParsedMessage } from "./parsed-message.ts";

export interface Edited {
  readonly message: Message;
  /** In the order given; whoever owns the envelope carries them out. */
  readonly envelope: readonly EnvelopeEdit[];
}

const lineEnd = Buffer.from("\r\n", "latin1");

/**
 * Carries out `edits` in order, each on what the earlier ones left. `prependHeader` goes on top of everything. What names no
 * field that is there changes nothing. The same message comes back when its content was not concerned.
 */
export function applyEdits(message: Message, edits: readonly Edit[], options: HeaderOptions = {}): Edited {
  const envelope: EnvelopeEdit[] = [];
  let edited = message;
  let draft: Draft | undefined;
  for (const edit of edits) {
    switch (edit.kind) {
      case "addRecipient":
      case "removeRecipient":
      case "changeSender":
        envelope.push(edit);
        break;
      case "prependHeader":
        // By far the most common, and alone it needs no parsing.
        if (draft === undefined) edited = prependOctets(edited, makeField(edit.name, edit.value, options));
        else draft.fields.unshift(newField(edit.name, edit.value, options));
        break;
      default:
        draft ??= new Draft(toParsedMessage(edited));
        draft.apply(edit, options);
    }
  }
  return { message: draft === undefined ? edited : draft.finish(), envelope };
}

/**
 * Puts fields on top of a message, the first uppermost, without parsing it. A message that has no header section gets a blank
 * line behind them, so that its first line does not become a part of ours.
 */
export function prependFields(message: Message, ...fields: readonly FieldText[]): Message {
  return prependOctets(message, Buffer.from(fields.join("")));
}

function prependOctets(message: Message, octets: Buffer): Message {
  const { raw, maxHeaderBytes } = toParsedMessage(message);
  const top = [octets];
  if (beginsWithBlank(raw)) top.push(lineEnd);
  return new ParsedMessage(concatBlobs([createMemoryBlob(top), raw]), maxHeaderBytes);
}

function beginsWithBlank(raw: Blob): boolean {
  const first = (raw.chunks ?? raw.head)?.find((chunk) => chunk.length > 0)?.[0];
  if (first === undefined && raw.sizeBytes > 0) throw new TypeError("header fields are not in memory: use openMessage");
  return first === 0x20 || first === 0x09;
}

interface NewField {
  readonly lowerName: string;
  readonly raw: Buffer;
}

function makeField(name: string, value: HeaderValue, options: HeaderOptions): Buffer {
  return typeof value === "string" ? Buffer.from(header(name, value, options)) : headerOctets(name, value);
}

function newField(name: string, value: HeaderValue, options: HeaderOptions): NewField {
  const raw = makeField(name, value, options);
  return { lowerName: raw.toString("latin1", 0, raw.indexOf(0x3a)).toLowerCase(), raw };
}

type ContentEdit = Exclude<Edit, EnvelopeEdit | { readonly kind: "prependHeader" }>;

/** The state between two edits. */
class Draft {
  readonly fields: (ParsedField | NewField)[];
  readonly #message: ParsedMessage;
  /** What stands in place of the body as it came. */
  #body: Blob | undefined;

  constructor(message: ParsedMessage) {
    this.#message = message;
    this.fields = [...message.parsedHeaders.fields];
  }

  apply(edit: ContentEdit, options: HeaderOptions): void {
    switch (edit.kind) {
      case "appendHeader":
        this.fields.push(newField(edit.name, edit.value, options));
        break;
      case "replaceHeader": {
        const field = newField(edit.name, edit.value, options);
        for (const at of this.#indexesOf(edit.name, edit.nth)) this.fields[at] = field;
        break;
      }
      case "deleteHeader": {
        const gone = new Set(this.#indexesOf(edit.name, edit.nth));
        if (gone.size === 0) break;
        const kept = this.fields.filter((_, at) => !gone.has(at));
        this.fields.splice(0, this.fields.length, ...kept);
        break;
      }
      case "insertHeader":
        this.fields.splice(edit.index, 0, newField(edit.name, edit.value, options));
        break;
      case "replaceBody":
        this.#body = edit.body instanceof Uint8Array ? memoryBlob(normalizeLineEnds(edit.body)) : edit.body;
        break;
      case "spliceBody": {
        const body = this.#body ?? this.#message.body;
        const octets = memoryBlob(normalizeLineEnds(edit.octets));
        this.#body = concatBlobs([body.slice(0, edit.start), octets, body.slice(Math.max(edit.start, edit.end))]);
        break;
      }
    }
  }

  finish(): Message {
    const { raw, section, maxHeaderBytes } = this.#message;
    const chunks = this.#fieldChunks();
    if (this.#body !== undefined) {
      finishLine(chunks);
      chunks.push(lineEnd);
      return new ParsedMessage(concatBlobs([createMemoryBlob(chunks), this.#body]), maxHeaderBytes);
    }
    const rest = raw.slice(section.octets.length);
    const unseparated = !section.blankLine && !section.cut && chunks.length > 0 && rest.sizeBytes > 0;
    if (unseparated) chunks.push(lineEnd);
    return new ParsedMessage(concatBlobs([createMemoryBlob(chunks), rest]), maxHeaderBytes);
  }

  /** Neighbours that were neighbours are one chunk. */
  #fieldChunks(): Buffer[] {
    const { octets } = this.#message.section;
    const chunks: Buffer[] = [];
    let start = 0;
    let end = 0;
    const flush = () => {
      if (end > start) pushLine(chunks, octets.subarray(start, end));
      start = end = 0;
    };
    for (const field of this.fields) {
      if ("start" in field) {
        if (end === 0 || field.start !== end) {
          flush();
          start = field.start;
        }
        end = field.end;
      } else {
        flush();
        pushLine(chunks, field.raw);
      }
    }
    flush();
    return chunks;
  }

  #indexesOf(name: string, nth: number | undefined): readonly number[] {
    const lowerName = name.toLowerCase();
    const indexes: number[] = [];
    // Lines that are no fields have no name, and none can be meant.
    if (lowerName === "") return indexes;
    this.fields.forEach((field, at) => {
      if (field.lowerName === lowerName) indexes.push(at);
    });
    return nth === undefined ? indexes : nth >= 1 ? indexes.slice(nth - 1, nth) : [];
  }
}

function memoryBlob(octets: Buffer): Blob {
  return createMemoryBlob([octets]);
}

/** A message without a body may end in the middle of its last line. */
function finishLine(chunks: Buffer[]): void {
  const last = chunks.at(-1);
  if (last !== undefined && !last.subarray(-2).equals(lineEnd)) chunks.push(lineEnd);
}

function pushLine(chunks: Buffer[], lines: Buffer): void {
  finishLine(chunks);
  chunks.push(lines);
}
