/**
 * The statements, for MySQL and MariaDB and for PostgreSQL. Keys, names and texts are octets: no character set or collation makes two of
 * them one, and the drivers write octets in hexadecimal, which no `sql_mode` reads otherwise. A number stands in `amount`, so that a
 * counter is one statement; anything else in `value`.
 */

export type Client = "mysql" | "pg";

/** A placeholder is `?`. */
export type Dialect = Readonly<Record<StatementName, string>> & {
  readonly createTable: readonly string[];
  /** `value` or `amount` is what is expected. */
  same(column: ValueColumn): string;
};

export type ValueColumn = "value" | "amount";

type StatementName =
  | "read"
  | "write"
  | "insert"
  | "change"
  | "remove"
  | "add"
  | "rangeFrom"
  | "nextSpace"
  | "count"
  | "sweep"
  | "trim"
  | "serverTime";

/** A row that is written changes, whatever is written, so that it counts as changed; for ever, so that it begins anew. */
const nextVersion = (version: string): string => `${version} % 65536 + 1`;

/** Entries that one statement removes. */
export const removeBatch = 1000;

export function dialectOf(client: Client, table: string): Dialect {
  return client === "mysql" ? mysql(`\`${table}\``) : postgresql(`"${table}"`, table);
}

const shared = (table: string) => ({
  read: `SELECT value, amount, expires_at FROM ${table} WHERE id = ? AND expires_at > ?`,
  change: `UPDATE ${table} SET value = ?, amount = ?, expires_at = ?, version = ${nextVersion("version")} WHERE id = ?`,
  remove: `DELETE FROM ${table} WHERE id = ?`,
  rangeFrom: `SELECT entry_key, value, amount FROM ${table}
    WHERE space = ? AND entry_key >= ? AND entry_key < ? AND expires_at > ? ORDER BY entry_key LIMIT ?`,
  nextSpace: `SELECT MIN(space) AS space FROM ${table} WHERE space > ?`,
  count: `SELECT COUNT(*) AS entries FROM ${table} WHERE space = ? AND id <= ?`,
  same: (column: ValueColumn) => ` AND ${column} = ?`,
});

function mysql(table: string): Dialect {
  const insert = `INSERT INTO ${table} (id, space, entry_key, value, amount, expires_at) VALUES (?, ?, ?, ?, ?, ?)`;
  const remove = (where: string, limit: string) =>
    `DELETE FROM ${table} WHERE space = ?${where} ORDER BY expires_at LIMIT ${limit}`;
  return {
    ...shared(table),
    createTable: [
      `CREATE TABLE IF NOT EXISTS ${table} (
        id BINARY(32) NOT NULL PRIMARY KEY, space VARBINARY(768) NOT NULL, entry_key VARBINARY(3072) NOT NULL,
        value MEDIUMBLOB NULL, amount DOUBLE NULL, expires_at BIGINT NOT NULL, version INT UNSIGNED NOT NULL DEFAULT 1,
        KEY by_space_and_expiry (space, expires_at)
      ) ENGINE=InnoDB ROW_FORMAT=DYNAMIC`,
    ],
    write: `${insert} ON DUPLICATE KEY UPDATE value = VALUES(value), amount = VALUES(amount),
      expires_at = VALUES(expires_at), version = ${nextVersion("version")}`,
    // Assignments happen from left to right, so the expiry comes last.
    insert: `${insert} ON DUPLICATE KEY UPDATE value = IF(expires_at <= ?, VALUES(value), value),
      amount = IF(expires_at <= ?, VALUES(amount), amount), version = IF(expires_at <= ?, ${nextVersion("version")}, version),
      expires_at = IF(expires_at <= ?, VALUES(expires_at), expires_at)`,
    // Neither MySQL nor MariaDB before 10.5 has RETURNING; a variable of the session keeps the sum. 0e0 makes it a DOUBLE.
    add: `INSERT INTO ${table} (id, space, entry_key, value, amount, expires_at)
      VALUES (?, ?, ?, NULL, (@postern_sum := ? + 0e0), ?)
      ON DUPLICATE KEY UPDATE
        version = IF(@postern_live := (expires_at > ? AND amount IS NOT NULL), ${nextVersion("version")}, ${nextVersion("version")}),
        amount = (@postern_sum := IF(@postern_live, amount, 0e0) + ?),
        value = NULL,
        expires_at = IF(@postern_live, LEAST(expires_at, VALUES(expires_at)), VALUES(expires_at));
      SELECT @postern_sum AS amount`,
    sweep: remove(" AND expires_at <= ?", String(removeBatch)),
    trim: remove("", "?"),
    serverTime: "SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) AS now",
  };
}

function postgresql(table: string, name: string): Dialect {
  const insert = `INSERT INTO ${table} AS t (id, space, entry_key, value, amount, expires_at) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET value = excluded.value, amount = excluded.amount,
      expires_at = excluded.expires_at, version = ${nextVersion("t.version")}`;
  const remove = (where: string, limit: string) =>
    `DELETE FROM ${table} WHERE id IN (SELECT id FROM ${table} WHERE space = ?${where} ORDER BY expires_at LIMIT ${limit})`;
  const live = "t.expires_at > CAST(? AS bigint) AND t.amount IS NOT NULL";
  return {
    ...shared(table),
    createTable: [
      `CREATE TABLE IF NOT EXISTS ${table} (
        id bytea NOT NULL PRIMARY KEY, space bytea NOT NULL, entry_key bytea NOT NULL,
        value bytea NULL, amount double precision NULL, expires_at bigint NOT NULL, version integer NOT NULL DEFAULT 1
      )`,
      `CREATE INDEX IF NOT EXISTS "${name.slice(0, 50)}_expiry" ON ${table} (space, expires_at)`,
    ],
    write: insert,
    insert: `${insert} WHERE t.expires_at <= ?`,
    add: `INSERT INTO ${table} AS t (id, space, entry_key, value, amount, expires_at)
      VALUES (?, ?, ?, NULL, CAST(? AS double precision), ?)
      ON CONFLICT (id) DO UPDATE SET
        amount = CASE WHEN ${live} THEN t.amount ELSE 0 END + CAST(? AS double precision),
        expires_at = CASE WHEN ${live} THEN LEAST(t.expires_at, excluded.expires_at) ELSE excluded.expires_at END,
        value = NULL, version = ${nextVersion("t.version")}
      RETURNING amount`,
    sweep: remove(" AND expires_at <= ?", String(removeBatch)),
    trim: remove("", "?"),
    nextSpace: `SELECT space FROM ${table} WHERE space > ? ORDER BY space LIMIT 1`,
    serverTime: "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS bigint) AS now",
  };
}
