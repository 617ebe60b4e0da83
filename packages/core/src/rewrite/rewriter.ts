/**
 * The rewriter seam: addresses of an accepted message before it is queued, in envelope and header, and of mail that leaves by SMTP.
 * Canonical, virtual and the like are plugins'.
 */
import type { Envelope, MaybePromise, Session } from "../model/index.ts";

/** Where an address stands, by the names that Postfix gives its classes. */
export type AddressPlace = "envelope_sender" | "envelope_recipient" | "header_sender" | "header_recipient";

/** For whom it is rewritten, and who wants to hear how. */
export interface RewriteAsk {
  /** `undefined` for mail that the gateway itself sends, and for mail that is on its way out. */
  readonly session: Session | undefined;
  /** Told of each step that changes or adds an address, in order; must not throw. Absent: nobody asks. */
  readonly trace?: RewriteTrace;
}

export type RewriteTrace = (step: RewriteStep) => void;

/** One step of one address. */
export interface RewriteStep {
  /** `qualify`, `canonical`, `sender canonical`, `masquerade`, `always bcc`, `virtual`, `generic`, …: the rewriter's own words. */
  readonly name: string;
  readonly place: AddressPlace;
  readonly before: string;
  /** One, or for an alias several; the address itself is among them when it stays. */
  readonly after: readonly string[];
  /** Of the table that answered: its type and name, and the key that was found. Absent for a step without a table. */
  readonly table?: string;
  readonly key?: string;
  /** Where the entry stands, when the table knows. */
  readonly file?: string;
  readonly line?: number;
}

/**
 * A new address for one that stands in a header field or leaves in an envelope; the same text for one that stays. What is given is the
 * address without comments and blanks, as it was written; it may lack a domain or be no valid address at all. Throws `TableUnavailable`.
 */
export type RewriteAddress = (address: string, place: AddressPlace) => MaybePromise<string>;

export interface Rewriter {
  readonly name: string;
  /**
   * A new envelope or the same one; a recipient that is replaced keeps its `original` and its DSN parameters (`{ ...recipient, address }`).
   * Throws `TableUnavailable` when it could not tell: the message is refused for now.
   */
  rewrite<E extends Envelope>(envelope: E, ask: RewriteAsk): MaybePromise<E>;
  /**
   * For the addresses in the header of one accepted message; `undefined` when its header stays as it is. Absent: every header stays.
   * Only the octets of an address that changes are replaced.
   */
  forHeader?(ask: RewriteAsk): RewriteAddress | undefined;
  /** For envelope and header of mail that leaves by a transport which says `outbound`. The queue keeps the message as it was. */
  forOutbound?(ask: RewriteAsk): RewriteAddress;
  /**
   * Is the address replaced by another? Such an address exists, whatever the lists of its class say; in class `virtualAlias` no other
   * does. Throws `TableUnavailable`. Absent: it knows no aliases.
   */
  isAlias?(address: string): MaybePromise<boolean>;
  /**
   * Where the owner of the address has moved to, for one line of a reply: mail for it is refused or bounced with 5.1.6. Asked after rewriting.
   * Throws `TableUnavailable`. Absent: nobody has moved.
   */
  movedTo?(address: string): MaybePromise<string | undefined>;
}
