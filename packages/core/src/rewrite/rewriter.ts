/** The rewriter seam: an accepted message's envelope before it is queued. Canonical, virtual and the like are plugins'. */
import type { Envelope, MaybePromise, Session } from "../model/index.ts";

export interface Rewriter {
  readonly name: string;
  /**
   * A new envelope or the same one; a recipient that is replaced keeps its `original` and its DSN parameters (`{ ...recipient, address }`).
   * `session` is `undefined` for mail that the gateway itself sends. Throws `TableUnavailable` when it could not tell: the message is
   * refused for now.
   */
  rewrite<E extends Envelope>(envelope: E, session: Session | undefined): MaybePromise<E>;
  /**
   * Is there an alias for the address? Such an address exists, whatever the lists of its class say; in class `virtualAlias` no other
   * does. Throws `TableUnavailable`. Absent: it knows no aliases.
   */
  isAlias?(address: string): MaybePromise<boolean>;
}
