/** Edits make a new message; octets that none of them names stay as they are and are not copied. */
import { after, type MaybePromise } from "../model/maybe-promise.ts";
import type { Blob } from "./blob.ts";
import { concatBlobs } from "./concatenated-blob.ts";
import { FieldList } from "./field-list.ts";
import { header, headerOctets, type FieldText, type HeaderOptions } from "./header.ts";
import { normalizeLineEnds } from "./line-ends.ts";
import { createMemoryBlob } from "./memory-blob.ts";
import type { Edit, EnvelopeEdit, HeaderValue, Message } from "./message.ts";
import type { ParsedField } from "./parsed-headers.ts";
import { ParsedMessage, toParsedMessage } from "./parsed-message.ts";
import { toSoundBlob } from "./sound-blob.ts";
import { spliceBlob, type BodySplice } from "./spliced-blob.ts";

export interface Edited {
  readonly message: Message;
  /** In the order given; whoever owns the envelope carries them out. */
  readonly envelope: readonly EnvelopeEdit[];
}

const lineEnd = Buffer.from("\r\n", "latin1");

/**
 * Carries out `edits` in order, each on what the earlier ones left; splices of the body all together, on the body as it was. `prependHeader`
 * goes on top of everything. What names no field that is there changes nothing. The same message comes back when its content was not
 * concerned. A promise only for splices of a body in a file; it rejects as the body's `read` does.
 */
export function applyEdits(
  message: Message,
  edits: readonly Edit[],
  options: HeaderOptions = {},
): MaybePromise<Edited> {
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
        else draft.fields.prepend(newField(edit.name, edit.value, options));
        break;
      default:
        draft ??= new Draft(toParsedMessage(edited));
        draft.apply(edit, options);
    }
  }
  if (draft === undefined) return { message: edited, envelope };
  return after(draft.finish(), (result) => ({ message: result, envelope }));
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
  readonly fields: FieldList<ParsedField | NewField>;
  readonly #message: ParsedMessage;
  /** What stands in place of the body as it came. */
  #body: Blob | undefined;
  readonly #splices: BodySplice[] = [];

  constructor(message: ParsedMessage) {
    this.#message = message;
    this.fields = new FieldList(message.parsedHeaders.fields);
  }

  apply(edit: ContentEdit, options: HeaderOptions): void {
    switch (edit.kind) {
      case "appendHeader":
        this.fields.append(newField(edit.name, edit.value, options));
        break;
      case "replaceHeader":
        this.fields.replace(edit.name.toLowerCase(), edit.nth, () => newField(edit.name, edit.value, options));
        break;
      case "deleteHeader":
        this.fields.delete(edit.name.toLowerCase(), edit.nth);
        break;
      case "insertHeader":
        this.fields.insert(edit.index, newField(edit.name, edit.value, options));
        break;
      case "replaceBody":
        this.#body = toSoundBlob(edit.body);
        if (this.#body === undefined) throw new TypeError("a blob of a file that nobody made sound cannot be a body");
        break;
      case "spliceBody":
        this.#splices.push({ start: edit.start, end: edit.end, octets: normalizeLineEnds(edit.octets) });
        break;
    }
  }

  finish(): MaybePromise<Message> {
    if (this.#body !== undefined) return this.#withBody(this.#body);
    if (this.#splices.length === 0) return this.#withRest(this.#message.raw.slice(this.#message.section.octets.length));
    const { raw, body, section } = this.#message;
    return after(spliceBlob(body, this.#splices), (spliced) =>
      this.#withRest(concatBlobs([raw.slice(section.octets.length, section.bodyStart), spliced])),
    );
  }

  #withBody(body: Blob): Message {
    const chunks = this.#fieldChunks();
    finishLine(chunks);
    chunks.push(lineEnd);
    return new ParsedMessage(concatBlobs([createMemoryBlob(chunks), body]), this.#message.maxHeaderBytes);
  }

  /** `rest`: the blank line, if there is one, and the body. */
  #withRest(rest: Blob): Message {
    const { section, maxHeaderBytes } = this.#message;
    const chunks = this.#fieldChunks();
    const unseparated = !section.blankLine && !section.cut && chunks.length > 0 && rest.sizeBytes > 0;
    if (unseparated) {
      finishLine(chunks);
      chunks.push(lineEnd);
    }
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
    for (const field of this.fields.all) {
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
