/** Tables of a plugin with the same connection parameters share their connections; the last one to be closed closes them. */
export interface Taken<Value> {
  readonly value: Value;
  /** Idempotent. */
  release(): Promise<void>;
}

export class Shared<Value extends { close(): Promise<void> | void }> {
  readonly #taken = new Map<string, { readonly value: Value; users: number }>();

  /** `settings` are compared as JSON. */
  take(settings: unknown, open: () => Value): Taken<Value> {
    const key = JSON.stringify(settings);
    let shared = this.#taken.get(key);
    if (shared === undefined) {
      shared = { value: open(), users: 0 };
      this.#taken.set(key, shared);
    }
    const entry = shared;
    entry.users += 1;
    let released = false;
    return {
      value: entry.value,
      release: async () => {
        if (released) return;
        released = true;
        entry.users -= 1;
        if (entry.users > 0) return;
        this.#taken.delete(key);
        await entry.value.close();
      },
    };
  }
}
