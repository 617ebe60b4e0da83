/** A message over a blob. Nothing is looked at before it is asked for. */
import type { MaybePromise } from "../model/maybe-promise.ts";
import type { Blob } from "./blob.ts";
import { concatBlobs } from "./concatenated-blob.ts";
import type { HeaderList } from "./header-list.ts";
import { BlankLineSearch, findHeaderSection, type HeaderSection } from "./header-section.ts";
import { createMemoryBlob } from "./memory-blob.ts";
import type { Message } from "./message.ts";
import { ParsedHeaders } from "./parsed-headers.ts";

/** Ten times what Postfix looks at, and little enough to hold for every session. */
export const defaultMaxHeaderBytes = 1024 * 1024;

export interface MessageOptions {
  /** Longest header section, octets; what lies beyond is body. 1 MiB. */
  readonly maxHeaderBytes?: number;
}

export class ParsedMessage implements Message {
  readonly raw: Blob;
  readonly maxHeaderBytes: number;
  #section: HeaderSection | undefined;
  #headers: ParsedHeaders | undefined;
  #body: Blob | undefined;

  constructor(raw: Blob, maxHeaderBytes: number) {
    this.raw = raw;
    this.maxHeaderBytes = maxHeaderBytes;
  }

  get sizeBytes(): number {
    return this.raw.sizeBytes;
  }

  get headers(): HeaderList {
    return this.parsedHeaders;
  }

  get body(): Blob {
    return (this.#body ??= this.raw.slice(this.section.bodyStart));
  }

  get parsedHeaders(): ParsedHeaders {
    return (this.#headers ??= new ParsedHeaders(this.section.octets));
  }

  get section(): HeaderSection {
    if (this.#section === undefined) {
      const { raw } = this;
      this.#section = findHeaderSection(raw.chunks ?? raw.head ?? [], raw.sizeBytes, this.maxHeaderBytes);
      if (this.#section === undefined) throw new TypeError("header fields are not in memory: use openMessage");
    }
    return this.#section;
  }
}

/**
 * A message over a blob in memory, or one whose `head` reaches beyond the header section, as a spooled one does. For any
 * other its header fields cannot be read without I/O, and asking for them throws `TypeError`: use `openMessage`.
 */
export function createMessage(raw: Blob, { maxHeaderBytes = defaultMaxHeaderBytes }: MessageOptions = {}): Message {
  return new ParsedMessage(raw, maxHeaderBytes);
}

/** A message over any blob; reads the header section of a file first. Rejects as the blob's `read` does. */
export function openMessage(
  raw: Blob,
  { maxHeaderBytes = defaultMaxHeaderBytes }: MessageOptions = {},
): MaybePromise<Message> {
  const inMemory = raw.chunks ?? raw.head ?? [];
  if (findHeaderSection(inMemory, raw.sizeBytes, maxHeaderBytes) !== undefined) {
    return new ParsedMessage(raw, maxHeaderBytes);
  }
  return loadHead(raw, maxHeaderBytes);
}

async function loadHead(raw: Blob, maxHeaderBytes: number): Promise<Message> {
  const head: Buffer[] = [];
  let headBytes = 0;
  const search = new BlankLineSearch();
  for await (const piece of raw.read(0, maxHeaderBytes)) {
    head.push(piece);
    headBytes += piece.length;
    if (search.push(piece) !== undefined) break;
  }
  return new ParsedMessage(concatBlobs([createMemoryBlob(head), raw.slice(headBytes)]), maxHeaderBytes);
}

/** For those who need more than the contract says: any message is one of ours or becomes one. */
export function toParsedMessage(message: Message): ParsedMessage {
  return message instanceof ParsedMessage ? message : new ParsedMessage(message.raw, defaultMaxHeaderBytes);
}
