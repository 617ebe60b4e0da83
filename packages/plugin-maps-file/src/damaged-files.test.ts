// Damaged databases: whatever the octets say, an answer, "not found" or a clear refusal; never a crash, never without end.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { ConfigError, systemClock, TableUnavailable, type LookupTable, type TableScope } from "@postern/core";
import { randomFrom, sample, seed } from "../../../test/sampling.ts";
import { openCdb } from "./cdb/cdb-file.ts";
import { BrokenFile } from "./follow/broken-file.ts";
import type { Database } from "./follow/database.ts";
import { buildCdb, tableTypes } from "./index.ts";
import { openLmdb } from "./lmdb/lmdb-file.ts";

vi.setConfig({ testTimeout: sample(120_000, 900_000) });

const folder = mkdtempSync(join(tmpdir(), "postern-damage-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const entries = Array.from({ length: 400 }, (_, index) => ({
  key: `key${index}@example.test`,
  value: index % 40 === 0 ? `long${index} `.repeat(900).trim() : `value${index}`,
}));
/** With the closing NUL and without. */
const keys = entries.flatMap(({ key }) => [Buffer.from(key), Buffer.from(`${key}\0`)]);

const hasLmdb = ((): boolean => {
  try {
    return /^lmdb$/m.test(execFileSync("postconf", ["-m"], { encoding: "utf8" }));
  } catch {
    return false;
  }
})();

interface Format {
  readonly type: string;
  readonly there: boolean;
  readonly make: (path: string) => Promise<void>;
  readonly open: (path: string, limitBytes?: number) => Promise<Database>;
}

const formats: readonly Format[] = [
  { type: "cdb", there: true, make: async (path) => void (await buildCdb(entries, `${path}.cdb`)), open: openCdb },
  {
    type: "lmdb",
    there: hasLmdb,
    async make(path) {
      writeFileSync(join(folder, "main.cf"), "compatibility_level = 3.6\n");
      utimesSync(join(folder, "main.cf"), 1e9, 1e9);
      writeFileSync(path, entries.map(({ key, value }) => `${key} ${value}\n`).join(""));
      utimesSync(path, 1e9, 1e9);
      const { status, stderr } = spawnSync("postmap", ["-c", folder, `lmdb:${path}`], { encoding: "utf8" });
      if (status !== 0) throw new Error(stderr);
    },
    open: openLmdb,
  },
];

/** Asks for everything. Throws what is neither an answer nor a refusal. */
function askAll(database: Database): { found: number; refused: number } {
  let found = 0;
  let refused = 0;
  const attempt = (ask: () => void): void => {
    try {
      ask();
    } catch (error) {
      if (!(error instanceof BrokenFile)) throw error;
      refused += 1;
    }
  };
  for (const key of keys) {
    attempt(() => {
      if (database.find(key, key.length) !== undefined) found += 1;
    });
  }
  attempt(() => {
    for (const [key, value] of database.pairs()) found += key.length + value.length > 0 ? 0 : 1;
  });
  return { found, refused };
}

