/** What commands print: tables for people, JSON for programs. */

export interface Output {
  /** Standard output. */
  write(text: string): void;
  /** Standard error. */
  warn(text: string): void;
  /** Octets to standard output; resolves when more may come. */
  octets?(piece: Uint8Array): Promise<void>;
  /** Standard output is a terminal. */
  readonly toTerminal?: boolean;
  /** Standard error is read by a person. */
  readonly isTerminal?: boolean;
}

export const processOutput: Output = {
  write: (text) => void process.stdout.write(text),
  warn: (text) => void process.stderr.write(text),
  octets: (piece) =>
    new Promise((resolve, reject) => process.stdout.write(piece, (error) => (error ? reject(error) : resolve()))),
  toTerminal: process.stdout.isTTY,
  isTerminal: process.stderr.isTTY,
};

/** `human` is made only when it is wanted. */
export function print(output: Output, json: boolean | undefined, data: unknown, human: () => string): void {
  output.write(json === true ? `${formatJson(data)}\n` : human());
}

/** What JSON may leave as it is, and a terminal takes for a command or shows where it does not stand; C0 controls are escaped by JSON itself. */
const commanding = /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** For programs, and yet people look at it: strangers' texts are in it. */
function formatJson(data: unknown): string {
  return JSON.stringify(data, undefined, 2).replace(
    commanding,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Many short texts as few writes: what one turn brings leaves together, at most 64 KiB at a time. */
export function createBatch(output: Output): { write(text: string): void; flush(): void } {
  const longest = 65_536;
  let waiting = "";
  const flush = (): void => {
    const text = waiting;
    waiting = "";
    if (text !== "") output.write(text);
  };
  return {
    flush,
    write(text) {
      if (waiting === "") setImmediate(flush);
      waiting += text;
      if (waiting.length >= longest) flush();
    },
  };
}

/** Columns as wide as their widest cell, two spaces between; the last one is not padded. */
export function formatColumns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  }
  return rows
    .map((row) =>
      row.map((cell, column) => (column < row.length - 1 ? cell.padEnd(widths[column] ?? 0) : cell)).join("  "),
    )
    .map((line) => `${line.trimEnd()}\n`)
    .join("");
}
