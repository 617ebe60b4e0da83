// Reading while postmap commits: a file that becomes another between any two looks at it, and a race with the real one.
import { execFile, execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, test, vi } from "vitest";
import { sample } from "../../../../test/sampling.ts";
import { BrokenFile, TornRead } from "../follow/broken-file.ts";
import type { Octets } from "../follow/octets.ts";
import { openLmdb, SharedLmdb } from "./lmdb-file.ts";

vi.setConfig({ testTimeout: sample(120_000, 900_000) });

const folder = mkdtempSync(join(tmpdir(), "postern-lmdb-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const path = join(folder, "table");
const keys = Array.from({ length: 600 }, (_, index) => `key${index}`);

const hasLmdb = ((): boolean => {
  try {
    writeFileSync(join(folder, "main.cf"), "compatibility_level = 3.6\n");
    utimesSync(join(folder, "main.cf"), 1e9, 1e9);
    return /^lmdb$/m.test(execFileSync("postconf", ["-m"], { encoding: "utf8" }));
  } catch {
    return false;
  }
})();

/** From round to round the tree has another shape, so that its pages move. */
function write(round: number): void {
  writeFileSync(path, keys.map((key) => `${key} ${round}.${"x".repeat((round * 37) % 90)}\n`).join(""));
  utimesSync(path, 1e9, 1e9);
}

function commit(round: number): Buffer {
  write(round);
  const { status, stderr } = spawnSync("postmap", ["-c", folder, `lmdb:${path}`], { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  return readFileSync(`${path}.lmdb`);
}

/** Serves one state of the file for some reads and then the next. */
class ChangingOctets implements Octets {
  readonly size = Infinity;
  readonly #states: readonly { readonly octets: Buffer; readonly reads: number }[];
  #reads = 0;

  constructor(states: readonly { readonly octets: Buffer; readonly reads: number }[]) {
    this.#states = states;
  }

  get buffer(): Buffer {
    return this.#states.find(({ reads }) => this.#reads <= reads)?.octets ?? Buffer.alloc(0);
  }

  at(position: number, length: number): number {
    this.#reads += 1;
    if (position + length > this.buffer.length) throw new BrokenFile("it was cut short");
    return position;
  }

  close(): void {}
}

describe.skipIf(!hasLmdb)("lmdb", () => {
  test("a commit between any two reads of a lookup", () => {
    const states = [1, 2, 3, 4, 5].map(commit);
    const [first, last] = [states[0], states[4]];
    if (first === undefined || last === undefined) throw new Error("no states");
    const answers = new Set<string | undefined>();
    for (const key of ["key0", "key311", "key599"]) {
      const asked = Buffer.from(`${key}\0`);
      for (let reads = 1; reads < 12; reads++) {
        const shared = new SharedLmdb(
          new ChangingOctets([
            { octets: first, reads },
            { octets: last, reads: Infinity },
          ]),
          4096,
        );
        answers.add(shared.find(asked, asked.length)?.toString().split(".")[0]);
      }
    }
    expect(answers).toEqual(new Set(["1", "5"]));
  });

  test("a commit at every read is given up", () => {
    const states = [1, 2].map(commit);
    const turns = Array.from({ length: 100 }, (_, index) => ({
      octets: states[index % 2] ?? Buffer.alloc(0),
      reads: index * 4,
    }));
    const shared = new SharedLmdb(new ChangingOctets(turns), 4096);
    expect(() => shared.find(Buffer.from("key1"), 4)).toThrow("it changes faster than it can be read");
  });

  test("a file taken into memory while postmap rewrites it is one commit or none", async () => {
    commit(0);
    let [whole, torn] = [0, 0];
    for (let round = 1; round <= sample(10, 100); round++) {
      write(round);
      let done = false;
      const building = promisify(execFile)("postmap", ["-c", folder, `lmdb:${path}`]).finally(() => (done = true));
      while (!done) {
        try {
          const held = await openLmdb(`${path}.lmdb`);
          const values = [...held.pairs()].map(([, value]) => value.toString());
          expect(values).toHaveLength(keys.length);
          expect(new Set(values).size).toBe(1);
          held.close();
          whole += 1;
        } catch (error) {
          if (!(error instanceof TornRead)) throw error;
          torn += 1;
        }
      }
      await building;
    }
    expect(whole).toBeGreaterThan(torn);
  });
});
