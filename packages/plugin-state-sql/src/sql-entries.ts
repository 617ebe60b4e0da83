/** Entries in a table of a database, shared by all gateways that name it. One statement a call; nothing is locked between two. */
import { randomUUID } from "node:crypto";
import type { Entry, RemoteEntries } from "@postern/core";
import { removeBatch, type Dialect, type ValueColumn } from "./dialect.ts";
import { idOf, lastIdOfPart, ownSpace } from "./entry-id.ts";
import { noTable, prepareTable } from "./layout.ts";
import { codeOf, type Result, type Server, type Value } from "./server.ts";

/** Two statements in each other's way: the one that lost begins again. */
const lostRace: readonly (string | undefined)[] = ["ER_LOCK_DEADLOCK", "40P01", "40001"];
const maxRaces = 5;

/** A sweep that says nothing for so long is dead, and another gateway may begin. */
const sweepLeaseMs = 60_000;
const sweepKey = "sweep";
/** Batches after which the lease is renewed. */
const renewEvery = 20;

/** Entries of a quota that are counted one by one: of a larger one a part, since a database takes longer for millions than anybody waits. */
const counted = 50_000;

/** Of a database whose clock differs by more, leases and expiries of gateways disagree. */
const maxSkewMs = 10_000;

export interface SqlEntriesParts {
  readonly server: Server;
  readonly dialect: Dialect;
  /** This process's time, milliseconds since 1970. */
  readonly now: () => number;
  readonly warn: (text: string) => void;
}

interface Quota {
  readonly maxEntries: number;
  /** New ones from here since they were counted. */
  written: number;
}

export class SqlEntries implements RemoteEntries {
  readonly #parts: SqlEntriesParts;
  readonly #owner: string = randomUUID();
  readonly #quotas = new Map<string, Quota>();
  #ready: Promise<void> | undefined;
  #trimming = false;
  #closed = false;

  constructor(parts: SqlEntriesParts) {
    this.#parts = parts;
  }

