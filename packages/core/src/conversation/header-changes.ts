/**
 * What has to be done to one list of header fields so that it becomes another, for a mail server that changes fields by name and number.
 * Only what is there before and after counts, not how it came to be so: the answer is the same whoever changed what, and how often.
 */

export interface Field {
  /** Empty for a line that is no field: it cannot be named, and stays. */
  readonly name: string;
  readonly raw: Buffer;
}

/** `value`: all octets between the colon and the field's last line end. */
export type HeaderChange =
  /** The `nth` of that name from the top, 1 first, becomes another one. */
  | { readonly kind: "change"; readonly nth: number; readonly name: string; readonly value: Buffer }
  | { readonly kind: "delete"; readonly nth: number; readonly name: string }
  /** Above the field that is now the `index`th from the top, 0 first. */
  | { readonly kind: "insert"; readonly index: number; readonly name: string; readonly value: Buffer }
  /** Below all others. */
  | { readonly kind: "append"; readonly name: string; readonly value: Buffer };

/** Cells of the comparison; beyond them what differs is taken out and put in again as a whole. */
const mostCells = 1_000_000;

/**
 * To be carried out in this order. What goes and what changes comes first, from the bottom up, so that no number depends on whether
 * fields that are gone still count; then what is new, from the top down.
 */
export function headerChanges(before: readonly Field[], after: readonly Field[]): readonly HeaderChange[] {
  const kept = commonFields(before, after);
  const numbers = numbersOf(before);
  const early: HeaderChange[] = [];
  const late: HeaderChange[] = [];
  /** How many stand there when the first new one comes. */
  let standing = kept.length;
  const gaps: Gap[] = [];
  let from = 0;
  let to = 0;
  for (const [left, right] of [...kept, [before.length, after.length] as const]) {
    gaps.push({ from, left, to, right });
    from = left + 1;
    to = right + 1;
  }
  const added: number[] = [];
  for (const { from, left, to, right } of gaps) {
    const paired = pairByName(before.slice(from, left), after.slice(to, right));
    for (let at = from; at < left; at += 1) {
      const field = before[at] as Field;
      const successor = paired.get(at - from);
      // What nothing can name stays where it is.
      if (successor !== undefined || field.name === "") standing += 1;
      if (field.name === "") continue;
      const nth = numbers[at] as number;
      if (successor === undefined) early.push({ kind: "delete", name: field.name, nth });
      else early.push({ kind: "change", nth, ...partsOf(after[to + successor] as Field) });
    }
    const changed = new Set(paired.values());
    for (let at = to; at < right; at += 1) if (!changed.has(at - to)) added.push(at);
  }
  for (const at of added) {
    const field = after[at] as Field;
    if (field.name === "") continue;
    const parts = partsOf(field);
    // Of fields that nobody has shown us nothing is known: what is new comes on top.
    late.push(
      at >= standing && before.length > 0 ? { kind: "append", ...parts } : { kind: "insert", index: at, ...parts },
    );
    standing += 1;
  }
  return [...early.toReversed(), ...late];
}

interface Gap {
  readonly from: number;
  readonly left: number;
  readonly to: number;
  readonly right: number;
}

/** Fields of one name that follow each other in the same order: one became the other. Indexes, old to new. */
function pairByName(old: readonly Field[], fresh: readonly Field[]): ReadonlyMap<number, number> {
  const places = new Map<string, number[]>();
  for (let at = fresh.length - 1; at >= 0; at -= 1) {
    const name = (fresh[at] as Field).name.toLowerCase();
    const known = places.get(name);
    if (known === undefined) places.set(name, [at]);
    else known.push(at);
  }
  const pairs = new Map<number, number>();
  let next = 0;
  for (const [at, { name }] of old.entries()) {
    const waiting = name === "" ? undefined : places.get(name.toLowerCase());
    let found = waiting?.pop();
    while (found !== undefined && found < next) found = waiting?.pop();
    if (found === undefined) continue;
    pairs.set(at, found);
    next = found + 1;
  }
  return pairs;
}

/** Of each field, the how many-th of its name it is. */
function numbersOf(fields: readonly Field[]): readonly number[] {
  const seen = new Map<string, number>();
  return fields.map(({ name }) => {
    const key = name.toLowerCase();
    const number = (seen.get(key) ?? 0) + 1;
    seen.set(key, number);
    return number;
  });
}

function partsOf({ name, raw }: Field): { readonly name: string; readonly value: Buffer } {
  const colon = raw.indexOf(0x3a);
  const end = raw.length - (raw.at(-1) === 0x0a ? (raw.at(-2) === 0x0d ? 2 : 1) : 0);
  return { name, value: raw.subarray(colon + 1, Math.max(end, colon + 1)) };
}

/** The longest common subsequence, as pairs of indexes. */
function commonFields(before: readonly Field[], after: readonly Field[]): readonly (readonly [number, number])[] {
  const shorter = Math.min(before.length, after.length);
  let head = 0;
  while (head < shorter && same(before[head], after[head])) head += 1;
  let tail = 0;
  while (tail < shorter - head && same(before[before.length - 1 - tail], after[after.length - 1 - tail])) tail += 1;
  const pairs: (readonly [number, number])[] = [];
  for (let at = 0; at < head; at += 1) pairs.push([at, at]);
  const middle = before.slice(head, before.length - tail);
  for (const [left, right] of between(middle, after.slice(head, after.length - tail))) {
    pairs.push([head + left, head + right]);
  }
  for (let at = tail; at > 0; at -= 1) pairs.push([before.length - at, after.length - at]);
  return pairs;
}

function between(before: readonly Field[], after: readonly Field[]): readonly (readonly [number, number])[] {
  const width = after.length + 1;
  if (before.length === 0 || after.length === 0 || before.length * after.length > mostCells) return [];
  const lengths = new Uint32Array((before.length + 1) * width);
  for (let left = before.length - 1; left >= 0; left -= 1) {
    for (let right = after.length - 1; right >= 0; right -= 1) {
      const at = left * width + right;
      lengths[at] = same(before[left], after[right])
        ? (lengths[at + width + 1] as number) + 1
        : Math.max(lengths[at + width] as number, lengths[at + 1] as number);
    }
  }
  const pairs: (readonly [number, number])[] = [];
  let left = 0;
  let right = 0;
  while (left < before.length && right < after.length) {
    const at = left * width + right;
    if (same(before[left], after[right])) pairs.push([left++, right++]);
    else if ((lengths[at + width] as number) >= (lengths[at + 1] as number)) left += 1;
    else right += 1;
  }
  return pairs;
}

function same(one: Field | undefined, other: Field | undefined): boolean {
  return one !== undefined && other !== undefined && (one.raw === other.raw || one.raw.equals(other.raw));
}
