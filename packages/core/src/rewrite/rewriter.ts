/** The rewriter seam: an accepted message's envelope before it is queued. Canonical, virtual and the like are plugins'. */
import { after, type Envelope, type MaybePromise, type Session } from "../model/index.ts";
import { uniqueRecipients } from "./envelope-edits.ts";

export interface Rewriter {
  readonly name: string;
  /** A new envelope or the same one. Throws `TableUnavailable` when it could not tell: the message is refused for now. */
  rewrite<E extends Envelope>(envelope: E, session: Session): MaybePromise<E>;
}

export const identityRewriter: Rewriter = Object.freeze({
  name: "identity",
  rewrite: <E extends Envelope>(envelope: E): E => envelope,
});

/** Rewriters in order, each on what the one before made; at the end each recipient once. */
export function composeRewriters(rewriters: readonly Rewriter[]): Rewriter {
  if (rewriters.length === 0) return identityRewriter;
  const from = <E extends Envelope>(index: number, envelope: E, session: Session): MaybePromise<E> => {
    const rewriter = rewriters[index];
    if (rewriter === undefined) return withUniqueRecipients(envelope);
    return after(rewriter.rewrite(envelope, session), (next) => from(index + 1, next, session));
  };
  return {
    name: rewriters.map(({ name }) => name).join(", "),
    rewrite: (envelope, session) => from(0, envelope, session),
  };
}

function withUniqueRecipients<E extends Envelope>(envelope: E): E {
  const recipients = uniqueRecipients(envelope.recipients);
  return recipients === envelope.recipients ? envelope : { ...envelope, recipients };
}
