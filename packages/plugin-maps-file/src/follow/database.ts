/** A database file behind a lookup table: keys and values as Postfix's postmap writes them, with or without a closing NUL. */
import { isUtf8 } from "node:buffer";
import { TableUnavailable, type Located, type LookupTable } from "@postern/core";
import { BrokenFile } from "./broken-file.ts";
import type { FollowedFile } from "./followed-file.ts";

/** One version of a file. Throws `BrokenFile` where it is damaged, an error of the system where it cannot be read. */
export interface Database {
  /** The value of the key in the first `length` octets, readable until the next call. */
  find(key: Buffer, length: number): Buffer | undefined;
  /** All keys and values, each readable until the next is asked for. */
  pairs(): Iterable<readonly [key: Buffer, value: Buffer]>;
  close(): void;
}

/** A longer value is damage: the gateway takes 100,000 characters of a table. */
export const longestValueBytes = 2 ** 20;

/** Keys up to this many octets need no buffer of their own. */
const scratchBytes = 1024;

export function createDatabaseTable(
  type: string,
  name: string,
  file: FollowedFile<Database>,
  path: string,
): LookupTable {
  const label = `${type}:${name}`;
  const scratch = Buffer.alloc(scratchBytes);

  /** The octets of the value. Postfix asks with the NUL first, and then without. */
  function find(database: Database, key: string): Buffer | undefined {
    // At most three octets for each UTF-16 unit.
    const octets = key.length * 3 < scratchBytes ? scratch : Buffer.alloc(key.length * 3 + 1);
    const length = writeKey(key, octets);
    octets[length] = 0;
    return database.find(octets, length + 1) ?? database.find(octets, length);
  }

  function lookup(key: string): string | undefined {
    const database = file.current;
    try {
      const value = find(database, key);
      return value === undefined ? undefined : textOf(value, label);
    } catch (error) {
      if (error instanceof TableUnavailable) throw error;
      const why = error instanceof BrokenFile ? error.message : "it cannot be read";
      throw new TableUnavailable(label, `${path}: ${why}`, { cause: error });
    }
  }

  function* entries(): Generator<Located> {
    for (const [key, value] of file.current.pairs()) {
      if (isUtf8(key) && isUtf8(value)) yield { file: path, key: untilNul(key), value: untilNul(value) };
    }
  }

  return Object.freeze({
    type,
    name,
    kind: "indexed" as const,
    trusted: true,
    lookup,
    entries,
    locate(key: string): Located | undefined {
      const value = lookup(key);
      return value === undefined ? undefined : { file: path, key, value };
    },
    close: () => file.close(),
  });
}

/** Short ASCII, nearly all keys and values, costs less here than a call into Node. */
function writeKey(key: string, octets: Buffer): number {
  const { length } = key;
  for (let at = 0; at < length; at++) {
    const code = key.charCodeAt(at);
    if (code > 0x7f) return octets.write(key);
    octets[at] = code;
  }
  return length;
}

function textOf(value: Buffer, label: string): string {
  const { length } = value;
  let end = 0;
  for (; end < length; end++) {
    const octet = value[end] as number;
    if (octet > 0x7f) {
      if (!isUtf8(value)) throw new TableUnavailable(label, "the value is not UTF-8", { onlyThisKey: true });
      return untilNul(value);
    }
    if (octet === 0) break;
  }
  return value.toString("latin1", 0, end);
}

/** A string of C ends with its first NUL. */
function untilNul(value: Buffer): string {
  const end = value.indexOf(0);
  return value.toString("utf8", 0, end < 0 ? value.length : end);
}
