/** Header fields between two edits. Ten thousand edits of ten thousand fields must not take ten thousand times as long as one. */

export interface ListedField {
  readonly lowerName: string;
}

export class FieldList<Field extends ListedField> {
  readonly #fields: Field[];
  /** Those of one name in order, for the names that were asked for. */
  readonly #byName = new Map<string, Field[]>();

  constructor(fields: readonly Field[]) {
    this.#fields = [...fields];
  }

  get all(): readonly Field[] {
    return this.#fields;
  }

  prepend(field: Field): void {
    this.#fields.unshift(field);
    this.#byName.get(field.lowerName)?.unshift(field);
  }

  append(field: Field): void {
    this.#fields.push(field);
    this.#byName.get(field.lowerName)?.push(field);
  }

  insert(index: number, field: Field): void {
    this.#fields.splice(index, 0, field);
    this.#byName.delete(field.lowerName);
  }

  /** `nth` of those with the name, 1 first; all when it is absent. Lines that are no fields have no name, and none can be meant. */
  replace(lowerName: string, nth: number | undefined, make: () => Field): void {
    const named = this.#named(lowerName);
    if (named.length === 0) return;
    if (nth === undefined) {
      this.#fields.forEach((old, at) => {
        if (old.lowerName === lowerName) this.#fields[at] = make();
      });
      this.#byName.delete(lowerName);
      return;
    }
    const old = named[nth - 1];
    if (old === undefined) return;
    const field = make();
    this.#fields[this.#fields.indexOf(old)] = field;
    named[nth - 1] = field;
  }

  delete(lowerName: string, nth: number | undefined): void {
    const named = this.#named(lowerName);
    if (named.length === 0) return;
    if (nth === undefined) {
      let kept = 0;
      for (const field of this.#fields) if (field.lowerName !== lowerName) this.#fields[kept++] = field;
      this.#fields.length = kept;
      this.#byName.delete(lowerName);
      return;
    }
    const old = named[nth - 1];
    if (old === undefined) return;
    this.#fields.splice(this.#fields.indexOf(old), 1);
    named.splice(nth - 1, 1);
  }

  #named(lowerName: string): Field[] {
    if (lowerName === "") return [];
    let named = this.#byName.get(lowerName);
    if (named === undefined) {
      named = this.#fields.filter((field) => field.lowerName === lowerName);
      this.#byName.set(lowerName, named);
    }
    return named;
  }
}
