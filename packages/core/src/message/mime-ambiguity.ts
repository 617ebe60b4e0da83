/**
 * Headers that mail programs read differently: what is a text to one has attachments for another. Whoever goes through the parts would see
 * those of one reading only, and call them all; so it is told.
 */
import { ScannerFailure } from "../errors.ts";
import type { HeaderField, HeaderList } from "./header-list.ts";
import { parseStructured } from "./mime-parameters.ts";

/** A scanner that lets it pass upwards has answered `unscannable`. */
export class MimeAmbiguity extends ScannerFailure {
  constructor(what: string) {
    super("unscannable", `mail programs may see different parts in the message: ${what}`);
  }
}

const hyphen = 0x2d;
const composite = /^(?:multipart|message)\//;
/** A comment, or a part of the value, depending on who reads it. */
const boundaryWithParenthesis = /boundary[ \t]{0,20}=[ \t]{0,20}[^\s";(]{1,200}\(/i;

/** Throws `MimeAmbiguity` when parts within this one, of the type `essence`, depend on the reader. */
export function assertUnambiguous(headers: HeaderList, essence: string): void {
  const types = headers.getAll("content-type");
  const [first] = types;
  // Of a single field only a boundary can be read in several ways.
  if (first !== undefined && (types.length > 1 || essence.startsWith("multipart/"))) {
    const { word, parameters, disputed } = parseStructured(first.value);
    if (disputed?.has("boundary") === true) throw new MimeAmbiguity("two boundaries in one field");
    if (boundaryWithParenthesis.test(first.value)) throw new MimeAmbiguity("a parenthesis in a boundary");
    for (const { value } of types.slice(1)) {
      const other = parseStructured(value);
      const alike = other.word === word && other.parameters.get("boundary") === parameters.get("boundary");
      if (!alike && (composite.test(word) || composite.test(other.word))) {
        throw new MimeAmbiguity("several fields Content-Type");
      }
    }
  }
  if (essence.startsWith("multipart/") && Array.from(headers).some(isNoField)) {
    throw new MimeAmbiguity("a line in the header that may be a delimiter");
  }
  const [encoding, ...others] = headers.getAll("content-transfer-encoding");
  if (encoding === undefined || others.length === 0) return;
  const { word } = parseStructured(encoding.value);
  if (others.some(({ value }) => parseStructured(value).word !== word)) {
    throw new MimeAmbiguity("several fields Content-Transfer-Encoding");
  }
}

/** For some the header ends where a line is no field, and this is the first line of a part. */
function isNoField({ name, raw }: HeaderField): boolean {
  return name === "" && raw[0] === hyphen && raw[1] === hyphen;
}
