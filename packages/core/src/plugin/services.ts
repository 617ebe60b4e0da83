/** Services that plugins of this project offer to those that come later: contracts only. */
import type { Blob } from "../message/index.ts";
import type { Envelope, Recipient } from "../model/index.ts";
import type { Service } from "./gateway.ts";

/** One message to one SMTP server while somebody waits for the answer: all its recipients, or nobody. */
export interface SmtpHandOver {
  /**
   * Nothing but what the server says decides. A recipient that it refuses refuses the message: what would become of the others, nobody could
   * say in one reply. Rejects with `SmtpNotHanded`.
   */
  send(ask: SmtpHandOverAsk): Promise<SmtpHanded>;
}

export interface SmtpHandOverAsk {
  readonly endpoint: { readonly name: string; readonly address: string; readonly port: number };
  /** For EHLO. */
  readonly helo: string;
  readonly envelope: Omit<Envelope, "recipients">;
  readonly recipients: readonly Recipient[];
  readonly content: Blob;
  /** Attributes of XFORWARD, told as far as the server offers them; `undefined` is unavailable. */
  readonly xforward: Readonly<Record<string, string | undefined>>;
  readonly timeouts: {
    readonly connectMs: number;
    /** Of each reply before the final dot, and of each piece of the content. */
    readonly commandMs: number;
    /** Of the reply to the final dot. */
    readonly endMs: number;
  };
  /** Gives up, unless the final dot is on its way. */
  readonly signal: AbortSignal;
}

export interface SmtpHanded {
  readonly code: number;
  readonly enhanced: string | undefined;
  /** Without its codes. */
  readonly text: string;
  /** `end of DATA`, `RCPT TO`, `MAIL FROM`, `DATA`. A 2yz is always to `end of DATA`. */
  readonly inReplyTo: string;
}

/** The server gave no answer that counts. */
export class SmtpNotHanded extends Error {
  readonly reason: "down" | "timeout" | "error";
  /** The final dot was on its way: the server may have taken the message. */
  readonly inDoubt: boolean;

  constructor(reason: SmtpNotHanded["reason"], inDoubt: boolean, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "SmtpNotHanded";
    this.reason = reason;
    this.inDoubt = inDoubt;
  }
}

/** `@postern/plugin-transport-smtp` offers it. */
export const smtpHandOver: Service<SmtpHandOver> = Object.freeze({ name: "smtp-hand-over" });
