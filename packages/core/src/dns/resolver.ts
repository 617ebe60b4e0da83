/**
 * The one DNS seam. What is not there is an empty list, whether the name does not exist (NXDOMAIN) or has no such records:
 * nothing that a mail gateway decides hangs on which, and servers confuse the two (RFC 4074 §4.2). A question that got no
 * answer throws `DnsUnavailable`: never an empty list.
 */

export interface MxRecord {
  /** Without trailing dot, lower case; empty for a null MX (RFC 7505). */
  readonly exchange: string;
  readonly priority: number;
}

/**
 * `name` with or without trailing dot, A- or U-labels, any case. A name that DNS cannot hold has no records. `localhost` and
 * address literals are answered without asking anyone.
 */
export interface Resolver {
  /** Sorted by priority. A null MX (RFC 7505) is one record with an empty exchange. */
  mx(name: string): Promise<readonly MxRecord[]>;
  a(name: string): Promise<readonly string[]>;
  aaaa(name: string): Promise<readonly string[]>;
  /** PTR names for an address, lower case, without trailing dot. */
  reverse(address: string): Promise<readonly string[]>;
  /** Name servers of a zone, lower case, without trailing dot; a name inside a zone has none of its own. */
  ns(name: string): Promise<readonly string[]>;
  txt(name: string): Promise<readonly string[]>;
}
