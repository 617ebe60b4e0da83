/** Octets that an automaton does not tell apart: no set of it, and no anchor. */
import type { Automaton } from "./automaton.ts";

export interface OctetClasses {
  /** The class of each octet. */
  readonly classOf: Uint8Array;
  /** One octet of each class. */
  readonly sample: readonly number[];
}

export function classesOf({ sets, context, anchors }: Automaton): OctetClasses {
  const classOf = new Uint8Array(256);
  let count = 1;
  for (const told of anchors.length === 0 ? sets : [context, ...sets]) count = split(classOf, count, told);
  const sample = Array.from({ length: count }, (_, number) => classOf.indexOf(number));
  return { classOf, sample };
}

/** Splits each class by what `told` says of its octets; the new number of classes. */
function split(classOf: Uint8Array, count: number, told: Uint8Array): number {
  const numbers = new Int16Array(count * 4).fill(-1);
  const parts = new Uint8Array(count);
  let next = count;
  for (let octet = 0; octet < 256; octet++) {
    const number = classOf[octet] ?? 0;
    const place = number * 4 + (told[octet] ?? 0);
    // The first part of a class keeps its number.
    if (numbers[place] === -1) numbers[place] = parts[number] === 0 ? number : next++;
    parts[number] = 1;
    classOf[octet] = numbers[place] ?? 0;
  }
  return next;
}
