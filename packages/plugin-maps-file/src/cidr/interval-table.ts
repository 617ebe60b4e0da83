/**
 * Which rule answers for an address, when the first that matches answers: all addresses cut into intervals, each with its
 * rule, found by bisection. Built once from the rules in order; what is taken by an earlier rule is skipped in one step, so
 * that a hundred thousand networks take a fraction of a second and two numbers each.
 */
import type { AddressWords } from "./address.ts";

/** Inclusive, in the order of addresses. */
export interface AddressRange {
  readonly first: AddressWords;
  readonly last: AddressWords;
}

export interface RangeRule {
  /** Where the rule matches: some ranges that do not overlap. */
  readonly ranges: readonly AddressRange[];
  /** Not negative. */
  readonly rule: number;
}

/** Below, bisection alone is as fast, and a quarter of a megabyte is saved. */
const fewestIndexed = 1024;

export class IntervalTable {
  /** The first words of all intervals, then the second words, and so on. */
  readonly #words: readonly Uint32Array[];
  /** -1: no rule. */
  readonly #rules: Int32Array;
  /** For each value of the highest 16 bits, the interval that its first address lies in. */
  readonly #starts: Int32Array;

  /** `width`: the words of an address. */
  constructor(rules: readonly RangeRule[], width: number) {
    const bounds = collectBounds(rules, width);
    this.#words = bounds;
    this.#rules = assign(rules, bounds);
    this.#starts = indexStarts(bounds[0] ?? new Uint32Array(0));
  }

  /** The rule for an address, -1 without one. */
  find(address: AddressWords): number {
    return this.#rules[this.#interval(address)] ?? -1;
  }

  /** The rule for an address of one word. */
  findWord(address: number): number {
    const words = this.#words[0] ?? new Uint32Array(0);
    const high = address >>> 16;
    let low = this.#starts[high] ?? 0;
    let up = this.#starts[high + 1] ?? words.length - 1;
    while (low < up) {
      const middle = (low + up + 1) >>> 1;
      if ((words[middle] ?? 0) <= address) low = middle;
      else up = middle - 1;
    }
    return this.#rules[low] ?? -1;
  }

  #interval(address: AddressWords): number {
    const high = (address[0] ?? 0) >>> 16;
    let low = this.#starts[high] ?? 0;
    let up = this.#starts[high + 1] ?? (this.#words[0]?.length ?? 1) - 1;
    while (low < up) {
      const middle = (low + up + 1) >>> 1;
      if (compareAt(this.#words, middle, address) <= 0) low = middle;
      else up = middle - 1;
    }
    return low;
  }
}

function compareAt(columns: readonly Uint32Array[], row: number, address: AddressWords): number {
  for (let at = 0; at < columns.length; at++) {
    const difference = (columns[at]?.[row] ?? 0) - (address[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The starts of all intervals, sorted, each once: the first address, where a range begins, and what comes after one. */
function collectBounds(rules: readonly RangeRule[], width: number): Uint32Array[] {
  let count = 1;
  for (const { ranges } of rules) count += ranges.length * 2;
  const raw = Array.from({ length: width }, () => new Uint32Array(count));
  let filled = 1;
  const after = new Uint32Array(width);
  const put = (words: AddressWords) => {
    for (let at = 0; at < width; at++) (raw[at] as Uint32Array)[filled] = words[at] ?? 0;
    filled++;
  };
  for (const { ranges } of rules) {
    for (const { first, last } of ranges) {
      put(first);
      if (increment(last, after)) put(after);
    }
  }
  const order = sortedOrder(raw, filled);
  let kept = 0;
  for (let place = 0; place < filled; place++) {
    const row = order[place] ?? 0;
    const before = order[kept - 1] ?? 0;
    if (kept > 0 && raw.every((column) => column[row] === column[before])) continue;
    order[kept++] = row;
  }
  return raw.map((column) => Uint32Array.from(order.subarray(0, kept), (row) => column[row] ?? 0));
}

function sortedOrder(columns: readonly Uint32Array[], count: number): Uint32Array {
  const [first = new Uint32Array(0)] = columns;
  const order = Uint32Array.from({ length: count }, (_, at) => at);
  if (columns.length === 1) {
    // Typed arrays sort numbers fast, and nothing else: the row travels in the low bits.
    const keys = Float64Array.from(order, (row) => (first[row] ?? 0) * 2 ** 21 + row);
    if (count < 2 ** 21) return Uint32Array.from(keys.sort(), (key) => key % 2 ** 21);
  }
  return order.sort((one, two) => {
    for (const column of columns) {
      const difference = (column[one] ?? 0) - (column[two] ?? 0);
      if (difference !== 0) return difference;
    }
    return 0;
  });
}

/** The next address; false behind the last. */
function increment(words: AddressWords, into: Uint32Array): boolean {
  into.set(words);
  for (let at = words.length - 1; at >= 0; at--) {
    into[at] = (words[at] ?? 0) + 1;
    if (into[at] !== 0) return true;
  }
  return false;
}

function assign(rules: readonly RangeRule[], bounds: readonly Uint32Array[]): Int32Array {
  const count = bounds[0]?.length ?? 0;
  const owners = new Int32Array(count).fill(-1);
  // For each interval, the next one from it on that no rule has taken yet; paths are halved as they are walked.
  const free = Int32Array.from({ length: count + 1 }, (_, at) => at);
  const nextFree = (start: number): number => {
    let at = start;
    while ((free[at] ?? at) !== at) {
      free[at] = free[free[at] ?? at] ?? at;
      at = free[at] ?? at;
    }
    return at;
  };
  for (const { ranges, rule } of rules) {
    for (const { first, last } of ranges) {
      const end = rowOf(bounds, last);
      for (let at = nextFree(rowOf(bounds, first)); at <= end && at < count; at = nextFree(at)) {
        owners[at] = rule;
        free[at] = at + 1;
      }
    }
  }
  return owners;
}

/** The interval that an address lies in. */
function rowOf(bounds: readonly Uint32Array[], address: AddressWords): number {
  let low = 0;
  let up = (bounds[0]?.length ?? 1) - 1;
  while (low < up) {
    const middle = (low + up + 1) >>> 1;
    if (compareAt(bounds, middle, address) <= 0) low = middle;
    else up = middle - 1;
  }
  return low;
}

function indexStarts(words: Uint32Array): Int32Array {
  if (words.length < fewestIndexed) return new Int32Array(0);
  const starts = new Int32Array(65_536);
  let row = 0;
  for (let high = 0; high < 65_536; high++) {
    while (row + 1 < words.length && (words[row + 1] ?? 0) <= high * 65_536) row++;
    starts[high] = row;
  }
  // Where equal first words go on (IPv6), the first of them: one before may still hold the lowest address.
  for (let high = 0; high < 65_536; high++) {
    let start = starts[high] ?? 0;
    while (start > 0 && (words[start] ?? 0) === high * 65_536) start--;
    starts[high] = start;
  }
  return starts;
}
