/**
 * Answers of a server (RFC 4511 §4.1.1, §4.5.2) from bytes. Strict, since a server is a stranger too: every length is checked
 * against what is there, and what does not fit is a `ProtocolError` that ends the connection. ldapts reads strings that are cut
 * short as empty ones and drops what follows a message that it cannot read, which would make a wrong answer of a broken one.
 */

/** The peer speaks something else than LDAP, or more than it may. */
export class ProtocolError extends Error {}

export interface Attribute {
  /** As the server writes it, options included. */
  readonly name: string;
  readonly values: readonly Buffer[];
}

export type Answer =
  | { readonly kind: "entry"; readonly id: number; readonly dn: string; readonly attributes: readonly Attribute[] }
  /** A reference to another server (§4.5.3). */
  | { readonly kind: "reference"; readonly id: number }
  /** `operation` is the tag of the answer; a search done, a bind, an extended operation. */
  | {
      readonly kind: "result";
      readonly id: number;
      readonly operation: number;
      readonly status: number;
      readonly message: string;
    }
  /** An intermediate answer (§4.13), of which none was asked for. */
  | { readonly kind: "other"; readonly id: number };

export const operations = Object.freeze({ bind: 0x61, entry: 0x64, done: 0x65, reference: 0x73, extended: 0x78 });

const tags = Object.freeze({ sequence: 0x30, set: 0x31, integer: 0x02, enumerated: 0x0a, octets: 0x04 });

/**
 * Where the message that begins at `start` ends, `undefined` when even its length is not there yet; the end may lie beyond the
 * bytes. Throws `ProtocolError`.
 */
export function endOfMessage(bytes: Buffer, start: number, longest: number): number | undefined {
  if (bytes.length <= start) return undefined;
  if (bytes[start] !== tags.sequence) throw new ProtocolError("no LDAP message");
  const first = bytes[start + 1];
  if (first === undefined) return undefined;
  if (first < 0x80) return start + 2 + first;
  const width = first & 0x7f;
  if (width === 0 || width > 4) throw new ProtocolError("wrong length of an LDAP message");
  if (bytes.length < start + 2 + width) return undefined;
  const length = bytes.readUIntBE(start + 2, width);
  if (length > longest) throw new ProtocolError(`LDAP message of ${length} octets`);
  return start + 2 + width + length;
}

/** One whole message. Throws `ProtocolError`. */
export function readAnswer(bytes: Buffer): Answer {
  const message = new Cursor(bytes).enter(tags.sequence);
  const id = message.integer(tags.integer);
  const operation = message.peek();
  const body = message.enter(operation);
  switch (operation) {
    case operations.entry:
      return { kind: "entry", id, dn: body.text(), attributes: readAttributes(body.enter(tags.sequence)) };
    case operations.reference:
      return { kind: "reference", id };
    case operations.bind:
    case operations.done:
    case operations.extended: {
      const status = body.integer(tags.enumerated);
      // The matched name is of no use to us.
      body.octets();
      return { kind: "result", id, operation, status, message: body.text() };
    }
    default:
      return { kind: "other", id };
  }
}

function readAttributes(list: Cursor): Attribute[] {
  const attributes: Attribute[] = [];
  while (list.remains) {
    const attribute = list.enter(tags.sequence);
    const name = attribute.text();
    const set = attribute.enter(tags.set);
    const values: Buffer[] = [];
    while (set.remains) values.push(set.octets());
    attributes.push({ name, values });
  }
  return attributes;
}

/** Walks over elements of a definite length (RFC 4511 §5.1). */
class Cursor {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get remains(): boolean {
    return this.#at < this.#bytes.length;
  }

  peek(): number {
    const tag = this.#bytes[this.#at];
    if (tag === undefined) throw new ProtocolError("LDAP message cut short");
    return tag;
  }

  enter(tag: number): Cursor {
    return new Cursor(this.octets(tag));
  }

  text(): string {
    return this.octets().toString();
  }

  integer(tag: number): number {
    const octets = this.octets(tag);
    if (octets.length < 1 || octets.length > 4) throw new ProtocolError("wrong number in an LDAP message");
    return octets.readIntBE(0, octets.length);
  }

  octets(tag: number = tags.octets): Buffer {
    if (this.peek() !== tag) throw new ProtocolError("unexpected element in an LDAP message");
    const first = this.#bytes[this.#at + 1] ?? 0x80;
    const width = first < 0x80 ? 0 : first & 0x7f;
    const start = this.#at + 2 + width;
    if ((first >= 0x80 && width === 0) || width > 4 || start > this.#bytes.length) {
      throw new ProtocolError("wrong length in an LDAP message");
    }
    const end = start + (width === 0 ? first : this.#bytes.readUIntBE(this.#at + 2, width));
    if (end > this.#bytes.length) throw new ProtocolError("LDAP message cut short");
    this.#at = end;
    return this.#bytes.subarray(start, end);
  }
}
