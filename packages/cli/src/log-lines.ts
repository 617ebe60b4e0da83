/** Lines of a mail log: a file and what it was rotated to, packed or not, or what comes in by a pipe. */
import { createReadStream, readdirSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { createGunzip } from "node:zlib";
import { exitCodes } from "./exit-codes.ts";
import { CommandError } from "./failure.ts";

/** What is longer is no line of a mail log, and is left out. */
const longestLine = 64 * 1024;

/** The file itself, then `name.1`, `name.2.gz`, `name-20261123.gz`, … , the latest first. */
export function rotatedFiles(file: string): readonly string[] {
  const name = basename(file);
  const folder = dirname(file);
  let entries: readonly string[];
  try {
    entries = readdirSync(folder);
  } catch {
    return [file];
  }
  const rotated = entries
    .filter((entry) => entry.startsWith(name) && /^[.-]\d[\w.-]*?(?:\.gz)?$/.test(entry.slice(name.length)))
    .map((entry) => join(folder, entry));
  return [file, ...rotated.toSorted((a, b) => changedAt(b) - changedAt(a))];
}

function changedAt(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** Lines without their ends; of `postern start --json` what stands in them. Throws `CommandError` for what cannot be read. */
export async function* linesOfFile(file: string): AsyncGenerator<string> {
  const source = createReadStream(file);
  const stream = file.endsWith(".gz") ? source.pipe(createGunzip()) : source;
  // A pipe does not hand on the errors of its beginning.
  if (stream !== source) source.on("error", (error) => stream.destroy(error));
  try {
    yield* linesOf(stream as AsyncIterable<Uint8Array>);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new CommandError(`${file} cannot be read: ${code ?? message}`, exitCodes.unavailable, "LOG_UNREADABLE");
  }
}

export async function* linesOf(input: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of input) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > longestLine) rest = "";
    for (const line of lines) if (line.length <= longestLine) yield inner(line);
  }
  rest += decoder.decode();
  if (rest !== "") yield inner(rest);
}

function inner(line: string): string {
  const plain = line.endsWith("\r") ? line.slice(0, -1) : line;
  const start = plain.indexOf('{"level":');
  if (start < 0) return plain;
  try {
    const { line: said } = JSON.parse(plain.slice(start)) as { line?: unknown };
    return typeof said === "string" ? plain.slice(0, start) + said : plain;
  } catch {
    return plain;
  }
}
