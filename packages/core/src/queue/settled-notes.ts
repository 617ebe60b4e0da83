/**
 * What was said of one message's recipients after its record, in order. It grows at its end, and loses its beginning when a copy of
 * the message says it: both without looking at the rest, since a list may have a hundred thousand recipients.
 */
import type { Note } from "./queue-index.ts";
import type { Settlement } from "./store.ts";

export type SettledNote = Note<readonly Settlement[]>;

export class SettledNotes implements Iterable<SettledNote> {
  readonly #notes: Set<SettledNote>;
  #said: number;

  constructor(notes: readonly SettledNote[] = []) {
    this.#notes = new Set(notes);
    this.#said = notes.length;
  }

  /** Of those that are still here. */
  get size(): number {
    return this.#notes.size;
  }

  /** So many were ever added: whether more was said since can be told by it. */
  get said(): number {
    return this.#said;
  }

  [Symbol.iterator](): SetIterator<SettledNote> {
    return this.#notes.values();
  }

  has(note: SettledNote): boolean {
    return this.#notes.has(note);
  }

  add(note: SettledNote): void {
    this.#notes.add(note);
    this.#said += 1;
  }

  /** Drops those that were there when so many had been said. */
  dropSaid(said: number): void {
    const staying = this.#said - said;
    for (const note of this.#notes) {
      if (this.#notes.size <= staying) break;
      this.#notes.delete(note);
    }
  }
}

/** Of nearly every message. Whoever adds to it makes one of the message's own first. */
export const nothingSettled: SettledNotes = new SettledNotes();

/** The place's own, to add to. */
export function ownNotes(place: { settled: SettledNotes }): SettledNotes {
  if (place.settled === nothingSettled) place.settled = new SettledNotes();
  return place.settled;
}
