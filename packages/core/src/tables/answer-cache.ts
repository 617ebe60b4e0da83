/** Answers of one table for a while: found and not found, never an error. The least recently used go first. */

export interface KeptAnswer {
  readonly value: string | undefined;
  readonly untilMs: number;
  readonly octets: number;
}

export interface AnswerCacheOptions {
  readonly ttlMs: number;
  /** The most answers. */
  readonly entries: number;
  /** The most memory, about; 32 MiB unless said. */
  readonly octets?: number;
}

const defaultOctets = 2 ** 25;
/** What an entry costs beside its characters, about. */
const entryOctets = 100;

export class AnswerCache {
  /** In order of use: a JavaScript map goes through its keys as they were put in. */
  readonly #kept = new Map<string, KeptAnswer>();
  readonly #ttlMs: number;
  readonly #entries: number;
  readonly #mostOctets: number;
  #octets = 0;

  constructor({ ttlMs, entries, octets = defaultOctets }: AnswerCacheOptions) {
    this.#ttlMs = ttlMs;
    this.#entries = entries;
    this.#mostOctets = octets;
  }

  /** `nowMs` is monotonic. */
  get(key: string, nowMs: number): KeptAnswer | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    this.#kept.delete(key);
    if (kept.untilMs > nowMs) {
      this.#kept.set(key, kept);
      return kept;
    }
    this.#octets -= kept.octets;
    return undefined;
  }

  set(key: string, value: string | undefined, nowMs: number): void {
    this.#drop(key);
    // Two octets a character is the most that the engine takes.
    const octets = entryOctets + 2 * (key.length + (value?.length ?? 0));
    if (octets > this.#mostOctets) return;
    this.#kept.set(key, { value, untilMs: nowMs + this.#ttlMs, octets });
    this.#octets += octets;
    while (this.#kept.size > this.#entries || this.#octets > this.#mostOctets) this.#dropOldest();
  }

  clear(): void {
    this.#kept.clear();
    this.#octets = 0;
  }

  #drop(key: string): void {
    const kept = this.#kept.get(key);
    if (kept === undefined) return;
    this.#kept.delete(key);
    this.#octets -= kept.octets;
  }

  #dropOldest(): void {
    for (const key of this.#kept.keys()) return this.#drop(key);
  }
}
