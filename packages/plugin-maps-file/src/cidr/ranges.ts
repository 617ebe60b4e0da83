/** Ranges of addresses: those of one family, inclusive, in order and apart from each other. */
import type { AddressWords } from "./address.ts";
import type { AddressRange } from "./interval-table.ts";

export function everything(width: number): AddressRange[] {
  return [{ first: new Uint32Array(width), last: new Uint32Array(width).fill(0xffff_ffff) }];
}

/** The part of the ranges that lies in another. */
export function intersect(ranges: readonly AddressRange[], other: AddressRange): AddressRange[] {
  const found: AddressRange[] = [];
  for (const { first, last } of ranges) {
    const from = compare(first, other.first) >= 0 ? first : other.first;
    const to = compare(last, other.last) <= 0 ? last : other.last;
    if (compare(from, to) <= 0) found.push({ first: from, last: to });
  }
  return found;
}

/** The part of the ranges that does not. */
export function complementWithin(ranges: readonly AddressRange[], other: AddressRange): AddressRange[] {
  const [whole] = everything(other.first.length);
  if (whole === undefined) return [];
  const outside: AddressRange[] = [];
  const before = step(other.first, -1);
  const after = step(other.last, 1);
  if (before !== undefined) outside.push({ first: whole.first, last: before });
  if (after !== undefined) outside.push({ first: after, last: whole.last });
  return outside.flatMap((side) => intersect(ranges, side));
}

function compare(one: AddressWords, two: AddressWords): number {
  for (let at = 0; at < one.length; at++) {
    const difference = (one[at] ?? 0) - (two[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The address before or after; none at the edge. */
function step(words: AddressWords, by: 1 | -1): AddressWords | undefined {
  const moved = words.slice();
  const carry = by === 1 ? 0 : 0xffff_ffff;
  for (let at = moved.length - 1; at >= 0; at--) {
    moved[at] = (moved[at] ?? 0) + by;
    if (moved[at] !== carry) return moved;
  }
  return undefined;
}
