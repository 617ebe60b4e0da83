/** What a part says it is: its media type (RFC 2045 §5, RFC 2046), disposition and file name (RFC 2183, RFC 2231), and transfer encoding. */
import { decodeWords } from "./decoded-words.ts";
import type { HeaderList } from "./header-list.ts";
import { parseStructured } from "./mime-parameters.ts";

export interface MediaType {
  /** `text/plain`, lower case. */
  readonly essence: string;
  /** By lower-case name. */
  readonly parameters: ReadonlyMap<string, string>;
}

export interface Disposition {
  /** `attachment`, `inline`, lower case. */
  readonly kind: string;
  readonly parameters: ReadonlyMap<string, string>;
}

const token = "[!#$%&'*+.^_`{|}~0-9a-z-]+";
const typeForm = new RegExp(`^${token}/${token}$`);
const none: ReadonlyMap<string, string> = new Map();

/** The first Content-Type; one without a slash, or none, means text/plain (RFC 2045 §5.2), or `fallback` within a digest. */
export function readMediaType(headers: HeaderList, fallback = "text/plain"): MediaType {
  const field = headers.get("content-type");
  if (field === undefined) return { essence: fallback, parameters: none };
  const { word, parameters } = parseStructured(field.value);
  return { essence: typeForm.test(word) ? word : "text/plain", parameters };
}

export function readDisposition(headers: HeaderList): Disposition | undefined {
  const field = headers.get("content-disposition");
  if (field === undefined) return undefined;
  const { word, parameters } = parseStructured(field.value);
  return { kind: word, parameters };
}

/** Of the disposition, else the type's old `name`. Encoded words do not belong there, and are there all the same. */
export function readFileName(type: MediaType, disposition: Disposition | undefined): string | undefined {
  const name = disposition?.parameters.get("filename") ?? type.parameters.get("name");
  return name === undefined ? undefined : decodeWords(name);
}

/** Lower case, without comments; `7bit` when nothing is said (RFC 2045 §6.1). */
export function readTransferEncoding(headers: HeaderList): string {
  const field = headers.get("content-transfer-encoding");
  return field === undefined ? "7bit" : parseStructured(field.value).word;
}
