/** Sets of octets: character classes of the C locale and brackets. */
import { ExpressionError } from "./expression.ts";

const range = (from: string, to: string) => [from.charCodeAt(0), to.charCodeAt(0)] as const;
const digits = range("0", "9");
const uppers = range("A", "Z");
const lowers = range("a", "z");

const classes: Readonly<Record<string, readonly (readonly [number, number])[]>> = {
  alnum: [digits, uppers, lowers],
  alpha: [uppers, lowers],
  blank: [
    [9, 9],
    [32, 32],
  ],
  cntrl: [
    [0, 31],
    [127, 127],
  ],
  digit: [digits],
  graph: [[33, 126]],
  lower: [lowers],
  print: [[32, 126]],
  punct: [
    [33, 47],
    [58, 64],
    [91, 96],
    [123, 126],
  ],
  space: [
    [9, 13],
    [32, 32],
  ],
  upper: [uppers],
  xdigit: [digits, range("A", "F"), range("a", "f")],
};

export function addRange(set: Uint8Array, from: number, to: number): void {
  set.fill(1, from, to + 1);
}

/** Throws `ExpressionError` for a class that C does not have. */
export function addClass(set: Uint8Array, name: string, ignoreCase: boolean): void {
  const folded = ignoreCase && (name === "upper" || name === "lower") ? "alpha" : name;
  const ranges = Object.hasOwn(classes, folded) ? classes[folded] : undefined;
  if (ranges === undefined) throw new ExpressionError("Invalid character class name");
  for (const [from, to] of ranges) addRange(set, from, to);
}

export function invert(set: Uint8Array): void {
  for (let octet = 0; octet < 256; octet++) set[octet] = set[octet] === 1 ? 0 : 1;
}

/** `\w`, as word boundaries see it. */
export function wordSet(): Uint8Array {
  const set = new Uint8Array(256);
  addClass(set, "alnum", false);
  set[95] = 1;
  return set;
}

export function upperCase(octet: number): number {
  return octet >= 97 && octet <= 122 ? octet - 32 : octet;
}

/** A set over texts in upper case, as a set over texts as they are. */
export function overUpperCase(set: Uint8Array): Uint8Array {
  return set.map((_, octet) => set[upperCase(octet)] ?? 0);
}
