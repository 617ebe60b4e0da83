/** Things that plugins register under a name: one owner each, and a clear sentence when two want the same. */
import { PluginError } from "../errors.ts";
import type { Owner } from "../guard/owner.ts";

export interface Registered<T> {
  readonly owner: Owner;
  readonly value: T;
}

export interface Registry<T> extends Iterable<readonly [name: string, registered: Registered<T>]> {
  /** Throws `PluginError` that names both owners. */
  add(owner: Owner, name: string, value: T): void;
  get(name: string): Registered<T> | undefined;
  readonly size: number;
}

/** `what`: "word", "transport", for messages. */
export function createRegistry<T>(what: string): Registry<T> {
  const entries = new Map<string, Registered<T>>();
  return {
    add(owner, name, value) {
      const other = entries.get(name);
      if (other !== undefined) {
        const by = other.owner.name === owner.name ? "by itself" : `by plugin ${other.owner.name}`;
        throw new PluginError(owner.name, `${what} "${name}" is registered already, ${by}`);
      }
      entries.set(name, { owner, value });
    },
    get: (name) => entries.get(name),
    [Symbol.iterator]: () => entries[Symbol.iterator](),
    get size() {
      return entries.size;
    },
  };
}
