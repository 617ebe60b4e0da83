/**
 * Which of many expressions match, in one pass over the text: a deterministic automaton for all of them, built state by
 * state as texts need them. Its states can be very many; so building is paid from savings, which each text adds to, and a
 * text that is too dear is given up: its expressions have to be tried one by one.
 */
import { beside, nodeKinds, type Automaton } from "./automaton.ts";
import { Closure } from "./closure.ts";
import { joinAutomata } from "./joined-automata.ts";
import { classesOf, type OctetClasses } from "./octet-classes.ts";

/** Bytes of states, about; all are forgotten together when there are more. */
const mostBytes = 8 * 1024 * 1024;

/** In nodes visited, some nanoseconds each: at the beginning, and for one text. */
const firstSavings = 4_000_000;
const mostForText = 50_000;
/** What a text adds for each expression: a small part of what it costs to try that one alone. */
const savedPerMember = 2;
/** What a transition costs beside its nodes. */
const perTransition = 64;

interface State {
  /** Where the expressions that have begun are, sorted. */
  readonly nodes: Uint16Array;
  /** Of `beside`. */
  readonly before: number;
  /** The expressions that matched on the way into this state. */
  readonly matched: Uint16Array;
  /** By class of octet; the last one is the end of the text. */
  readonly next: (State | undefined)[];
  /** The text that came here last. */
  seen: number;
}

export class JoinedMatcher {
  readonly #automaton: Automaton;
  readonly #starts: Int32Array;
  readonly #classes: OctetClasses;
  readonly #closure: Closure;
  /** For each of `beside`, the starts of expressions that may begin behind it. */
  readonly #beginning: ReadonlyMap<number, readonly number[]>;
  /** For each expression, the text that it matched last. */
  readonly #marks: Float64Array;
  #text = 0;
  #initial: State;
  readonly #states = new Map<string, State>();
  #bytes = 0;
  #savings = firstSavings;

  constructor(members: readonly Automaton[]) {
    ({ automaton: this.#automaton, starts: this.#starts } = joinAutomata(members));
    this.#classes = classesOf(this.#automaton);
    this.#closure = new Closure(this.#automaton);
    const starts = [...this.#starts].filter((start) => start >= 0);
    const sides = new Set([beside.edge, ...this.#automaton.context]);
    this.#beginning = new Map(
      Array.from(sides, (before) => [before, starts.filter((start) => this.#closure.begins(start, before, sides))]),
    );
    this.#marks = new Float64Array(members.length);
    this.#initial = this.#state([], beside.edge, []);
  }

  /** Looks at a text of octets, of which `matches` then speaks; false when that would take too long. */
  look(text: string): boolean {
    const number = ++this.#text;
    const { classOf, sample } = this.#classes;
    const { length } = text;
    this.#savings = Math.min(this.#savings + this.#marks.length * savedPerMember, firstSavings);
    const least = Math.max(this.#savings - mostForText, 0);
    let state = this.#initial;
    for (let at = 0; at <= length; at++) {
      const column = at < length ? (classOf[text.charCodeAt(at)] as number) : sample.length;
      let next = state.next[column];
      if (next === undefined) {
        if (this.#savings <= least) return false;
        next = this.#explore(state, column);
        if (this.#bytes > mostBytes) {
          this.#forget();
          return false;
        }
      }
      state = next;
      if (state.matched.length === 0 || state.seen === number) continue;
      state.seen = number;
      for (const member of state.matched) this.#marks[member] = number;
    }
    return true;
  }

  /** Whether a member matches; `undefined` for one that was left out. */
  matches(member: number): boolean | undefined {
    return this.#starts[member] === -1 ? undefined : this.#marks[member] === this.#text;
  }

  #explore(state: State, column: number): State {
    const { kind, detail, context } = this.#automaton;
    const octet = this.#classes.sample[column];
    const after = octet === undefined ? beside.edge : (context[octet] ?? beside.other);
    const beginning = this.#beginning.get(state.before) ?? [];
    const from = beginning.length === 0 ? state.nodes : [...state.nodes, ...beginning];
    const reached = this.#closure.of(from, state.before, after);
    this.#savings -= reached.length + perTransition;
    const matched: number[] = [];
    for (const node of reached) if (kind[node] === nodeKinds.end) matched.push(detail[node] ?? 0);
    const nodes = octet === undefined ? [] : this.#closure.step(reached, octet);
    const next = this.#state(nodes, after, matched);
    state.next[column] = next;
    return next;
  }

  #state(targets: readonly number[], before: number, ends: readonly number[]): State {
    const packed = new Uint16Array(2 + targets.length + ends.length);
    packed.set([before, targets.length]);
    packed.set(targets, 2);
    packed.set(ends, 2 + targets.length);
    const nodes = packed.subarray(2, 2 + targets.length).sort();
    const matched = packed.subarray(2 + targets.length).sort();
    const key = Buffer.from(packed.buffer).toString("utf16le");
    const known = this.#states.get(key);
    if (known !== undefined) return known;
    const next = Array.from<State | undefined>({ length: this.#classes.sample.length + 1 });
    const state = { nodes, before, matched, next, seen: 0 };
    this.#states.set(key, state);
    this.#bytes += 400 + next.length * 8 + packed.length * 4;
    return state;
  }

  #forget(): void {
    this.#states.clear();
    this.#bytes = 0;
    this.#initial = this.#state([], beside.edge, []);
  }
}
