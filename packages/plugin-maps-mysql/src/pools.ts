/** The pools of one generation: tables with the same servers, login and patience share one, whatever their queries are. */
import type { Clock } from "@postern/core";
import type { OpenDriver } from "./driver.ts";
import { Pool, type TableQuestion } from "./pool.ts";
import type { ServerSettings } from "./server.ts";

export interface SharedPool {
  ask(question: TableQuestion): void;
  /** The last one closes the pool. */
  release(): Promise<void>;
}

export class Pools {
  readonly #openDriver: OpenDriver;
  readonly #pools = new Map<string, { readonly pool: Pool; users: number }>();

  constructor(openDriver: OpenDriver) {
    this.#openDriver = openDriver;
  }

  share(settings: ServerSettings, clock: Clock): SharedPool {
    const key = JSON.stringify(settings);
    const entry = this.#pools.get(key) ?? { pool: new Pool(settings, clock, this.#openDriver), users: 0 };
    entry.users += 1;
    this.#pools.set(key, entry);
    return {
      ask: (question) => entry.pool.ask(question),
      release: async () => {
        entry.users -= 1;
        if (entry.users > 0) return;
        this.#pools.delete(key);
        await entry.pool.close();
      },
    };
  }
}
