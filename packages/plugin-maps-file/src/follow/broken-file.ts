/** Why a file cannot be the table it is meant to be. */

/** The file is there and is no such table: damaged, half-written, of another format. The message says why, without its name. */
export class BrokenFile extends Error {}

/** The file changed while it was read: what was read is of no version at all. */
export class TornRead extends Error {
  constructor() {
    super("it changes while it is read");
  }
}

/** The sentence for a file that could not be read, for a line in the log. */
export function whyUnreadable(error: unknown): string {
  if (error instanceof BrokenFile || error instanceof TornRead) return error.message;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "ENOENT" || code === "ENOTDIR") return "there is no such file";
  return `it cannot be read (${code ?? message})`;
}
