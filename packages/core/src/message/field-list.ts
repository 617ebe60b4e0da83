/** Header fields between two edits. Ten thousand edits of ten thousand fields must not take ten thousand times as long as one. */

export interface ListedField {
  readonly lowerName: string;
}

/** A field's place; empty when it was deleted, until the list is closed up. */
interface Place<Field> {
  field: Field | undefined;
}

export class FieldList<Field extends ListedField> {
  #places: Place<Field>[];
  #closed = true;
  /** The places of each name in order, once a name was asked for. */
  #byName: Map<string, Place<Field>[]> | undefined;
  /** Names whose places are to be looked for anew. */
  readonly #unsure = new Set<string>();

  constructor(fields: readonly Field[]) {
    this.#places = fields.map((field) => ({ field }));
  }

  get all(): readonly Field[] {
    return this.#places.flatMap(({ field }) => field ?? []);
  }

  prepend(field: Field): void {
    const place = { field };
    this.#places.unshift(place);
    if (this.#isKnown(field.lowerName)) this.#named(field.lowerName).unshift(place);
  }

  append(field: Field): void {
    const place = { field };
    this.#places.push(place);
    if (this.#isKnown(field.lowerName)) this.#named(field.lowerName).push(place);
  }

  insert(index: number, field: Field): void {
    this.#close();
    this.#places.splice(index, 0, { field });
    this.#unsure.add(field.lowerName);
  }

  /** `nth` of those with the name, 1 first; all when it is absent. Lines that are no fields have no name, and none can be meant. */
  replace(lowerName: string, nth: number | undefined, make: () => Field): void {
    const named = this.#named(lowerName);
    const [first, end] = rangeOf(nth, named.length);
    for (const place of named.slice(first, end)) place.field = make();
  }

  delete(lowerName: string, nth: number | undefined): void {
    const named = this.#named(lowerName);
    const [first, end] = rangeOf(nth, named.length);
    for (const place of named.splice(first, end - first)) {
      place.field = undefined;
      this.#closed = false;
    }
  }

  #close(): void {
    if (this.#closed) return;
    this.#places = this.#places.filter(({ field }) => field !== undefined);
    this.#closed = true;
  }

  #isKnown(lowerName: string): boolean {
    return this.#byName !== undefined && !this.#unsure.has(lowerName);
  }

  #named(lowerName: string): Place<Field>[] {
    if (lowerName === "") return [];
    const byName = (this.#byName ??= this.#byNames());
    if (this.#unsure.delete(lowerName)) {
      byName.set(
        lowerName,
        this.#places.filter(({ field }) => field?.lowerName === lowerName),
      );
    }
    let named = byName.get(lowerName);
    if (named === undefined) byName.set(lowerName, (named = []));
    return named;
  }

  #byNames(): Map<string, Place<Field>[]> {
    this.#unsure.clear();
    const byName = new Map<string, Place<Field>[]>();
    for (const place of this.#places) {
      const { lowerName = "" } = place.field ?? {};
      const named = byName.get(lowerName);
      if (named === undefined) byName.set(lowerName, [place]);
      else named.push(place);
    }
    return byName;
  }
}

/** From (inclusive) and to (exclusive). */
function rangeOf(nth: number | undefined, count: number): readonly [number, number] {
  if (nth === undefined) return [0, count];
  return nth >= 1 && nth <= count ? [nth - 1, nth] : [0, 0];
}
