/** The rewriter seam: an accepted message's envelope before it is queued. Canonical, virtual and the like are plugins'. */
import type { Envelope, MaybePromise, Session } from "../model/index.ts";

export interface Rewriter {
  readonly name: string;
  /** A new envelope or the same one. Throws `TableUnavailable` when it could not tell: the message is refused for now. */
  rewrite<E extends Envelope>(envelope: E, session: Session): MaybePromise<E>;
}
