// What the tables answer is what the real postmap answers for the same files: generated tables of thousands of keys.
import { execFile, execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, describe, expect, test, vi } from "vitest";
import { createGuard, createTableRegistry, readTableFile, systemClock, type TableRegistry } from "@postern/core";
import { randomFrom, sample, seed } from "../../../test/sampling.ts";
import { openCdb } from "./cdb/cdb-file.ts";
import { buildCdb, tableTypes } from "./index.ts";
import { openLmdb } from "./lmdb/lmdb-file.ts";
import { group, passwd, type SystemFile } from "./unix/system-file.ts";
import { openSystemTable } from "./unix/unix-table.ts";

vi.setConfig({ testTimeout: sample(120_000, 900_000) });

const folder = mkdtempSync(join(tmpdir(), "postern-files-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const known = (() => {
  try {
    writeFileSync(join(folder, "main.cf"), "compatibility_level = 3.6\nsmtputf8_enable = yes\n");
    // postmap waits until it is no longer hot.
    utimesSync(join(folder, "main.cf"), 1e9, 1e9);
    return execFileSync("postconf", ["-m"], { encoding: "utf8" }).split("\n");
  } catch {
    return [];
  }
})();

/** Another passwd in a name space of its own, which takes root. */
const canMount = spawnSync("unshare", ["-m", "true"]).status === 0;

let registry: TableRegistry | undefined;
afterEach(() => registry?.close());

function open(spec: string, warnings: string[] = []) {
  registry = createTableRegistry({
    directory: folder,
    clock: systemClock,
    guard: createGuard(systemClock, () => undefined),
    warn: (message) => warnings.push(message),
  });
  const owner = { name: "maps-file", onError: "defer", deadlineMs: 90_000 } as const;
  for (const type of tableTypes) {
    if (["hash", "btree", "cdb", "lmdb", "unix"].includes(type.type)) registry.register(type, owner);
  }
  return registry.open(spec);
}

function build(spec: string): void {
  const { status, stderr } = spawnSync("postmap", ["-c", folder, spec], { encoding: "utf8" });
  if (status !== 0) throw new Error(`postmap ${spec}: ${stderr}`);
}

/** "key TAB value" for each key that postmap finds. */
function askPostmap(spec: string, keys: readonly string[]): string {
  const { stdout, stderr, status } = spawnSync("postmap", ["-c", folder, "-q", "-", spec], {
    encoding: "utf8",
    input: keys.map((key) => `${key}\n`).join(""),
    maxBuffer: 2 ** 28,
  });
  if (status === null || /fatal/.test(stderr)) throw new Error(`postmap -q - ${spec}: ${stderr}`);
  return stdout;
}

async function askUs(spec: string, keys: readonly string[]): Promise<string> {
  const table = await open(spec);
  const lines: string[] = [];
  for (const key of keys) {
    const value = await table.lookup(key);
    if (value !== undefined) lines.push(`${key}\t${value}\n`);
  }
  return lines.join("");
}

/** Equal, without a difference of megabytes when it is not. */
function expectSame(ours: string, theirs: string): void {
  const [left, right] = [ours.split("\n"), theirs.split("\n")];
  const index = left.findIndex((line, at) => line !== right[at]);
  const near = (lines: readonly string[]) =>
    index < 0 ? [] : lines.slice(index, index + 3).map((line) => line.slice(0, 200));
  expect(near(left)).toEqual(near(right));
  expect(left.length).toBe(right.length);
}

interface Source {
  readonly text: Buffer;
  readonly keys: readonly string[];
}

/** A source file with everything that postmap(1) allows, and what it only warns of; keys that are there and keys that are not. */
function generate(next: () => number, entries: number): Source {
  const random = (below: number): number => Math.floor(next() * below);
  const pick = <T>(items: readonly T[]): T => items[random(items.length)] as T;
  const letters = [
    ...Array.from("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+"),
    "ä",
    "Ö",
    "é",
    "日",
    "ß",
    "Ж",
    "😀",
  ];
  const word = (most: number): string => Array.from({ length: 1 + random(most) }, () => pick(letters)).join("");
  const keyOf = (): string => {
    switch (random(7)) {
      case 0:
        return `@${word(8)}.${word(3)}`;
      case 1:
        return `"${word(4)} ${word(4)}"@${word(8)}`;
      case 2:
        return `"${word(3)}\\"${word(3)}"@${word(8)}`;
      case 3:
        return word(12);
      case 4:
        return `${word(40)}@${word(40)}`;
      default:
        return `${word(8)}@${word(8)}.example`;
    }
  };
  const valueOf = (): string => {
    switch (random(12)) {
      case 0:
        return `${word(5)}  ${word(5)} # ${word(3)}`;
      case 1:
        return `${word(5)}@${word(5)}, "${word(3)} ${word(3)}"@${word(4)}`;
      case 2:
        return word(20).repeat(1 + random(300));
      case 3:
        return `first\n  second ${word(4)}\n# comment between\n\tthird`;
      default:
        return word(20);
    }
  };
  const keys: string[] = [];
  const pieces: (string | Buffer)[] = [];
  while (keys.length < entries) {
    const what = random(40);
    if (what === 0) pieces.push(`# ${word(10)} ${word(5)}\n`, pick(["", "\n", "   \n"]));
    else if (what === 1) pieces.push(`${word(5)}\n`);
    else if (what === 2) pieces.push(`"${word(5)} x\n`);
    else if (what === 3) pieces.push(Buffer.from([0x61, 0xe4, 0x20, 0x78, 0x0a]));
    else if (what === 4 && keys.length > 0) {
      const again = pick(keys);
      pieces.push(`${pick([again, again.toUpperCase(), again.toLowerCase()])} again\n`);
    } else {
      const key = keyOf();
      keys.push(key);
      pieces.push(`${key}${pick([" ", "\t", "   ", "\t \t"])}${valueOf()}${pick(["", "", " ", "\r"])}\n`);
    }
  }
  const variants = keys.flatMap((key) => [key, pick([key.toUpperCase(), key.slice(1), `${key}x`, key.toLowerCase()])]);
  return {
    text: Buffer.concat(pieces.map((piece) => Buffer.from(piece))),
    keys: variants.filter((key) => key.trim() === key && key !== ""),
  };
}

