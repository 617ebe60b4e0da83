/**
 * A POSIX expression as a nondeterministic automaton. Built as the GNU C library builds its own, node for node where that
 * decides what a group takes: of two ways that match the same text, the one it would go first comes first here too.
 */
import { ExpressionError, type Anchor, type Expression, type ParsedExpression } from "./expression.ts";
import { wordSet } from "./octet-set.ts";

export const nodeKinds = Object.freeze({ set: 0, anchor: 1, open: 2, close: 3, fork: 4, end: 5 });

/** What stands beside a position. */
export const beside = Object.freeze({ edge: 0, newline: 1, word: 2, other: 3 });

/** A larger expression is refused. */
const mostNodes = 50_000;

export interface Automaton {
  readonly start: number;
  readonly end: number;
  readonly size: number;
  /** Of `nodeKinds`. */
  readonly kind: Uint8Array;
  /** Where a node leads; of a fork, the way that is tried first. */
  readonly next: Int32Array;
  /** A fork's second way, -1 when both are one. */
  readonly other: Int32Array;
  /** A set's place in `sets`, an anchor's in `anchors`, a group's number. */
  readonly detail: Int32Array;
  /** 1: the closing of a group that may be left out, as in `(a)*`. */
  readonly optional: Uint8Array;
  readonly sets: readonly Uint8Array[];
  readonly anchors: readonly Anchor[];
  readonly groups: number;
  /** Of `beside`, for each octet. */
  readonly context: Uint8Array;
}

/** Throws `ExpressionError` for one of more nodes than `limit`. */
export function buildAutomaton(
  { root, groups }: ParsedExpression,
  newlineIsEdge: boolean,
  limit: number = mostNodes,
): Automaton {
  const builder = new Builder(limit);
  const end = builder.node(nodeKinds.end, -1, 0);
  const start = root === undefined ? end : builder.build(root, end, false);
  const context = wordSet().map((isWord) => (isWord === 1 ? beside.word : beside.other));
  if (newlineIsEdge) context[10] = beside.newline;
  return { start, end, groups, context, ...builder.arrays() };
}

export function anchorHolds(anchor: Anchor, before: number, after: number): boolean {
  switch (anchor) {
    case "lineStart":
      return before === beside.edge || before === beside.newline;
    case "lineEnd":
      return after === beside.edge || after === beside.newline;
    case "textStart":
      return before === beside.edge;
    case "textEnd":
      return after === beside.edge;
    case "wordStart":
      return before !== beside.word && after === beside.word;
    case "wordEnd":
      return before === beside.word && after !== beside.word;
    case "insideWord":
      return before === beside.word && after === beside.word;
    case "outsideWord":
      return before !== beside.word && after !== beside.word;
  }
}

/** Builds from the end backwards: each part is given the node that follows it. */
class Builder {
  readonly #kind: number[] = [];
  readonly #next: number[] = [];
  readonly #other: number[] = [];
  readonly #detail: number[] = [];
  readonly #optional: number[] = [];
  readonly #sets: Uint8Array[] = [];
  readonly #setNumbers = new Map<Uint8Array, number>();
  readonly #anchors: Anchor[] = [];

  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  node(kind: number, next: number, detail: number): number {
    if (this.#kind.length >= this.#limit) throw new ExpressionError("Regular expression too big");
    this.#kind.push(kind);
    this.#next.push(next);
    this.#other.push(-1);
    this.#detail.push(detail);
    this.#optional.push(0);
    return this.#kind.length - 1;
  }

  #fork(first: number, second: number): number {
    const fork = this.node(nodeKinds.fork, first, 0);
    if (first !== second) this.#other[fork] = second;
    return fork;
  }

  build(part: Expression, next: number, optional: boolean): number {
    switch (part.kind) {
      case "set":
        return this.node(nodeKinds.set, next, this.#setNumber(part.set));
      case "anchor":
        this.#anchors.push(part.anchor);
        return this.node(nodeKinds.anchor, next, this.#anchors.length - 1);
      case "sequence":
        return part.parts.reduceRight((following, each) => this.build(each, following, false), next);
      case "choice": {
        const left = part.left === undefined ? undefined : this.build(part.left, next, false);
        const right = part.right === undefined ? undefined : this.build(part.right, next, false);
        // Nothing at all comes after something, whichever side it was written on.
        return left === undefined ? this.#fork(right ?? next, next) : this.#fork(left, right ?? next);
      }
      case "group": {
        const close = this.node(nodeKinds.close, next, part.index);
        if (optional) this.#optional[close] = 1;
        const body = part.body === undefined ? close : this.build(part.body, close, false);
        return this.node(nodeKinds.open, body, part.index);
      }
      case "repeat":
        return this.#repeat(part.body, part.least, part.most, next);
      case "backReference":
        throw new Error("a back reference is not regular");
    }
  }

  /** `x{2,4}` is `xx((x)?x)?`; `x{2,}` is `xxx*`. */
  #repeat(body: Expression, least: number, most: number, next: number): number {
    let entrance = next;
    if (most === Infinity) {
      entrance = this.node(nodeKinds.fork, -1, 0);
      this.#next[entrance] = this.build(body, entrance, true);
      this.#other[entrance] = next;
    } else {
      // The copy in the innermost brackets comes first in the text; leaving it out leads to the copy behind it.
      const followers: number[] = [next];
      for (let copy = least + 1; copy < most; copy++) followers.push(this.build(body, followers.at(-1) ?? next, true));
      if (most > least) {
        const last = followers.at(-1) ?? next;
        entrance = this.#fork(this.build(body, last, true), last);
        for (let at = followers.length - 2; at >= 0; at--) entrance = this.#fork(entrance, followers[at] ?? next);
      }
    }
    for (let copy = 0; copy < least; copy++) entrance = this.build(body, entrance, false);
    return entrance;
  }

  #setNumber(set: Uint8Array): number {
    const known = this.#setNumbers.get(set);
    if (known !== undefined) return known;
    this.#sets.push(set);
    this.#setNumbers.set(set, this.#sets.length - 1);
    return this.#sets.length - 1;
  }

  arrays() {
    return {
      size: this.#kind.length,
      kind: Uint8Array.from(this.#kind),
      next: Int32Array.from(this.#next),
      other: Int32Array.from(this.#other),
      detail: Int32Array.from(this.#detail),
      optional: Uint8Array.from(this.#optional),
      sets: this.#sets,
      anchors: this.#anchors,
    };
  }
}
