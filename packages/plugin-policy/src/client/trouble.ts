/** Why a question got no answer. For the log alone: the default action stands then. */

/**
 * refused: no connection came about; lost: it was closed before the answer was whole; late: no answer in time; rubbish: no
 * answer that the protocol knows; busy: too many are waiting; closed: the generation has ended.
 */
export type TroubleKind = "refused" | "lost" | "late" | "rubbish" | "busy" | "closed";

export class Trouble extends Error {
  readonly kind: TroubleKind;

  constructor(kind: TroubleKind, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "Trouble";
    this.kind = kind;
  }
}
