/** SQLite's own text of a value (sqlite3_column_text): numbers as it writes them, blobs as their bytes, up to a NUL. */
import type { SQLOutputValue } from "node:sqlite";

/** Integers come as bigint, so that a number is always a REAL. */
export function textOf(value: SQLOutputValue): string | null {
  if (value === null) return null;
  const text =
    typeof value === "string"
      ? value
      : typeof value === "bigint"
        ? String(value)
        : typeof value === "number"
          ? textOfReal(value)
          : Buffer.from(value).toString("utf8");
  const end = text.indexOf("\0");
  return end < 0 ? text : text.slice(0, end);
}

/** printf's `%!.15g`: 15 digits, and a point always. */
function textOfReal(value: number): string {
  if (value === Infinity) return "Inf";
  if (value === -Infinity) return "-Inf";
  const [mantissa = "", exponent = "0"] = value.toExponential(14).split("e");
  const power = Number(exponent);
  if (power < -4 || power >= 15) {
    const sign = power < 0 ? "-" : "+";
    return `${trimZeros(mantissa)}e${sign}${String(Math.abs(power)).padStart(2, "0")}`;
  }
  return trimZeros(value.toFixed(Math.max(14 - power, 1)));
}

/** One digit stays behind the point. */
function trimZeros(text: string): string {
  return text.replace(/(\.\d+?)0+$/, "$1");
}
