/** What the two engines have in common: patterns that are asked about one key after another. */

/** The key of a lookup, in the forms that matchers want. */
export interface Subject {
  readonly text: string;
  /** The UTF-8 octets, one a character; the same string as `text` in ASCII. */
  readonly octets: string;
}

export interface Matcher {
  /** Throws `OverLimit` when it costs too much. */
  matches(subject: Subject): boolean;
  /** The octets that a group took in the match that `matches` just found; "" when it took no part. */
  group(subject: Subject, group: number, highest: number): string;
  readonly groups: number;
}

export function subjectOf(key: string): Subject {
  return { text: key, octets: isAscii.test(key) ? key : toOctets(key) };
}

// eslint-disable-next-line no-control-regex
const isAscii = /^[\u0000-\u007f]*$/;

export function toOctets(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}
