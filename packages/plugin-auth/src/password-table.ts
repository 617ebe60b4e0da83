/** The authenticator over a table of hashes. Whatever is wrong, name or password, takes as long and sounds the same. */
import {
  checkEntries,
  foldKey,
  logText,
  TableUnavailable,
  ConfigError,
  type AuthAnswer,
  type Credentials,
  type UsedTable,
} from "@postern/core";
import { dummyHash, HashFormatError, parseHash, type PasswordHash } from "./hash.ts";
import type { Failures } from "./failures.ts";
import type { HashPool } from "./hash-pool.ts";
import { UsualCost } from "./usual-cost.ts";

export interface PasswordTableParts {
  readonly table: UsedTable;
  readonly pool: Pick<HashPool, "verify">;
  readonly failures: Failures;
  readonly realm: string | undefined;
  /** Failed logins of the session, with this one. */
  readonly countInSession: (session: Credentials["session"]) => number;
}

export class PasswordTable {
  readonly #parts: PasswordTableParts;
  readonly #costs = new UsualCost();

  constructor(parts: PasswordTableParts) {
    this.#parts = parts;
  }

  /** Looks at all hashes of a table in memory. Rejects with `ConfigError` that names the key and not the hash. */
  async check(): Promise<void> {
    const { table } = this.#parts;
    if (table.type === "static") {
      throw new ConfigError(
        'a "static" table has an answer for every name: one password would let anybody in as anybody',
      );
    }
    await checkEntries(table, ({ key, value, file, line }) => {
      if (isLocked(value)) return;
      try {
        this.#costs.note(parseHash(value).cost);
      } catch (error) {
        if (!(error instanceof HashFormatError)) throw error;
        const place = file === undefined ? "" : ` (${file}${line === undefined ? "" : `:${line}`})`;
        throw new ConfigError(
          `passwords: table ${table.type}:${table.name}: the value of "${logText(key, 100)}"${place}: ${error.message}`,
        );
      }
    });
  }

  async verify({ identity: said, password, session, signal }: Credentials): Promise<AuthAnswer> {
    const { failures, countInSession } = this.#parts;
    const { address } = session.client;
    const identity = this.#nameOf(said);
    const before = await failures.standing(address, identity);
    if (before.shutOut) return { kind: "later", delayMs: before.delayMs };
    let right = false;
    try {
      right = await this.#isRight(identity, password, signal);
    } catch (error) {
      // Who leaves before the answer has cost as much as who hears it, and has failed.
      if (signal?.aborted !== true) throw error;
    }
    const noted = right ? undefined : await failures.note(address, identity, countInSession(session));
    // Other sessions of the network may have failed meanwhile: it hears no more answers than its limit, and no right one beyond.
    const { shutOut } = noted ?? (await failures.standing(address, identity));
    const delayMs = Math.max(before.delayMs, noted?.delayMs ?? 0);
    if (shutOut) return { kind: "later", delayMs };
    return noted === undefined ? { kind: "ok", identity, delayMs } : { kind: "no", delayMs, ends: noted.ends };
  }

  async #isRight(identity: string, password: string, signal: AbortSignal | undefined): Promise<boolean> {
    const { table, pool } = this.#parts;
    const found = await table.lookup(identity, signal === undefined ? undefined : { signal });
    const known = found === undefined || isLocked(found) ? undefined : found;
    const hash = known === undefined ? dummyHash(this.#costs.usual) : this.#parse(identity, known);
    const same = await pool.verify(password, hash.text, signal);
    return known !== undefined && same;
  }

  /** As tables fold their keys, so that a login is one name however it is written. */
  #nameOf(said: string): string {
    const { realm } = this.#parts;
    return foldKey(realm === undefined || said.includes("@") ? said : `${said}@${realm}`);
  }

  #parse(identity: string, value: string): PasswordHash {
    try {
      const hash = parseHash(value);
      this.#costs.note(hash.cost);
      return hash;
    } catch (error) {
      if (!(error instanceof HashFormatError)) throw error;
      const message = `the value of "${logText(identity, 100)}": ${error.message}`;
      throw new TableUnavailable(this.#parts.table.name, message, { onlyThisKey: true });
    }
  }
}

/** As in shadow(5): what begins so matches no password. */
const isLocked = (value: string): boolean => value.startsWith("!") || value.startsWith("*");
