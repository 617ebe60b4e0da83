/** What can be reached in an automaton without taking an octet. */
import { anchorHolds, nodeKinds, type Automaton } from "./automaton.ts";

export class Closure {
  readonly #automaton: Automaton;
  readonly #mark: Uint32Array;
  #stamp = 0;

  constructor(automaton: Automaton) {
    this.#automaton = automaton;
    this.#mark = new Uint32Array(automaton.size);
  }

  /** All nodes on the way from `nodes`, them included, at a place with `before` and `after` beside it. */
  of(nodes: Iterable<number>, before: number, after: number): number[] {
    const { kind, next, other, detail, anchors } = this.#automaton;
    this.#next();
    const reached: number[] = [];
    for (const node of nodes) this.#visit(node, reached);
    for (let at = 0; at < reached.length; at++) {
      const node = reached[at] ?? 0;
      switch (kind[node]) {
        case nodeKinds.fork:
          this.#visit(next[node] ?? 0, reached);
          if ((other[node] ?? -1) >= 0) this.#visit(other[node] ?? 0, reached);
          break;
        case nodeKinds.open:
        case nodeKinds.close:
          this.#visit(next[node] ?? 0, reached);
          break;
        case nodeKinds.anchor: {
          const anchor = anchors[detail[node] ?? 0];
          if (anchor !== undefined && anchorHolds(anchor, before, after)) this.#visit(next[node] ?? 0, reached);
        }
      }
    }
    return reached;
  }

  /** Where those of `nodes` lead that take the octet; each target once. */
  step(nodes: readonly number[], octet: number): number[] {
    const { kind, next, detail, sets } = this.#automaton;
    this.#next();
    const targets: number[] = [];
    for (const node of nodes) {
      if (kind[node] !== nodeKinds.set || sets[detail[node] ?? 0]?.[octet] !== 1) continue;
      this.#visit(next[node] ?? 0, targets);
    }
    return targets;
  }

  /** Whether a match can begin at `start` with `before` there: nothing that begins with `^` does behind an octet. */
  begins(start: number, before: number, sides: Iterable<number>): boolean {
    const { kind } = this.#automaton;
    for (const after of sides) {
      const reached = this.of([start], before, after);
      if (reached.some((node) => kind[node] === nodeKinds.set || kind[node] === nodeKinds.end)) return true;
    }
    return false;
  }

  #visit(node: number, reached: number[]): void {
    if (this.#mark[node] === this.#stamp) return;
    this.#mark[node] = this.#stamp;
    reached.push(node);
  }

  #next(): void {
    if (++this.#stamp < 2 ** 32) return;
    this.#mark.fill(0);
    this.#stamp = 1;
  }
}
