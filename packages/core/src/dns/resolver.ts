/**
 * The one DNS seam. An answer that is not there is an empty list; a question that got no answer throws `DnsUnavailable`.
 */

export interface MxRecord {
  readonly exchange: string;
  readonly priority: number;
}

/** `name` without trailing dot; A-labels. */
export interface Resolver {
  /** Sorted by priority. A null MX (RFC 7505) is one record with an empty exchange. */
  mx(name: string): Promise<readonly MxRecord[]>;
  a(name: string): Promise<readonly string[]>;
  aaaa(name: string): Promise<readonly string[]>;
  /** PTR names for an address. */
  reverse(address: string): Promise<readonly string[]>;
  txt(name: string): Promise<readonly string[]>;
}
