/**
 * A message's content: octets that can be read again, header fields as an ordered list of raw fields, edits that make a new
 * message. `header()` and its siblings are the only makers of header fields. This folder decides nothing: it says what is
 * there and changes what it is told to, and leaves every other octet as it came. Nothing is parsed before somebody looks.
 */
export * from "./address-list.ts";
export type { Blob, BlobTail } from "./blob.ts";
export * from "./concatenated-blob.ts";
export * from "./dates.ts";
export * from "./edits.ts";
export * from "./file-blob.ts";
export * from "./header.ts";
export type { HeaderField, HeaderList } from "./header-list.ts";
export { LineEndingNormalizer } from "./line-ends.ts";
export { countReceived } from "./parsed-headers.ts";
export * from "./memory-blob.ts";
export type { Edit, EnvelopeEdit, HeaderValue, Message } from "./message.ts";
export { decodeWords } from "./decoded-words.ts";
export { MimeAmbiguity } from "./mime-ambiguity.ts";
export { defaultMimeLimits, MimeLimit, type MimeLimitName, type MimeLimits } from "./mime-limits.ts";
export { parseStructured, type StructuredValue } from "./mime-parameters.ts";
export type { PartKind } from "./mime-parser.ts";
export type { Disposition, MediaType } from "./mime-type.ts";
export { partsInMemory, walkParts, type MimePart } from "./mime-walk.ts";
export * from "./parsed-message.ts";
export * from "./received.ts";
export { createSoundSpool, toSoundBlob } from "./sound-blob.ts";
export * from "./spool.ts";
export * from "./spool-file.ts";
export * from "./splice.ts";
export * from "./tag-subject.ts";