describe.each(["hash", "btree", "cdb", "lmdb"])(`%s, seed ${seed}`, (type) => {
  test.skipIf(!known.includes(type))("thousands of keys, as the real postmap", async () => {
    const next = randomFrom(seed);
    for (let round = 0; round < sample(2, 5); round++) {
      const path = join(folder, `${type}-${round}`);
      const { text, keys } = generate(next, sample(3_000, 20_000));
      writeFileSync(path, text);
      build(`${type}:${path}`);
      const theirs = askPostmap(`${type}:${path}`, keys);
      expect(theirs.length, `seed ${seed}`).toBeGreaterThan(10_000);
      expectSame(await askUs(`${type}:${path}`, keys), theirs);
    }
  });

  test.skipIf(!known.includes(type))("small and odd files, as the real postmap", async () => {
    const next = randomFrom(seed + 1);
    const path = join(folder, `${type}-odd`);
    for (let round = 0; round < sample(12, 100); round++) {
      const { text, keys } = generate(next, Math.floor(next() * 5));
      // hash and btree refuse what is no table at all; postmap makes an empty one of it.
      writeFileSync(path, Buffer.concat([text, Buffer.from("always there\n")]));
      rmSync(`${path}.${type === "cdb" || type === "lmdb" ? type : "db"}`, { force: true });
      build(`${type}:${path}`);
      expectSame(await askUs(`${type}:${path}`, keys), askPostmap(`${type}:${path}`, keys));
      await registry?.close();
    }
  });
});

describe.skipIf(!known.includes("cdb"))("cdb", () => {
  test("the file that we build is postmap's, octet for octet", async () => {
    const path = join(folder, "built");
    for (const entries of [0, 1, 2, 300, 5_000]) {
      writeFileSync(path, generate(randomFrom(seed + entries), entries).text);
      build(`cdb:${path}`);
      const postmaps = readFileSync(`${path}.cdb`);
      rmSync(`${path}.cdb`);
      const read = await readTableFile(path, { label: "cdb:built", warn: () => undefined });
      expect((await buildCdb(read.all(), `${path}.cdb`)).records).toBe(read.size);
      expect(readFileSync(`${path}.cdb`).equals(postmaps)).toBe(true);
    }
  });

  test("keys and values with a closing NUL, as some systems' postmap writes them", async () => {
    const path = join(folder, "nul");
    await buildCdb(
      [
        { key: "a@b\0", value: "with\0" },
        { key: "c@d", value: "without" },
      ],
      `${path}.cdb`,
    );
    const keys = ["a@b", "A@B", "e"];
    expectSame(await askUs(`cdb:${path}`, keys), askPostmap(`cdb:${path}`, keys));
    expect(await askUs(`cdb:${path}`, ["a@b", "c@d"])).toBe("a@b\twith\nc@d\twithout\n");
  });

  test("a file that is not held in memory answers the same", async () => {
    const path = join(folder, "shared-cdb");
    const { text } = generate(randomFrom(seed + 7), 2_000);
    writeFileSync(path, text);
    build(`cdb:${path}`);
    const [held, shared] = [await openCdb(`${path}.cdb`), await openCdb(`${path}.cdb`, 0)];
    let count = 0;
    for (const [key, value] of held.pairs()) {
      expect(shared.find(key, key.length)?.equals(value)).toBe(true);
      count += 1;
    }
    expect(count).toBeGreaterThan(1_000);
    held.close();
    shared.close();
  });
});

