/** A transaction while it lasts: the plain envelope that others see, and beside it the content coming in. */
import type { Recipient, Transaction } from "../model/index.ts";
import { createSoundSpool, type Spool, type Spooler } from "../message/index.ts";
import type { Content } from "./content.ts";

export class OpenTransaction {
  /** What hooks, words and scanners see: plain data; its recipients grow. */
  readonly plain: Transaction;
  content: Content | undefined;
  /** RCPT commands so far, the refused ones too. */
  attempts = 0;
  /** Octets of content are being taken. */
  receiving = false;
  /** All content is in: whatever fails now ends the transaction. */
  received = false;
  /** It is over, with a message that was taken. */
  delivered = false;
  /** Monotonic, when the content began. */
  contentSince = 0;
  /** Room that scanners asked for; what they put there may be part of the message by now. */
  readonly #spools: Spool[] = [];
  #over = false;
  readonly #recipients: Recipient[] = [];
  #known: Set<string> | undefined;

  constructor(plain: Omit<Transaction, "recipients">) {
    this.plain = { ...plain, recipients: this.#recipients };
  }

  /** A recipient given twice is one. */
  add(recipient: Recipient): void {
    this.#known ??= new Set();
    if (this.#known.has(recipient.address)) return;
    this.#known.add(recipient.address);
    this.#recipients.push(recipient);
  }

  openSpool(spooler: Spooler): Spool {
    const spool = createSoundSpool(spooler.open());
    // An engine that was called off may not have heard of it yet.
    if (this.#over) void spool.dispose();
    else this.#spools.push(spool);
    return spool;
  }

  dispose(): void {
    this.#over = true;
    for (const spool of this.#spools) void spool.dispose();
    this.content?.dispose();
    this.content = undefined;
  }
}
