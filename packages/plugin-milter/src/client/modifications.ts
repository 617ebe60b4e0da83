/**
 * What a milter wants changed at the end of a message, as edits of ours. Header fields are counted as Postfix counts them: changes see the
 * header as the milter saw it, without our own Received; insertions count that one, which stands on top until something is put above it.
 */
import {
  canonicalAddress,
  type Blob,
  type Edit,
  type Effect,
  type EnvelopeEdit,
  type Message,
  type ScanAsk,
  type Spool,
} from "@postern/core";
import { actions, fromOctets, steps, type Modification, type Terms } from "../protocol/index.ts";
import { invalid } from "./trouble.ts";

/** What one milter may ask for; the gateway carries out ten thousand edits of a message at most. */
const mostModifications = 2_000;

const needed: Readonly<Record<Modification["kind"], number>> = {
  addHeader: actions.addHeaders,
  insertHeader: actions.addHeaders | actions.changeHeaders,
  changeHeader: actions.changeHeaders,
  replaceBody: actions.changeBody,
  addRecipient: actions.addRecipients | actions.addRecipientsWithArguments,
  deleteRecipient: actions.deleteRecipients,
  changeSender: actions.changeSender,
  quarantine: actions.quarantine,
};

/** Where our own Received stands among the fields that milters count; one for all the milters of a message. */
export class Trace {
  receivedAt = 0;
}

export interface Modified {
  readonly edits: readonly Edit[];
  readonly effects: readonly Effect[];
}

export class Modifications {
  readonly #terms: Terms;
  readonly #ask: Pick<ScanAsk, "openSpool" | "transaction">;
  readonly #origin: string;
  readonly #trace: Trace;
  /** Lower-case names of the fields as they stand now, from the top. */
  readonly #names: string[];
  readonly #edits: Edit[] = [];
  readonly #effects: Effect[] = [];
  #count = 0;
  #body: Spool | undefined;
  #endsWithLine = true;

  /** `origin`: the domain of addresses without one. */
  constructor(
    terms: Terms,
    message: Message,
    ask: Pick<ScanAsk, "openSpool" | "transaction">,
    trace: Trace,
    origin: string,
  ) {
    this.#terms = terms;
    this.#ask = ask;
    this.#trace = trace;
    this.#origin = origin;
    this.#names = Array.from(message.headers, ({ name }) => name.toLowerCase());
  }

  /** Waits when the disk is behind. Throws or rejects with `ScannerFailure` for what was not negotiated or cannot be. */
  async add(modification: Modification): Promise<void> {
    if ((this.#terms.actions & needed[modification.kind]) === 0) {
      throw invalid(`it did not say in the negotiation that it may ${modification.kind}`);
    }
    if (modification.kind === "replaceBody") return this.#replaceBody(modification.octets);
    this.#count += 1;
    if (this.#count > mostModifications) throw invalid(`it wants more than ${mostModifications} modifications`);
    switch (modification.kind) {
      case "addHeader":
        return this.#append(soundName(modification.name), modification.value);
      case "insertHeader":
        return this.#insert(modification.index, soundName(modification.name), modification.value);
      case "changeHeader":
        return this.#change(modification.index, soundName(modification.name), modification.value);
      case "addRecipient":
        this.#edits.push({ kind: "addRecipient", address: this.#address(modification.address) });
        return;
      case "deleteRecipient":
        this.#edits.push({ kind: "removeRecipient", address: this.#recipient(modification.address) });
        return;
      case "changeSender": {
        const isNull = bare(modification.address) === "";
        this.#edits.push({ kind: "changeSender", address: isNull ? "" : this.#address(modification.address) });
        return;
      }
      case "quarantine":
        this.#effects.push({ kind: "quarantine", text: fromOctets(modification.reason) });
    }
  }

  /** Once, after the last one. */
  async finish(): Promise<Modified> {
    if (this.#body !== undefined) {
      if (!this.#endsWithLine) await this.#body.write(Buffer.from("\r\n"));
      this.#edits.push({ kind: "replaceBody", body: await this.#endBody(this.#body) });
    }
    return { edits: this.#edits, effects: this.#effects };
  }

  async #replaceBody(octets: Uint8Array): Promise<void> {
    this.#body ??= this.#ask.openSpool();
    if (octets.length === 0) return;
    this.#endsWithLine = octets[octets.length - 1] === 0x0a;
    // A copy: the octets are a part of what was read from the socket, which may be much more.
    if (!(await this.#body.write(Buffer.from(octets)))) await this.#endBody(this.#body);
  }

  async #endBody(spool: Spool): Promise<Blob> {
    const body = await spool.end();
    if (body === undefined) throw invalid("its body is larger than a message may be");
    return body;
  }

  #append(name: string, value: string): void {
    this.#edits.push({ kind: "appendHeader", name, value: this.#octets(value) });
    this.#names.push(name.toLowerCase());
  }

  #insert(index: number, name: string, value: string): void {
    const trace = this.#trace;
    const isAbove = index <= trace.receivedAt;
    const at = isAbove ? index : index - 1;
    if (isAbove) trace.receivedAt += 1;
    else if (at >= this.#names.length) return this.#append(name, value);
    this.#edits.push({ kind: "insertHeader", index: at, name, value: this.#octets(value) });
    this.#names.splice(at, 0, name.toLowerCase());
  }

  #change(index: number, name: string, value: string): void {
    const lowerName = name.toLowerCase();
    // Index 0 is taken for 1, as Sendmail does.
    const nth = Math.max(index, 1);
    let left = nth;
    const at = this.#names.findIndex((each) => each === lowerName && --left === 0);
    if (value === "") {
      if (at < 0) return;
      this.#edits.push({ kind: "deleteHeader", name, nth });
      this.#names.splice(at, 1);
      return;
    }
    if (at < 0) return this.#append(name, value);
    this.#edits.push({ kind: "replaceHeader", name, nth, value: this.#octets(value) });
  }

  /** The blank behind the colon is the milter's own where it said that it minds. */
  #octets(value: string): Uint8Array {
    const isOwn = (this.#terms.steps & steps.leadingSpace) !== 0;
    return Buffer.from(isOwn ? value : ` ${value}`, "latin1");
  }

  /** In the words in which it was told of one, whatever they are, or in others. */
  #recipient(octets: string): string {
    const text = bare(octets);
    const told = this.#ask.transaction.recipients.find(({ original }) => original === text);
    return told?.address ?? this.#address(octets);
  }

  #address(octets: string): string {
    const text = bare(octets);
    const address = canonicalAddress(text.includes("@") ? text : `${text}@${this.#origin}`, { smtputf8: true });
    if (address === undefined) throw invalid("it gave an address that is none");
    return address;
  }
}

function bare(octets: string): string {
  return fromOctets(octets)
    .trim()
    .replace(/^<(.*)>$/s, "$1");
}

function soundName(name: string): string {
  if (!/^[\u0021-\u0039\u003b-\u007e]+$/.test(name)) throw invalid("it gave a header field without a sound name");
  return name;
}

export function isModification(kind: string): kind is Modification["kind"] {
  return Object.hasOwn(needed, kind);
}

/** Those that concern the content, which the next milter shall see. */
export function contentEdits(edits: readonly Edit[]): readonly Exclude<Edit, EnvelopeEdit>[] {
  return edits.filter(
    (edit): edit is Exclude<Edit, EnvelopeEdit> =>
      edit.kind !== "addRecipient" && edit.kind !== "removeRecipient" && edit.kind !== "changeSender",
  );
}
