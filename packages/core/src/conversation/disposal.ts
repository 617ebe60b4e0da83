/** What another mail server is to do with a message that it has given us. */
import type { Blob } from "../message/index.ts";
import type { Recipient } from "../model/index.ts";
import type { HeaderChange } from "./header-changes.ts";

/** Lines as they go over the wire, CRLF between them and none at the end: `550 5.7.1 text`. */
export type Refusal = string;

/** What of the message and its envelope becomes another. */
export interface Changes {
  /** Without brackets; "" is the null sender. Absent: it stays. */
  readonly sender?: string;
  /** As the mail server told them. */
  readonly removed: readonly Recipient[];
  readonly added: readonly Recipient[];
  readonly headers: readonly HeaderChange[];
  /** In place of the body; it can be read until the next question. */
  readonly body: Blob | undefined;
}

export type Disposal =
  | { readonly kind: "refused"; readonly refusal: Refusal }
  /** To be taken and thrown away. */
  | { readonly kind: "discarded"; readonly reason: string }
  | {
      readonly kind: "taken";
      readonly changes: Changes;
      /** Why it is to be put aside; absent: it goes on. */
      readonly quarantine: string | undefined;
    };

export const noChanges: Changes = Object.freeze({
  removed: Object.freeze([]),
  added: Object.freeze([]),
  headers: Object.freeze([]),
  body: undefined,
});
