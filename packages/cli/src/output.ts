/** What commands print: tables for people, JSON for programs. */

export interface Output {
  /** Standard output. */
  write(text: string): void;
  /** Standard error. */
  warn(text: string): void;
}

export const processOutput: Output = {
  write: (text) => void process.stdout.write(text),
  warn: (text) => void process.stderr.write(text),
};

/** `human` is made only when it is wanted. */
export function print(output: Output, json: boolean | undefined, data: unknown, human: () => string): void {
  output.write(json === true ? `${JSON.stringify(data, undefined, 2)}\n` : human());
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
