// Reading a Maildir, as a mail program would see it.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

const WAIT_MS = 60_000;
const POLL_MS = 20;

export interface StoredMail {
  readonly file: string;
  readonly raw: Buffer;
}

/** All messages in `new` and `cur`, by file name; none when the Maildir is not there yet. `tmp` is nobody's business. */
export function readMaildir(path: string): StoredMail[] {
  return ["new", "cur"].flatMap((part) =>
    list(join(path, part)).map((name) => {
      const file = join(path, part, name);
      return { file, raw: readFileSync(file) };
    }),
  );
}

/** Waits until there are at least `count` messages; rejects naming what there is. */
export async function waitForMail(path: string, count = 1, timeoutMs = WAIT_MS): Promise<StoredMail[]> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const mails = readMaildir(path);
    if (mails.length >= count) return mails;
    if (performance.now() > deadline)
      throw new Error(`${mails.length} of ${count} messages in ${path} after ${timeoutMs} ms`);
    await delay(POLL_MS);
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder).toSorted();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
