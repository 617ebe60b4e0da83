/** Header fields as an ordered list of raw fields (RFC 5322 §2.2). */

export interface HeaderField {
  /** As written, without the colon. Empty for a line that is no field: it is kept and counted, and found by no name. */
  readonly name: string;
  /** Unfolded value without surrounding white space, decoded as UTF-8 where valid, else latin1. Not MIME-decoded. */
  readonly value: string;
  /** The whole field with its folding and final CRLF. */
  readonly raw: Buffer;
}

export interface HeaderList extends Iterable<HeaderField> {
  readonly length: number;
  /** First field of that name, without case. */
  get(name: string): HeaderField | undefined;
  getAll(name: string): readonly HeaderField[];
  has(name: string): boolean;
}