describe.each(formats)(`$type, seed ${seed}`, ({ type, there, make, open }) => {
  const path = join(folder, type);
  const file = `${path}.${type}`;
  let sound: Buffer;
  beforeAll(async () => {
    if (!there) return;
    await make(path);
    sound = readFileSync(file);
  });

  async function tryOctets(
    octets: Buffer,
    limitBytes?: number,
  ): Promise<"refused" | { found: number; refused: number }> {
    writeFileSync(file, octets);
    let database: Database;
    try {
      database = await open(file, limitBytes);
    } catch (error) {
      if (!(error instanceof BrokenFile)) throw error;
      return "refused";
    }
    try {
      return askAll(database);
    } finally {
      database.close();
    }
  }

  test.skipIf(!there)("the sound file has all keys, once with each way of reading", async () => {
    expect(await tryOctets(sound)).toEqual({ found: entries.length, refused: 0 });
    expect(await tryOctets(sound, 0)).toEqual({ found: entries.length, refused: 0 });
  });

  test.skipIf(!there)("cut anywhere", async () => {
    const random = randomFrom(seed);
    for (let round = 0; round < sample(60, 2_000); round++) {
      const cut = sound.subarray(0, Math.floor(random() * sound.length));
      // A cut at the end of the file may take nothing but unused octets.
      const answer = await tryOctets(cut);
      if (answer !== "refused") expect(answer.found + answer.refused).toBeGreaterThanOrEqual(entries.length - 1);
      await tryOctets(cut, 0);
    }
  });

  test.skipIf(!there)("bits turned, numbers replaced", async () => {
    const random = randomFrom(seed + 1);
    const below = (limit: number): number => Math.floor(random() * limit);
    const wild = [0, 1, 2, 3, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_fff8, 0xffff_ffff];
    let harmed = 0;
    for (let round = 0; round < sample(150, 5_000); round++) {
      const octets = Buffer.from(sound);
      for (let count = 1 + below(8); count > 0; count--) {
        // Mostly where pages, records and tables begin: the rest is text.
        const block = below(octets.length / 4096) * 4096;
        const at = random() < 0.6 ? Math.min(block + below(64), octets.length - 4) : below(octets.length - 4);
        if (random() < 0.5) octets[at] = (octets[at] ?? 0) ^ (1 << below(8));
        else octets.writeUInt32LE(random() < 0.7 ? (wild[below(wild.length)] ?? 0) : below(octets.length), at);
      }
      const answer = await tryOctets(octets, random() < 0.3 ? 0 : undefined);
      if (answer === "refused" || answer.refused > 0 || answer.found < entries.length) harmed += 1;
    }
    // The damage was damage.
    expect(harmed).toBeGreaterThan(sample(20, 500));
  });

  test.skipIf(!there)("a damaged file is an operator's mistake at the start and unavailable later", async () => {
    const scope: TableScope = {
      directory: folder,
      clock: systemClock,
      purpose: {},
      warn: () => undefined,
      open: () => Promise.reject(new Error("no table inside of a table")),
    };
    const openTable = tableTypes.find((candidate) => candidate.type === type)?.open;
    writeFileSync(file, sound.subarray(0, sound.length >> 1));
    await expect((async () => openTable?.(type, scope, {}))()).rejects.toThrow(ConfigError);
    // Everything but the begin is overwritten: what is found no longer makes sense.
    const octets = Buffer.from(sound);
    if (type === "cdb") octets.fill(0xff, 2048, octets.readUInt32LE(0));
    else {
      for (let page = 2; page * 4096 < octets.length; page++) {
        if ((octets.readUInt16LE(page * 4096 + 10) & 2) !== 0) octets.fill(0xff, page * 4096 + 18, page * 4096 + 20);
      }
    }
    writeFileSync(file, octets);
    let table: LookupTable | undefined;
    try {
      table = await openTable?.(type, scope, {});
    } catch (error) {
      if (error instanceof ConfigError) return;
      throw error;
    }
    const outcomes = entries.map(({ key }) => {
      try {
        return table?.lookup(key) === undefined ? "not found" : "found";
      } catch (error) {
        if (!(error instanceof TableUnavailable)) throw error;
        return "unavailable";
      }
    });
    expect(outcomes).toContain("unavailable");
    await table?.close();
  });
});

test("a hash table of cdb without a free slot", async () => {
  // One table of 20,000 slots, all taken by another record of the same hash: a search without end in sight.
  const slots = 20_000;
  const record = Buffer.alloc(10);
  record.writeUInt32LE(1, 0);
  record.writeUInt32LE(1, 4);
  record.write("xy", 8);
  const header = Buffer.alloc(2048);
  const start = 2048 + record.length;
  for (let index = 0; index < 256; index++) {
    header.writeUInt32LE(start, index * 8);
    header.writeUInt32LE(slots, index * 8 + 4);
  }
  const table = Buffer.alloc(slots * 8);
  for (let slot = 0; slot < slots; slot++) table.writeUInt32LE(2048, slot * 8 + 4);
  const file = join(folder, "full.cdb");
  writeFileSync(file, Buffer.concat([header, record, table]));
  const database = await openCdb(file);
  expect(() => database.find(Buffer.from("a"), 1)).toThrow(BrokenFile);
});

test.skipIf(!hasLmdb)("a branch of lmdb that is its own child", async () => {
  const path = join(folder, "circle");
  const format = formats.find(({ type }) => type === "lmdb");
  await format?.make(path);
  const octets = readFileSync(`${path}.lmdb`);
  // The first commit stands on page 1; the root's number at the end of the second MDB_db.
  const root = octets.readUInt32LE(4096 + 16 + 72 + 40);
  const page = root * 4096;
  expect(octets.readUInt16LE(page + 10)).toBe(1);
  for (let pointer = 16; pointer < octets.readUInt16LE(page + 12); pointer += 2) {
    octets.writeUInt32LE(root, page + octets.readUInt16LE(page + pointer));
  }
  writeFileSync(`${path}.lmdb`, octets);
  await expect(openLmdb(`${path}.lmdb`)).rejects.toThrow(BrokenFile);
  const shared = await openLmdb(`${path}.lmdb`, 0);
  expect(() => shared.find(Buffer.from("key"), 3)).toThrow(BrokenFile);
  shared.close();
});
