/** Asks a person before many messages are touched; a program has to say `--yes`. */
import { createInterface } from "node:readline/promises";
import { UsageError } from "../failure.ts";
import type { Output } from "../output.ts";

/** False unless the answer begins with y. Throws `UsageError` when nobody can be asked. */
export async function confirm(
  question: string,
  output: Output,
  input: AsyncIterable<Uint8Array> | undefined,
): Promise<boolean> {
  if (input === undefined && !process.stdin.isTTY) throw new UsageError("say --yes: nobody is there to be asked");
  output.warn(`${question} [y/N] `);
  if (input !== undefined) {
    for await (const piece of input) return /^\s*y/i.test(Buffer.from(piece).toString());
    return false;
  }
  const lines = createInterface({ input: process.stdin });
  try {
    return /^\s*y/i.test(await lines.question(""));
  } finally {
    lines.close();
  }
}
