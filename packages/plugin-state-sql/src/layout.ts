/** The table: made at the first use, with its version in an entry of a space whose name no plugin can have. */
import { PosternError } from "@postern/core";
import { idOf, ownSpace } from "./entry-id.ts";
import type { Dialect } from "./dialect.ts";
import { codeOf, type Server } from "./server.ts";

/** Another number is another layout. */
const layoutVersion = 1;

/** ER_NO_SUCH_TABLE, undefined_table. */
export const noTable: readonly (string | undefined)[] = ["ER_NO_SUCH_TABLE", "42P01"];
/** Another gateway makes it at this moment: duplicate_table, unique_violation in the catalogue, duplicate index. */
const madeMeanwhile: readonly (string | undefined)[] = ["42P07", "23505", "42710", "ER_TABLE_EXISTS_ERROR"];

/** Rejects with STORE_UNAVAILABLE. */
export async function prepareTable(server: Server, dialect: Dialect): Promise<void> {
  const id = idOf(ownSpace, "layout");
  const found = await readVersion();
  if (found === undefined) {
    await create();
    const never = Number.MAX_SAFE_INTEGER;
    await server.query(dialect.insert, [
      id,
      Buffer.from(ownSpace),
      Buffer.from("layout"),
      null,
      layoutVersion,
      never,
      // Never over one that is there.
      ...Array.from({ length: placeholders(dialect.insert) - 6 }, () => 0),
    ]);
  } else if (found > layoutVersion) {
    const known = `this one knows ${layoutVersion}`;
    throw new PosternError(
      "STORE_UNAVAILABLE",
      `the state database: its table is of a newer version (${found}; ${known})`,
    );
  }

  async function readVersion(): Promise<number | undefined> {
    try {
      const { rows } = await server.query(dialect.read, [id, 0]);
      return rows[0] === undefined ? undefined : Number(rows[0]["amount"]);
    } catch (error) {
      if (noTable.includes(codeOf(error))) return undefined;
      throw error;
    }
  }

  async function create(): Promise<void> {
    for (const statement of dialect.createTable) {
      try {
        await server.query(statement, []);
      } catch (error) {
        if (!madeMeanwhile.includes(codeOf(error))) throw error;
      }
    }
  }
}

const placeholders = (sql: string): number => sql.split("?").length - 1;
