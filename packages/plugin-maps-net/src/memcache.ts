/**
 * `memcache:`, memcache_table(5): asks memcached first and the persistent table behind it for what memcached does not have, or when
 * it cannot be asked; what the persistent table has is stored into memcached for the next one.
 */
import { after, type LookupAsk, type LookupTable, type TableParameters, type TableScope } from "@postern/core";
import { answerText } from "./answer-text.ts";
import { ExchangeError, toUnavailable } from "./exchange-error.ts";
import { checkKey, getReader, setReader, writeGet, writeSet } from "./memcached.ts";
import { readMemcacheParameters, type MemcacheParameters } from "./memcache-parameters.ts";

export async function openMemcache(name: string, scope: TableScope, object: TableParameters): Promise<LookupTable> {
  const parameters = await readMemcacheParameters(name, scope, object);
  return new MemcacheTable(name, parameters, scope);
}

/** With a backup, memcached is left alone for so long after it could not be asked. */
const leaveAloneMs = 1000;

class MemcacheTable implements LookupTable {
  readonly type = "memcache";
  readonly name: string;
  readonly kind = "indexed";
  readonly trusted = false;
  readonly #parameters: MemcacheParameters;
  readonly #scope: Pick<TableScope, "clock" | "warn">;
  #leaveAloneUntil = 0;
  #saidTooLong = false;
  readonly #pauses = new Set<() => void>();
  #closed = false;

  constructor(name: string, parameters: MemcacheParameters, scope: Pick<TableScope, "clock" | "warn">) {
    this.name = name;
    this.#parameters = parameters;
    this.#scope = scope;
  }

  async lookup(key: string, ask?: LookupAsk): Promise<string | undefined> {
    const { backup, keyFormat, label, rules } = this.#parameters;
    const asked = keyFormat.expand(key);
    if (asked === undefined || !(await rules.asks(key))) return undefined;
    const fitness = checkKey(asked);
    if (fitness === "blank") return undefined;
    let trouble: unknown;
    try {
      if (fitness === "long")
        throw new ExchangeError("denied", "a key longer than memcached takes", { onlyThisKey: true });
      const found = await this.#get(asked, ask?.signal);
      if (found !== undefined) return answerText(found);
    } catch (error) {
      trouble = error;
    }
    if (backup === undefined) {
      if (trouble !== undefined) throw toUnavailable(label, trouble);
      return undefined;
    }
    return after(backup.lookup(key, ask), (value) => {
      if (value !== undefined && trouble === undefined) this.#store(asked, value);
      return value;
    });
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#parameters.pool.close();
    for (const wake of this.#pauses) wake();
    return Promise.resolve();
  }

  async #get(key: string, signal: AbortSignal | undefined): Promise<Buffer | undefined> {
    const { backup, limits, maxTry, pool } = this.#parameters;
    const { clock } = this.#scope;
    if (backup !== undefined && clock.monotonic() < this.#leaveAloneUntil) {
      throw new ExchangeError("busy", "memcached could not be asked a moment ago");
    }
    for (let attempt = 1; ; attempt++) {
      try {
        return await pool.ask(writeGet(key), getReader(key, limits), signal);
      } catch (error) {
        if (attempt < maxTry && !this.#closed && this.#mayTryAgain(error)) {
          await this.#pause();
          continue;
        }
        if (!(error instanceof ExchangeError && error.onlyThisKey)) {
          this.#leaveAloneUntil = clock.monotonic() + leaveAloneMs;
        }
        throw error;
      }
    }
  }

  /** Nobody waits for a second silence when there is somebody else to ask. */
  #mayTryAgain(error: unknown): boolean {
    if (!(error instanceof ExchangeError) || error.onlyThisKey) return false;
    return error.trouble === "lost" || error.trouble === "rubbish" || (error.trouble === "late" && !this.#hasBackup);
  }

  get #hasBackup(): boolean {
    return this.#parameters.backup !== undefined;
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        timer.cancel();
        this.#pauses.delete(wake);
        resolve();
      };
      const timer = this.#scope.clock.setTimer(wake, this.#parameters.retryPauseMs);
      this.#pauses.add(wake);
    });
  }

  /** Nobody waits for it, and whether it succeeds is nobody's business: the backup has the answer. */
  #store(key: string, value: string): void {
    const { flags, label, limits, pool, ttlSeconds } = this.#parameters;
    if (Buffer.byteLength(value) > limits.dataBytes) {
      if (!this.#saidTooLong) {
        this.#scope.warn(
          `table ${label}: a value is longer than data_size_limit = ${limits.dataBytes} and is not stored`,
        );
      }
      this.#saidTooLong = true;
      return;
    }
    pool.ask(writeSet(key, value, flags, ttlSeconds), setReader(limits)).catch(() => undefined);
  }
}
