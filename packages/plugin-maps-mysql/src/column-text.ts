/**
 * A value of a prepared statement as the text that the server itself would print: prepared statements send numbers and times
 * in binary, and Postfix reads text.
 */
import { isUtf8 } from "node:buffer";

/** What mysql2 says of a column. */
export interface Column {
  readonly columnType: number;
  readonly columnLength: number;
  readonly decimals: number;
  readonly flags: number | readonly string[];
}

const floatType = 4;
const doubleType = 5;
const yearType = 13;
const timeTypes: ReadonlySet<number> = new Set([7, 11, 12]);
const zerofill = 64;
/** `decimals` of a FLOAT or DOUBLE without a scale. */
const noScale = 31;

/** The text; `undefined` for NULL. Throws `RangeError` for what is no text. */
export function textOf(value: unknown, column: Column): string | undefined {
  if (typeof value === "string") {
    if (timeTypes.has(column.columnType) && column.decimals > 0) return withFraction(value, column.decimals);
    return hasFlag(column, zerofill) ? value.padStart(column.columnLength, "0") : value;
  }
  if (value === null || value === undefined) return undefined;
  if (typeof value === "number") return numberText(value, column);
  if (Buffer.isBuffer(value)) {
    if (!isUtf8(value)) throw new RangeError("a value is not UTF-8");
    return value.toString("utf8");
  }
  throw new RangeError("a value is no text");
}

function numberText(value: number, column: Column): string {
  let text = String(value);
  if (column.columnType === yearType) text = text.padStart(4, "0");
  else if (column.columnType === floatType || column.columnType === doubleType) {
    if (column.decimals < noScale) text = value.toFixed(column.decimals);
    else text = realText(column.columnType === floatType ? Number(value.toPrecision(6)) : value);
  }
  return hasFlag(column, zerofill) ? text.padStart(column.columnLength, "0") : text;
}

/** The server writes an exponent beyond 15 digits on either side of the point (my_gcvt). */
function realText(value: number): string {
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  const [digits = "", power = "0"] = Math.abs(value).toExponential().split("e");
  const exponent = Number(power);
  const sign = value < 0 ? "-" : "";
  if (exponent >= 15 || exponent < -15) return `${sign}${digits}e${exponent}`;
  const figures = digits.replace(".", "");
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${figures}`;
  const whole = figures.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  const rest = figures.slice(exponent + 1);
  return sign + whole + (rest === "" ? "" : `.${rest}`);
}

/** The binary form leaves out a fraction of zero. */
function withFraction(value: string, decimals: number): string {
  const [whole = "", fraction = ""] = value.split(".");
  return `${whole}.${fraction.padEnd(decimals, "0").slice(0, decimals)}`;
}

function hasFlag(column: Column, flag: number): boolean {
  return typeof column.flags === "number" && (column.flags & flag) !== 0;
}
