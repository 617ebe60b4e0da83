import { spawnSync } from "node:child_process";
import { setImmediate as turn } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { createMailLog } from "./mail-log.ts";

function bench(json = false) {
  const writes: string[] = [];
  return { writes, log: createMailLog(json, (text) => writes.push(text)) };
}

test("lines of one turn leave in one write, in order; those of the next in another", async () => {
  const { writes, log } = bench();
  for (const line of ["one", "two", "three"]) log.add("info", line);
  expect(writes).toEqual([]);
  await turn();
  log.add("info", "four");
  await turn();
  expect(writes).toEqual(["one\ntwo\nthree\n", "four\n"]);
  log.close();
});

test("a warning leaves at once, behind what came before it", () => {
  const { writes, log } = bench();
  log.add("info", "one");
  log.add("warn", "two");
  expect(writes).toEqual(["one\nwarning: two\n"]);
  log.close();
});

test("no more than a bounded number of octets waits", () => {
  const { writes, log } = bench();
  const line = "x".repeat(1000);
  for (let count = 0; count < 1000; count += 1) log.add("info", line);
  log.close();
  expect(Math.max(...writes.map(({ length }) => length))).toBeLessThan(70_000);
  expect(writes.join("")).toBe(`${line}\n`.repeat(1000));
});

test("what comes after the end is written at once; JSON is a line too", () => {
  const { writes, log } = bench(true);
  log.add("info", 'a "line"');
  log.close();
  log.add("info", "late");
  expect(writes).toEqual(['{"level":"info","line":"a \\"line\\""}\n', '{"level":"info","line":"late"}\n']);
});

test.each([
  ["process.exit", "process.exit(0)"],
  ["an exception", "throw new Error('x')"],
])("a process that ends by %s has said everything", (_, end) => {
  const url = new URL("mail-log.ts", import.meta.url).href;
  const program = `import { createMailLog } from ${JSON.stringify(url)};
    const log = createMailLog(false, (text) => process.stdout.write(text));
    log.add("info", "last words");
    ${end}`;
  const { stdout } = spawnSync(
    process.execPath,
    ["--conditions=@postern/source", "--input-type=module", "-e", program],
    {
      encoding: "utf8",
      cwd: fileURLToPath(new URL(".", import.meta.url)),
    },
  );
  expect(stdout).toBe("last words\n");
});
