/** The envelope of an accepted message, in the order of Postfix's cleanup(8): sender, recipients, blind copies, aliases. */
import { setImmediate as turn } from "node:timers/promises";
import {
  after,
  isPromise,
  type AddressPlace,
  type Envelope,
  type MaybePromise,
  type Recipient,
  type RewriteAsk,
} from "@postern/core";
import type { AddressTables } from "./address-tables.ts";
import type { Canonical } from "./canonical-address.ts";
import { expandRecipients } from "./virtual-aliases.ts";

export interface EnvelopeSteps {
  /** An address of the envelope in its form. */
  readonly form: (address: string) => string;
  /** The sender that stands for the null sender: `mailer-daemon` at the origin. */
  readonly isMailerDaemon: (address: string) => boolean;
  readonly canonical: Canonical;
  readonly alwaysBcc: string | undefined;
  readonly senderBcc: AddressTables | undefined;
  readonly recipientBcc: AddressTables | undefined;
  readonly virtual: AddressTables | undefined;
}

/** Recipients asked for at a time when a table is elsewhere, and those in memory before others have their turn. */
const atATime = 20;
const recipientsPerTurn = 2000;

export function rewriteEnvelope<E extends Envelope>(
  envelope: E,
  steps: EnvelopeSteps,
  ask: RewriteAsk,
): MaybePromise<E> {
  return new EnvelopePass(envelope, steps, ask).run();
}

class EnvelopePass<E extends Envelope> {
  readonly #envelope: E;
  readonly #steps: EnvelopeSteps;
  readonly #ask: RewriteAsk;
  readonly #recipients: Recipient[] = [];
  /** Behind the recipients that they come from, as they are found. */
  readonly #copies: Recipient[] = [];

  constructor(envelope: E, steps: EnvelopeSteps, ask: RewriteAsk) {
    this.#envelope = envelope;
    this.#steps = steps;
    this.#ask = ask;
  }

  run(): MaybePromise<E> {
    return after(this.#sender(), (sender) =>
      after(this.#copy(this.#steps.senderBcc, sender, "sender bcc"), () =>
        after(this.#rewriteRecipients(0), () => after(this.#alwaysCopy(), () => this.#finish(sender))),
      ),
    );
  }

  #finish(sender: string): MaybePromise<E> {
    const { recipients } = this.#envelope;
    const all = [...this.#recipients, ...this.#copies];
    const same = all.length === recipients.length && all.every((one, at) => one === recipients[at]);
    const envelope =
      same && sender === this.#envelope.sender ? this.#envelope : { ...this.#envelope, sender, recipients: all };
    const { virtual } = this.#steps;
    return virtual === undefined ? envelope : expandRecipients(envelope, virtual, this.#ask.trace);
  }

  #sender(): MaybePromise<string> {
    const { sender } = this.#envelope;
    if (sender === "") return sender;
    if (this.#steps.isMailerDaemon(sender)) {
      this.#ask.trace?.({ name: "null sender", place: "envelope_sender", before: sender, after: [""] });
      return "";
    }
    return this.#canonical(sender, "envelope_sender");
  }

  #canonical(address: string, place: AddressPlace): MaybePromise<string> {
    const { trace } = this.#ask;
    const form = this.#steps.form(address);
    if (form !== address) trace?.({ name: "qualify", place, before: address, after: [form] });
    return this.#steps.canonical(form, place, trace);
  }

  #rewriteRecipients(start: number): MaybePromise<void> {
    const { recipients } = this.#envelope;
    for (let at = start; at < recipients.length; at++) {
      if (at - start >= recipientsPerTurn) return turn().then(() => this.#rewriteRecipients(at));
      const recipient = recipients[at] as Recipient;
      const answer = this.#canonical(recipient.address, "envelope_recipient");
      if (isPromise(answer)) return this.#recipientsLate(at, answer);
      const copied = this.#take(recipient, answer);
      if (isPromise(copied)) return copied.then(() => this.#rewriteRecipients(at + 1));
    }
    return undefined;
  }

  async #recipientsLate(start: number, first: Promise<string>): Promise<void> {
    const some = this.#envelope.recipients.slice(start, start + atATime);
    const others = some.slice(1).map(async ({ address }) => this.#canonical(address, "envelope_recipient"));
    const answers = await Promise.all([first, ...others]);
    for (const [at, recipient] of some.entries()) await this.#take(recipient, answers[at] ?? recipient.address);
    return this.#rewriteRecipients(start + some.length);
  }

  #take(recipient: Recipient, address: string): MaybePromise<void> {
    this.#recipients.push(address === recipient.address ? recipient : { ...recipient, address });
    return this.#copy(this.#steps.recipientBcc, address, "recipient bcc");
  }

  /** The gateway's own mail has no copies, and neither has a copy. */
  #copy(tables: AddressTables | undefined, address: string, name: string): MaybePromise<void> {
    if (tables === undefined || address === "" || this.#ask.session === undefined) return undefined;
    const place = name === "sender bcc" ? "envelope_sender" : "envelope_recipient";
    return after(tables.replace(address, { place, trace: this.#ask.trace }), (found) =>
      found?.[0] === undefined ? undefined : this.#addCopy(found[0]),
    );
  }

  #alwaysCopy(): MaybePromise<void> {
    const { alwaysBcc } = this.#steps;
    if (alwaysBcc === undefined || this.#ask.session === undefined) return undefined;
    this.#ask.trace?.({ name: "always bcc", place: "envelope_recipient", before: "", after: [alwaysBcc] });
    return this.#addCopy(alwaysBcc);
  }

  /** Nobody is told what becomes of it (DSN_NOTIFY_NEVER). */
  #addCopy(copy: string): MaybePromise<void> {
    return after(this.#canonical(copy, "envelope_recipient"), (address) => {
      this.#copies.push({ address, original: address, notify: ["never"] });
    });
  }
}
