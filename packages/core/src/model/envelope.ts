/** Envelope and recipients (RFC 5321 §2.3.1, RFC 3461, RFC 6531). Plain, structured-cloneable. */

export type AddressClass = "local" | "relay" | "virtualAlias" | "virtualMailbox" | "default";

export type NotifyCondition = "never" | "success" | "failure" | "delay";

/** One RCPT. */
export interface Recipient {
  /** Canonical `local@domain`: local part quoted only where RFC 5321 needs it, domain lower case, A-labels or U-labels as given. */
  readonly address: string;
  /** As the client wrote it, before any rewriting. */
  readonly original: string;
  /** RFC 3461 ORCPT as received, `rfc822;user@example.test`. */
  readonly orcpt?: string;
  /** RFC 3461 NOTIFY. Absent: failure and delay at the relay's discretion. */
  readonly notify?: readonly NotifyCondition[];
}

export interface Envelope {
  /** Reverse-path without brackets; the empty string is the null sender `<>`. */
  readonly sender: string;
  readonly recipients: readonly Recipient[];
  /** RFC 6152 BODY. */
  readonly body: "7bit" | "8bitmime";
  /** RFC 6531: the client asked for SMTPUTF8. */
  readonly smtputf8: boolean;
  /** RFC 3461 RET. */
  readonly ret?: "full" | "hdrs";
  /** RFC 3461 ENVID, xtext as received. */
  readonly envid?: string;
}

/** MAIL to end of data. Recipients grow while it lasts. */
export interface Transaction extends Envelope {
  /** The queue id that the message will have. */
  readonly id: string;
  readonly sessionId: string;
  readonly startedAt: number;
  /** SIZE as declared, bytes. */
  readonly declaredSizeBytes: number | undefined;
  /** RFC 4954 §5 AUTH, xtext or `<>` as received; only of a client that is logged in, since nobody else is to be believed. */
  readonly submitter?: string;
}
