/**
 * Whether an expression matches: a deterministic automaton, built state by state as texts need them. The cost of a text is
 * its length, whatever the expression; states are kept up to a bound and forgotten together when there are more.
 */
import type { WorkLimit } from "../work.ts";
import { beside, nodeKinds, type Automaton } from "./automaton.ts";
import { Closure } from "./closure.ts";
import { classesOf } from "./octet-classes.ts";

const unknown = -1;
const matched = -2;
const dead = -3;

/** Transitions kept: a megabyte. A state has one for each class of octets. */
const mostTransitions = 262_144;

export interface MatcherOptions {
  /** Only at the given start, and then to the longest end; otherwise anywhere, and no end is known. */
  readonly anchored: boolean;
}

export class LazyMatcher {
  readonly #automaton: Automaton;
  readonly #anchored: boolean;
  readonly #work: WorkLimit;
  /** The class of each octet: octets that no set and no anchor tells apart are one. */
  readonly #classOf: Uint8Array;
  /** One octet of each class; the last class is the end of the text. */
  readonly #sample: readonly number[];
  readonly #width: number;
  #transitions = new Int32Array(0);
  /** For each state, whether it accepts before the class is taken (anchored only). */
  #accepts = new Uint8Array(0);
  #states: { readonly nodes: Int32Array; readonly before: number }[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #closure: Closure;
  #initial = -1;
  /** For each of `beside`, whether a match can begin behind it at all: nothing that begins with `^` does. */
  readonly #begins: readonly boolean[];
  readonly #beginsLater: boolean;

  constructor(automaton: Automaton, work: WorkLimit, { anchored }: MatcherOptions) {
    this.#automaton = automaton;
    this.#anchored = anchored;
    this.#work = work;
    this.#closure = new Closure(automaton);
    ({ classOf: this.#classOf, sample: this.#sample } = classesOf(automaton));
    this.#width = this.#sample.length + 1;
    const sides = Object.values(beside);
    this.#begins = sides.map((before) => this.#closure.begins(automaton.start, before, sides));
    // Without the flag `m` a newline is an octet like others, and nothing stands behind one.
    this.#beginsLater = automaton.context.some((side) => this.#begins[side] === true);
  }

  /** Whether the expression matches anywhere in the text, which holds octets. */
  test(text: string): boolean {
    const width = this.#width;
    const classOf = this.#classOf;
    const { length } = text;
    let transitions = this.#transitions;
    let state = this.#initial < 0 ? this.#begin() : this.#initial;
    if (this.#transitions !== transitions) transitions = this.#transitions;
    for (let at = 0; ; at++) {
      const column = at < length ? (classOf[text.charCodeAt(at)] as number) : width - 1;
      let next = transitions[state + column] as number;
      if (next < 0) {
        if (next === unknown) {
          next = this.#explore(state, column).next;
          transitions = this.#transitions;
        }
        if (next === matched) return true;
        if (next === dead) return false;
      }
      if (at === length) return false;
      state = next;
    }
  }

  /** The state before the text, kept until all are forgotten. */
  #begin(): number {
    this.#initial = this.#state(Int32Array.of(this.#automaton.start), beside.edge);
    return this.#initial;
  }

  /** The end of the longest match that begins at `start`; -1 without one. */
  longest(text: string, start: number): number {
    const { context } = this.#automaton;
    const end = this.#width - 1;
    const before = start === 0 ? beside.edge : (context[text.charCodeAt(start - 1)] ?? beside.other);
    let state = this.#state(Int32Array.of(this.#automaton.start), before);
    let longest = -1;
    for (let at = start; ; at++) {
      this.#work.spend(1);
      const column = at < text.length ? (this.#classOf[text.charCodeAt(at)] ?? 0) : end;
      let next = this.#transitions[state + column] ?? unknown;
      if (next === unknown) {
        ({ state, next } = this.#explore(state, column));
      }
      if (this.#accepts[state + column] === 1) longest = at;
      if (next === dead || column === end) return longest;
      state = next;
    }
  }

  /** Fills in one transition. The state may get a new number when too many were known. */
  #explore(state: number, column: number): { state: number; next: number } {
    const { kind, context, start } = this.#automaton;
    const from = this.#states[state / this.#width];
    if (from === undefined) throw new Error("no such state");
    const octet = this.#sample[column];
    const after = octet === undefined ? beside.edge : (context[octet] ?? beside.other);
    const reached = this.#closure.of(from.nodes, from.before, after);
    this.#work.spend(reached.length * 8);
    const accepted = reached.some((node) => kind[node] === nodeKinds.end);
    const targets = octet === undefined ? [] : this.#closure.step(reached, octet);
    if (!this.#anchored && octet !== undefined && this.#begins[after] === true && !targets.includes(start)) {
      targets.push(start);
    }
    let to: number;
    let current = state;
    if (accepted && !this.#anchored) to = matched;
    else if (targets.length === 0 && (this.#anchored || !this.#beginsLater)) to = dead;
    else {
      const known = this.#states.length;
      to = this.#state(Int32Array.from(targets).sort(), after);
      // All were forgotten: the state we come from is known again by a new number.
      if (this.#states.length < known) current = this.#state(from.nodes, from.before);
    }
    const place = current + column;
    this.#transitions[place] = to;
    if (accepted) this.#accepts[place] = 1;
    return { state: current, next: to };
  }

  /** The number of a state is where its row of transitions begins. */
  #state(nodes: Int32Array, before: number): number {
    // Without anchors it does not matter what went before.
    const side = this.#automaton.anchors.length === 0 ? beside.other : before;
    const key = nodes.length === 1 ? `${side}:${nodes[0]}` : `${side}:${nodes.join()}`;
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    if ((this.#states.length + 1) * this.#width > mostTransitions) {
      this.#states = [];
      this.#initial = -1;
      this.#numbers.clear();
      this.#transitions.fill(unknown);
      this.#accepts.fill(0);
    }
    const number = this.#states.length * this.#width;
    this.#states.push({ nodes, before: side });
    this.#numbers.set(key, number);
    this.#grow();
    return number;
  }

  #grow(): void {
    const needed = this.#states.length * this.#width;
    if (needed <= this.#transitions.length) return;
    const size = Math.max(needed, this.#transitions.length * 2);
    const transitions = new Int32Array(size).fill(unknown);
    transitions.set(this.#transitions);
    this.#transitions = transitions;
    if (!this.#anchored && this.#accepts.length > 0) return;
    const accepts = new Uint8Array(this.#anchored ? size : 1);
    accepts.set(this.#accepts.subarray(0, accepts.length));
    this.#accepts = accepts;
  }
}
