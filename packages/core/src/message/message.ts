/**
 * A message's content: raw octets that are never mutated, its header fields, a re-readable body. Edits make a new message.
 * Octets outside an edit stay identical (RFC 5321 §4.4 adds trace fields on top, nothing else).
 */
import type { Blob } from "./blob.ts";
import type { HeaderList } from "./header-list.ts";

export interface Message {
  /** All octets, CRLF line ends, not dot-stuffed, without the final dot. */
  readonly raw: Blob;
  readonly headers: HeaderList;
  /** What follows the blank line; empty when there is none. Also what lies beyond the limit of the header section. */
  readonly body: Blob;
  readonly sizeBytes: number;
}

/** A field's value: text is made sound, encoded and folded by `header()`; octets stay as they are with their folding, see `headerOctets()`. */
export type HeaderValue = string | Uint8Array;

/**
 * What a modifier may ask for, carried out in order, each on what the earlier ones of the list left; but see `spliceBody`. Names are
 * compared without case. `nth` counts fields of that name from the top, 1 first; absent means every one of them for delete and replace.
 */
export type Edit =
  | { readonly kind: "prependHeader"; readonly name: string; readonly value: HeaderValue }
  | { readonly kind: "appendHeader"; readonly name: string; readonly value: HeaderValue }
  /** Above the field that is the `index`th from the top, 0 first, whatever its name; at the end when there are fewer. */
  | { readonly kind: "insertHeader"; readonly index: number; readonly name: string; readonly value: HeaderValue }
  | { readonly kind: "replaceHeader"; readonly name: string; readonly nth?: number; readonly value: HeaderValue }
  | { readonly kind: "deleteHeader"; readonly name: string; readonly nth?: number }
  /** Octets, of which bare CR and LF become CR LF; or a blob in memory, or one written to `ScanAsk.openSpool()`, which makes its line ends right. */
  | { readonly kind: "replaceBody"; readonly body: Uint8Array | Blob }
  /**
   * The body's octets from `start` (inclusive) to `end` (exclusive) become `octets`. Offsets are into the body as it was before the list of
   * edits, whatever stands before this one; so the order of splices says nothing, but for those that insert at one place. Those of one
   * answer must not overlap; of several engines the octets of all are put in and what any of them takes out is gone. Beyond the end there
   * is nothing. A line end of which half is left becomes a whole one again. Where the list has a `replaceBody` too, that one stands alone.
   */
  | { readonly kind: "spliceBody"; readonly start: number; readonly end: number; readonly octets: Uint8Array }
  | { readonly kind: "addRecipient"; readonly address: string }
  | { readonly kind: "removeRecipient"; readonly address: string }
  | { readonly kind: "changeSender"; readonly address: string };

/** The edits that concern the envelope and leave the content alone. */
export type EnvelopeEdit = Extract<Edit, { readonly kind: "addRecipient" | "removeRecipient" | "changeSender" }>;
