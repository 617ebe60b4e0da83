/** The tree of a POSIX regular expression over octets. */

/** Conditions on the places beside a position. A line's edge is the text's edge, and with the flag `m` a newline. */
export type Anchor =
  "lineStart" | "lineEnd" | "textStart" | "textEnd" | "wordStart" | "wordEnd" | "insideWord" | "outsideWord";

export type Expression =
  /** 1 for each of the 256 octets that it takes. */
  | { readonly kind: "set"; readonly set: Uint8Array }
  | { readonly kind: "anchor"; readonly anchor: Anchor }
  | { readonly kind: "group"; readonly index: number; readonly body: Expression | undefined }
  | { readonly kind: "sequence"; readonly parts: readonly Expression[] }
  /** `undefined` is nothing at all, as in `(a|)`. */
  | { readonly kind: "choice"; readonly left: Expression | undefined; readonly right: Expression | undefined }
  /** `most` may be Infinity. */
  | { readonly kind: "repeat"; readonly body: Expression; readonly least: number; readonly most: number }
  | { readonly kind: "backReference"; readonly index: number };

export interface ParsedExpression {
  /** `undefined` matches the empty text. */
  readonly root: Expression | undefined;
  readonly groups: number;
  readonly hasBackReference: boolean;
}

export interface ExpressionFlags {
  readonly ignoreCase: boolean;
  /** Extended syntax; otherwise basic. */
  readonly extended: boolean;
  /** `^` and `$` at newlines, and no newline for `.` and `[^…]` (REG_NEWLINE). */
  readonly newline: boolean;
}

/** Wrong syntax; the message is regerror's. */
export class ExpressionError extends Error {}
