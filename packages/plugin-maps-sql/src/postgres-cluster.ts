/**
 * Several hosts with the same data (dict_pgsql): one that answers is kept, unix sockets first, else by chance; one that fails is left
 * alone for `retry_interval` as long as another answers.
 */
import { TableUnavailable, type Clock } from "@postern/core";
import { wordsOf } from "./knex-settings.ts";
import type { PostgresHost } from "./postgres-host.ts";
import { AnswerTooLong, blamesServer, sqlStateOf, ServerTimeout, type PostgresServer } from "./postgres-server.ts";

export interface Member {
  readonly host: PostgresHost;
  readonly server: PostgresServer;
}

interface MemberState extends Member {
  /** It answered, and nothing failed since. */
  active: boolean;
  failedAt: number | undefined;
}

export interface ClusterOptions {
  readonly retryMs: number;
  readonly clock: Clock;
  readonly random: () => number;
}

/** Lookups of all its tables at one time: more than any server answers before their deadline. */
const mostWaiting = 1000;

export class PostgresCluster {
  readonly #members: readonly MemberState[];
  readonly #options: ClusterOptions;
  #closed = false;
  #waiting = 0;

  constructor(members: readonly Member[], options: ClusterOptions) {
    this.#members = members.map((member) => ({ ...member, active: false, failedAt: undefined }));
    this.#options = options;
  }

  /** All values, row by row. Throws `TableUnavailable` in the name of `label`, and PostgreSQL's 42P18 as it is. */
  async query(label: string, sql: string, values: readonly string[]): Promise<readonly (string | null)[]> {
    if (this.#waiting >= mostWaiting) throw new TableUnavailable(label, `${mostWaiting} lookups wait already`);
    this.#waiting += 1;
    try {
      return await this.#queryAny(label, sql, values);
    } finally {
      this.#waiting -= 1;
    }
  }

  async #queryAny(label: string, sql: string, values: readonly string[]): Promise<readonly (string | null)[]> {
    let last: unknown;
    for (const member of this.#order()) {
      if (this.#closed) throw new TableUnavailable(label, "it is closed");
      try {
        const rows = await this.#askOne(member, sql, values);
        member.active = true;
        member.failedAt = undefined;
        return rows;
      } catch (error) {
        const state = sqlStateOf(error);
        if (state === undeterminedType) throw error;
        if (error instanceof AnswerTooLong || (state !== undefined && blamesKey(state))) {
          throw new TableUnavailable(label, `${member.host.text}: ${wordsOf(error, sql)}`, {
            cause: error,
            onlyThisKey: true,
          });
        }
        member.active = false;
        if (blamesServer(error)) member.failedAt = this.#options.clock.monotonic();
        last = new TableUnavailable(label, `${member.host.text}: ${wordsOf(error, sql)}`, { cause: error });
      }
    }
    throw last;
  }

  /** An active server whose connection breaks under a query was perhaps only started anew: one more try. */
  async #askOne(member: MemberState, sql: string, values: readonly string[]): Promise<readonly (string | null)[]> {
    const wasActive = member.active;
    try {
      return await member.server.query(sql, values);
    } catch (error) {
      if (!wasActive || !blamesServer(error) || error instanceof ServerTimeout || this.#closed) throw error;
      return await member.server.query(sql, values);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#members.map(({ server }) => server.close()));
  }

  #order(): MemberState[] {
    const now = this.#options.clock.monotonic();
    return this.#members
      .map((member) => ({ member, rank: this.#rank(member, now), chance: this.#options.random() }))
      .sort((left, right) => left.rank - right.rank || left.chance - right.chance)
      .map(({ member }) => member);
  }

  /** Those that failed a short while ago come last, not never: without another host they are asked all the same. */
  #rank({ active, failedAt, host }: MemberState, now: number): number {
    const kind = host.unix ? 0 : 1;
    if (active) return kind;
    return failedAt === undefined || now - failedAt >= this.#options.retryMs ? 2 + kind : 4 + kind;
  }
}

/** "could not determine data type of parameter $1": the table's way of asking, not the server. */
export const undeterminedType = "42P18";

/** Data exception, integrity: this value does not suit the query. */
function blamesKey(state: string): boolean {
  return state.startsWith("22") || state.startsWith("23");
}