  /** Connects, makes the table if it is not there. Rejects with STORE_UNAVAILABLE; the next call tries again. */
  prepare(): Promise<void> {
    return (this.#ready ??= this.#prepare().catch((error: unknown) => {
      this.#ready = undefined;
      throw error;
    }));
  }

  async read(space: string, key: string, now: number): Promise<Entry | undefined> {
    const { rows } = await this.#query(this.#parts.dialect.read, [idOf(space, key), now]);
    const [row] = rows;
    return row && { text: textOf(row), expiresAt: Number(row["expires_at"]) };
  }

  async write(space: string, key: string, entry: Entry): Promise<void> {
    await this.#query(this.#parts.dialect.write, this.#rowOf(space, key, entry));
    this.#countIn(space);
  }

  async remove(space: string, key: string): Promise<void> {
    await this.#query(this.#parts.dialect.remove, [idOf(space, key)]);
  }

  async replace(
    space: string,
    key: string,
    expected: string | undefined,
    next: Entry | undefined,
    now: number,
  ): Promise<boolean> {
    const { dialect } = this.#parts;
    if (expected === undefined) {
      // What expires at once is as good as not there, and a row that does not change would count as another's.
      if (next === undefined || next.expiresAt <= now) return true;
      const row = this.#rowOf(space, key, next);
      const { changed } = await this.#query(dialect.insert, [...row, ...nows(dialect.insert, row.length, now)]);
      if (changed > 0) this.#countIn(space);
      return changed > 0;
    }
    const { column, value } = columnOf(expected);
    const id = idOf(space, key);
    if (next === undefined) return (await this.#query(dialect.remove + dialect.same(column), [id, value])).changed > 0;
    const values = [...pairOf(next.text), next.expiresAt, id, value];
    return (await this.#query(dialect.change + dialect.same(column), values)).changed > 0;
  }

  async add(space: string, key: string, by: number, expiresAt: number, now: number): Promise<number> {
    const { dialect } = this.#parts;
    const head = [idOf(space, key), Buffer.from(space), Buffer.from(key), by, expiresAt];
    const values = dialect.add.includes("RETURNING") ? [...head, now, by, now] : [...head, now, by];
    const { rows } = await this.#query(dialect.add, values);
    this.#countIn(space);
    return Number(rows[0]?.["amount"]);
  }

  async range(
    space: string,
    prefix: string,
    limit: number,
    now: number,
  ): Promise<readonly (readonly [string, string])[]> {
    const from = Buffer.from(prefix);
    // No octet of UTF-8 is FF, so the prefix with FF behind it stands after all that begins with it.
    const to = Buffer.concat([from, Buffer.of(0xff)]);
    const { rows } = await this.#query(this.#parts.dialect.rangeFrom, [Buffer.from(space), from, to, now, limit]);
    return rows.map((row) => [(row["entry_key"] as Buffer).toString("utf8"), textOf(row)]);
  }

  limit(space: string, maxEntries: number): void {
    this.#quotas.set(space, { maxEntries, written: 0 });
  }

  async sweep(now: number): Promise<number> {
    const lease = (): Entry => ({ text: JSON.stringify(this.#owner), expiresAt: this.#parts.now() + sweepLeaseMs });
    if (!(await this.replace(ownSpace, sweepKey, undefined, lease(), now))) return 0;
    const { dialect } = this.#parts;
    let removed = 0;
    let batches = 0;
    try {
      for await (const space of this.#spaces()) {
        for (;;) {
          const { changed } = await this.#query(dialect.sweep, [space, now]);
          removed += changed;
          if (changed < removeBatch) break;
          if (++batches % renewEvery === 0) await this.write(ownSpace, sweepKey, lease());
        }
      }
      for (const [space, quota] of this.#quotas) await this.#trim(space, quota);
    } finally {
      await this.remove(ownSpace, sweepKey);
    }
    return removed;
  }

  close(): Promise<void> {
    this.#closed = true;
    return this.#parts.server.close();
  }

  /** Names of all spaces that have entries, of plugins that are no longer there too. */
  async *#spaces(): AsyncGenerator<Buffer> {
    let last: Buffer = Buffer.from(ownSpace);
    for (;;) {
      const { rows } = await this.#query(this.#parts.dialect.nextSpace, [last]);
      const next = rows[0]?.["space"];
      if (!Buffer.isBuffer(next)) return;
      yield next;
      last = next;
    }
  }

  /** Beyond a tenth of the quota of new entries it is time to count; what is written meanwhile goes with the next. */
  #countIn(space: string): void {
    const quota = this.#quotas.get(space);
    if (quota === undefined || ++quota.written < Math.max(1000, quota.maxEntries / 10)) return;
    quota.written = 0;
    if (this.#trimming) return;
    this.#trimming = true;
    const over = (): void => {
      this.#trimming = false;
    };
    // Whoever asks next hears of what went wrong.
    this.#trim(space, quota).then(over, over);
  }

  async #trim(space: string, quota: Quota): Promise<void> {
    const { dialect } = this.#parts;
    const name = Buffer.from(space);
    quota.written = 0;
    const parts = Math.ceil(quota.maxEntries / counted);
    const { rows } = await this.#query(dialect.count, [name, lastIdOfPart(parts)]);
    let excess = Number(rows[0]?.["entries"]) * parts - quota.maxEntries;
    while (excess > 0 && !this.#closed) {
      const { changed } = await this.#query(dialect.trim, [name, Math.min(excess, removeBatch)]);
      if (changed === 0) return;
      excess -= changed;
    }
  }

  async #query(sql: string, values: readonly Value[]): Promise<Result> {
    await this.prepare();
    for (let races = 1; ; races++) {
      try {
        return await this.#parts.server.query(sql, values);
      } catch (error) {
        const code = codeOf(error);
        if (races >= maxRaces) throw error;
        if (noTable.includes(code)) {
          // Somebody dropped it, or the server lost it with its last second.
          this.#ready = undefined;
          await this.prepare();
        } else if (!lostRace.includes(code)) throw error;
      }
    }
  }

  async #prepare(): Promise<void> {
    const { server, dialect, now, warn } = this.#parts;
    await prepareTable(server, dialect);
    const before = now();
    const { rows } = await server.query(dialect.serverTime, []);
    const skew = Math.abs(Number(rows[0]?.["now"]) - (before + now()) / 2);
    if (skew > maxSkewMs)
      warn(
        `the clock of the state database differs by ${Math.round(skew / 1000)} s: gateways that share it need one time`,
      );
  }

  #rowOf(space: string, key: string, { text, expiresAt }: Entry): Value[] {
    return [idOf(space, key), Buffer.from(space), Buffer.from(key), ...pairOf(text), expiresAt];
  }
}

/** A JSON text in its column: a number as one. */
function columnOf(text: string): { readonly column: ValueColumn; readonly value: Value } {
  return /^[-\d]/.test(text)
    ? { column: "amount", value: Number(text) }
    : { column: "value", value: Buffer.from(text) };
}

function pairOf(text: string): [value: Value, amount: Value] {
  const { column, value } = columnOf(text);
  return column === "amount" ? [null, value] : [value, null];
}

function textOf({ value, amount }: Readonly<Record<string, unknown>>): string {
  return value === null ? JSON.stringify(Number(amount)) : (value as Buffer).toString("utf8");
}

/** The time for each placeholder behind the row's. */
function nows(sql: string, before: number, now: number): number[] {
  return Array.from({ length: sql.split("?").length - 1 - before }, () => now);
}
