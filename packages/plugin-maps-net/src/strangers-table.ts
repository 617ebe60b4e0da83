/** A table behind a socket where neither side proves who it is: asked for whole keys, and trusted with nothing. */
import type { LookupAsk, LookupTable } from "@postern/core";
import type { ReplyReader } from "./connection.ts";
import type { ConnectionPool } from "./connection-pool.ts";
import { toUnavailable } from "./exchange-error.ts";

export interface StrangersTableParts<Reply> {
  readonly type: string;
  readonly name: string;
  /** "tcp:127.0.0.1:2527", for errors. */
  readonly label: string;
  readonly pool: ConnectionPool;
  readonly question: (key: string) => Buffer;
  readonly read: ReplyReader<Reply>;
  /** The value; `undefined`: not found. Throws `ExchangeError` when the server could not ask. */
  readonly understand: (reply: Reply) => string | undefined;
}

export class StrangersTable<Reply> implements LookupTable {
  readonly type: string;
  readonly name: string;
  readonly kind = "pattern";
  readonly trusted = false;
  readonly #parts: StrangersTableParts<Reply>;

  constructor(parts: StrangersTableParts<Reply>) {
    this.type = parts.type;
    this.name = parts.name;
    this.#parts = parts;
  }

  async lookup(key: string, ask?: LookupAsk): Promise<string | undefined> {
    // No octets stand for it, so no server has it.
    if (!key.isWellFormed()) return undefined;
    const { label, pool, question, read, understand } = this.#parts;
    try {
      return understand(await pool.ask(question(key), read, ask?.signal));
    } catch (error) {
      throw toUnavailable(label, error);
    }
  }

  close(): Promise<void> {
    this.#parts.pool.close();
    return Promise.resolve();
  }
}
