/** The authenticator seam: what a plugin brings that knows passwords (RFC 4954). */
import type { MaybePromise, Session } from "../model/index.ts";

/** Mechanisms of which the client sends the password itself. */
export type AuthMechanism = "PLAIN" | "LOGIN";

/** What a client said to be. */
export interface Credentials {
  /** The authentication identity (authcid), as the client wrote it: 1 to 255 octets of UTF-8 without control characters. */
  readonly identity: string;
  /** The identity to act as; empty, or the same as `identity`: anything else is refused before anybody is asked. */
  readonly authzid: string;
  /** 1 to 1,024 octets of UTF-8 without NUL. Never to be logged or kept. */
  readonly password: string;
  readonly mechanism: AuthMechanism;
  readonly session: Session;
  /** Aborted when the client is gone. */
  readonly signal?: AbortSignal;
}

/**
 * `ok`: it is who it says; `identity` is the name under which it is known from now on (1 to 255 octets without control characters).
 * `no`: not by this authenticator; never says why. `later`: not to be asked now, the client is told 454. `delayMs` holds the reply
 * back, 30 seconds at most; `ends` closes the session with it.
 */
export type AuthAnswer =
  | { readonly kind: "ok"; readonly identity: string; readonly delayMs?: number }
  | { readonly kind: "no"; readonly delayMs?: number; readonly ends?: boolean }
  | { readonly kind: "later"; readonly delayMs?: number };

export interface Authenticator {
  /** Lower-case letters, digits and hyphens. */
  readonly name: string;
  /** One sentence for listings. */
  readonly description: string;
  /** What it throws is temporary (454) unless another authenticator accepts. */
  verify(credentials: Credentials): MaybePromise<AuthAnswer>;
}
