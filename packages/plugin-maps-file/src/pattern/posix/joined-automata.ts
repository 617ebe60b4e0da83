/** Many automata as one with many starts; the detail of an end says whose it is. */
import type { Anchor } from "./expression.ts";
import { beside, nodeKinds, type Automaton } from "./automaton.ts";

/** A larger one would take too long for one step of it; the others are left out. Nodes and members fit in 16 bits. */
const mostNodes = 0xffff;
/** So that a few large ones do not keep out many small ones. */
const mostOfMember = 1_000;

/** No automaton that looks at words can be one of many: every octet would stand beside another kind. */
const joinable: ReadonlySet<Anchor> = new Set<Anchor>(["lineStart", "lineEnd", "textStart", "textEnd"]);

export interface JoinedAutomata {
  readonly automaton: Automaton;
  /** Where each member begins; -1 for one that was left out. */
  readonly starts: Int32Array;
}

export function joinAutomata(members: readonly Automaton[]): JoinedAutomata {
  const starts = new Int32Array(members.length).fill(-1);
  let size = 0;
  members.forEach((member, number) => {
    if (number >= mostNodes || size + member.size > mostNodes || member.size > mostOfMember) return;
    if (!member.anchors.every((anchor) => joinable.has(anchor))) return;
    starts[number] = size + member.start;
    size += member.size;
  });
  const kind = new Uint8Array(size);
  const [next, other, detail] = [new Int32Array(size), new Int32Array(size).fill(-1), new Int32Array(size)];
  const sets = new Numbering<string, Uint8Array>();
  const anchors = new Numbering<Anchor, Anchor>();
  const context = new Uint8Array(256).fill(beside.other);
  members.forEach((member, number) => {
    const start = starts[number] ?? -1;
    if (start < 0) return;
    const base = start - member.start;
    const newlineIsEdge = member.context[10] === beside.newline;
    if (newlineIsEdge) context[10] = beside.newline;
    const setNumbers = member.sets.map((set) =>
      sets.number(Buffer.from(set.buffer, set.byteOffset, set.length).toString("latin1"), set),
    );
    const anchorNumbers = member.anchors.map((written) => {
      const anchor = newlineIsEdge ? written : ofText(written);
      return anchors.number(anchor, anchor);
    });
    kind.set(member.kind, base);
    for (let node = 0; node < member.size; node++) {
      const to = member.next[node] ?? -1;
      const second = member.other[node] ?? -1;
      const own = member.detail[node] ?? 0;
      next[base + node] = to < 0 ? -1 : base + to;
      if (second >= 0) other[base + node] = base + second;
      if (member.kind[node] === nodeKinds.set) detail[base + node] = setNumbers[own] ?? 0;
      if (member.kind[node] === nodeKinds.anchor) detail[base + node] = anchorNumbers[own] ?? 0;
      if (member.kind[node] === nodeKinds.end) detail[base + node] = number;
    }
  });
  const rest = { start: -1, end: -1, groups: 0, optional: new Uint8Array(0) };
  return {
    automaton: { ...rest, size, kind, next, other, detail, context, sets: sets.all, anchors: anchors.all },
    starts,
  };
}

/** The same anchor where a newline is an octet like others. */
function ofText(anchor: Anchor): Anchor {
  return anchor === "lineStart" ? "textStart" : anchor === "lineEnd" ? "textEnd" : anchor;
}

class Numbering<Key, Value> {
  readonly all: Value[] = [];
  readonly #numbers = new Map<Key, number>();

  number(key: Key, value: Value): number {
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    this.#numbers.set(key, this.all.length);
    return this.all.push(value) - 1;
  }
}
