/** Octets that all messages coming in may hold in memory together; what finds no room goes to disk. */
export class MemoryBudget {
  #leftBytes: number;

  constructor(bytes: number) {
    this.#leftBytes = bytes;
  }

  get leftBytes(): number {
    return this.#leftBytes;
  }

  /** May go below zero: whoever takes asks `leftBytes` first where it has a choice. */
  take(bytes: number): void {
    this.#leftBytes -= bytes;
  }

  giveBack(bytes: number): void {
    this.#leftBytes += bytes;
  }
}
