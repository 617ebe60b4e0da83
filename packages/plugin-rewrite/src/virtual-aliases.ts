/** Virtual aliases (virtual(5)): recipients replaced by those that tables name, before the message is queued. */
import { setImmediate as turn } from "node:timers/promises";
import {
  isPromise,
  TableUnavailable,
  type Envelope,
  type MaybePromise,
  type Recipient,
  type RewriteTrace,
} from "@postern/core";
import type { AddressTables } from "./address-tables.ts";
import { expandAddress } from "./expansion.ts";

/** Recipients of one message whose aliases are asked for at a time. */
const atATime = 20;
/** One message cannot become a flood: an extension makes a new recipient of each member of a list. */
const mostRecipients = 100_000;
/** Addresses found in memory before others have their turn: some milliseconds. */
const addressesPerTurn = 2000;

/** The envelope with every alias expanded; the same one when there are none. Throws `TableUnavailable`. */
export function expandRecipients<E extends Envelope>(
  envelope: E,
  tables: AddressTables,
  trace: RewriteTrace | undefined,
): MaybePromise<E> {
  return new Expanding(envelope, tables, trace).run();
}

class Expanding<E extends Envelope> {
  readonly #envelope: E;
  readonly #expand: (address: string) => MaybePromise<readonly string[]>;
  readonly #done: Recipient[] = [];
  /** Many lists have members in common; the first of them stays. */
  readonly #seen = new Set<string>();
  #found = 0;

  constructor(envelope: E, tables: AddressTables, trace: RewriteTrace | undefined) {
    this.#envelope = envelope;
    const at = { place: "envelope_recipient", trace } as const;
    const lookUp = (address: string): MaybePromise<readonly string[] | undefined> => tables.replace(address, at);
    const expand = (address: string): MaybePromise<readonly string[]> => expandAddress(address, lookUp);
    this.#expand = expand;
  }

  run(start = 0): MaybePromise<E> {
    const { recipients } = this.#envelope;
    const turnAt = this.#found + addressesPerTurn;
    for (let at = start; at < recipients.length; at++) {
      if (this.#found >= turnAt) return turn().then(() => this.run(at));
      const recipient = recipients[at] as Recipient;
      const expanded = this.#expand(recipient.address);
      if (isPromise(expanded)) return this.#late(at, expanded);
      this.#take(recipient, expanded);
    }
    const same = this.#done.length === recipients.length && this.#done.every((one, at) => one === recipients[at]);
    return same ? this.#envelope : { ...this.#envelope, recipients: this.#done };
  }

  /** Some at a time, the first of them under way. */
  async #late(start: number, first: Promise<readonly string[]>): Promise<E> {
    const some = this.#envelope.recipients.slice(start, start + atATime);
    const others = some.slice(1).map(async ({ address }) => this.#expand(address));
    const expanded = await Promise.all([first, ...others]);
    for (const [at, recipient] of some.entries()) this.#take(recipient, expanded[at] ?? []);
    return this.run(start + some.length);
  }

  #take(recipient: Recipient, addresses: readonly string[]): void {
    this.#found += addresses.length;
    for (const address of addresses) {
      if (this.#seen.has(address)) continue;
      this.#seen.add(address);
      this.#done.push(address === recipient.address ? recipient : { ...recipient, address });
    }
    if (this.#done.length > mostRecipients) {
      throw new TableUnavailable("virtual aliases", `one message would have more than ${mostRecipients} recipients`);
    }
  }
}