describe.skipIf(!known.includes("lmdb"))("lmdb", () => {
  const path = join(folder, "commits");

  /** The values of all keys name the round. */
  const writeRound = (round: number, entries: number): void =>
    writeFileSync(path, Array.from({ length: entries }, (_, index) => `key${index} round${round}\n`).join(""));

  test("entries() gives all, and a file that is not held answers the same", async () => {
    const { text } = generate(randomFrom(seed + 9), 4_000);
    writeFileSync(path, text);
    build(`lmdb:${path}`);
    const listed = spawnSync("postmap", ["-c", folder, "-s", `lmdb:${path}`], {
      encoding: "utf8",
      maxBuffer: 2 ** 28,
    }).stdout;
    const table = await open(`lmdb:${path}`);
    const ours = [...(table.entries?.() ?? [])].map(({ key, value }) => `${key}\t${value}\n`).join("");
    expectSame(ours, listed);
    const [held, shared] = [await openLmdb(`${path}.lmdb`), await openLmdb(`${path}.lmdb`, 0)];
    for (const [key, value] of held.pairs()) {
      const expected = Buffer.from(value);
      expect(shared.find(key, key.length)?.equals(expected)).toBe(true);
    }
    held.close();
    shared.close();
  });

  test("lookups in the file while postmap rewrites it see one commit or the next", async () => {
    writeRound(0, 2_000);
    build(`lmdb:${path}`);
    const shared = await openLmdb(`${path}.lmdb`, 0);
    let newest = 0;
    let asked = 0;
    for (let round = 1; round <= sample(15, 100); round++) {
      writeRound(round, 2_000);
      let done = false;
      const building = promisify(execFile)("postmap", ["-c", folder, `lmdb:${path}`]).finally(() => (done = true));
      while (!done) {
        for (let count = 0; count < 200; count++) {
          const key = Buffer.from(`key${(asked * 7919) % 2_000}\0`);
          const value = shared.find(key, key.length)?.toString();
          const found = Number(/^round(\d+)\0$/.exec(value ?? "")?.[1] ?? -1);
          expect(found).toBeGreaterThanOrEqual(newest);
          newest = found;
          asked += 1;
        }
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
      await building;
    }
    expect(newest).toBeGreaterThan(1);
    shared.close();
  });
});

describe.skipIf(!known.includes("unix"))("unix", () => {
  test.for(["passwd", "group"])("%s.byname, as the real postmap", async (database) => {
    const names = readFileSync(`/etc/${database}`, "utf8")
      .split("\n")
      .map((line) => line.split(":")[0] ?? "")
      .filter((name) => name !== "");
    const keys = names.flatMap((name) => [name, name.toUpperCase(), `${name}x`]);
    const theirs = askPostmap(`unix:${database}.byname`, keys);
    expect(theirs).not.toBe("");
    expectSame(await askUs(`unix:${database}.byname`, keys), theirs);
  });

  const odd: readonly { file: SystemFile; text: string }[] = [
    {
      file: passwd,
      text: `# c

ann:x:1000:0100:Ann,,,:/home/ann:/bin/sh
ann:x:1:1::/:
+nis::::::
bad:x:one:1::/:
short:x:5:6
bob:x:7:8::/b:
 lead:x:9:9:g:/:/s
many:x:1:2:g:/h:/s:extra:more
neg:x:-1:5:::
sp:x: 5:6:::
nog:x:5::::
big:x:4294967296:1:::
max:x:4294967295:1:::
trail:x:1:1:::/bin/sh 
x2:x:1:1:g
x3::1:1
x4:x:1
x5:x:5x:1:::
Upper:x:1:1:::
`,
    },
    {
      file: group,
      text: `m1:x:008:ann,bob
m2:*:9:
m3:x:
m4:x:5
m5:x:6:a, b,,c
m6:x:7:a:b
m7:x:4294967295:a
+m8:x:1:
 lead:x:3:a
m9:x:12:a b
m10:x:13:, x ,
m1:x:9:
`,
    },
  ];

  test.skipIf(!canMount).for(odd)("odd lines of $file.path, as the real postmap", async ({ file, text }) => {
    // The system's own lines stay: postmap needs its owner.
    const path = join(folder, file.database);
    writeFileSync(path, `${readFileSync(file.path, "utf8")}${text}`);
    const keys = text.split("\n").map((line) => line.split(":")[0]?.trim() ?? "");
    const { stdout, stderr } = spawnSync(
      "unshare",
      [
        "-m",
        "sh",
        "-c",
        `mount --bind "$1" "$2" && exec postmap -c "$3" -q - unix:${file.database}.byname`,
        "sh",
        path,
        file.path,
        folder,
      ],
      { encoding: "utf8", input: keys.map((key) => `${key}\n`).join("") },
    );
    expect(stderr).toBe("");
    const table = await openSystemTable(`${file.database}.byname`, { ...file, path }, undefined, {
      clock: systemClock,
      warn: () => undefined,
    });
    const ours = keys.map((key) => {
      const value = table.lookup(key.toLowerCase()) as string | undefined;
      return value === undefined ? "" : `${key}\t${value}\n`;
    });
    await table.close();
    expect(ours.join("")).toBe(stdout);
  });
});
