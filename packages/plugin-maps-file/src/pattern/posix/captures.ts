/**
 * What the groups of a match take. POSIX wants the leftmost of the longest matches; within it, the groups are taken as the
 * GNU C library takes them: of all ways through the automaton that end where the match ends, the one whose first choices
 * come first, with its rules for empty rounds of a loop (regexec.c, set_regs).
 */
import type { WorkLimit } from "../work.ts";
import { anchorHolds, beside, nodeKinds, type Automaton } from "./automaton.ts";

/** Starts and ends of groups by number; -1 where a group took no part. Group 0 is the match. */
export interface Groups {
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}

/** `[start, end)` is a match of the automaton; groups above `highest` are not looked at. */
export function findGroups(
  automaton: Automaton,
  text: string,
  start: number,
  end: number,
  highest: number,
  work: WorkLimit,
): Groups {
  const { kind, next, other, detail, sets, optional } = automaton;
  work.spend((end - start + 1) * automaton.size);
  const open = openWays(automaton, text, start, end);
  const starts = new Int32Array(highest + 1).fill(-1);
  const ends = new Int32Array(highest + 1).fill(-1);
  starts[0] = start;
  ends[0] = end;
  let keptStarts = starts.slice();
  let keptEnds = ends.slice();
  const passed = new Set<number>();
  let at = start;
  let node = automaton.start;
  for (let steps = 0; at < end || node !== automaton.end; steps++) {
    // A bound for safety: each round takes an octet or passes a node for the first or second time.
    if (steps > 4 * (end - start + 1) * automaton.size) break;
    const group = detail[node] ?? 0;
    if (kind[node] === nodeKinds.open && group <= highest) {
      starts[group] = at;
      ends[group] = -1;
    } else if (kind[node] === nodeKinds.close && group <= highest) {
      if ((starts[group] ?? -1) < at) {
        ends[group] = at;
        keptStarts = starts.slice();
        keptEnds = ends.slice();
      } else if (optional[node] === 1 && (keptStarts[group] ?? -1) !== -1) {
        // An empty round of a loop does not undo what an earlier one took.
        starts.set(keptStarts);
        ends.set(keptEnds);
      } else {
        ends[group] = at;
      }
    }
    if (kind[node] === nodeKinds.set) {
      if (sets[detail[node] ?? 0]?.[text.charCodeAt(at)] !== 1) break;
      at++;
      node = next[node] ?? 0;
      passed.clear();
      continue;
    }
    passed.add(node);
    const ways = open[at - start];
    const first = next[node] ?? -1;
    const second = other[node] ?? -1;
    const firstOpen = ways?.[first] === 1;
    const secondOpen = second >= 0 && ways?.[second] === 1;
    if (!firstOpen && !secondOpen) break;
    node = firstOpen && !(secondOpen && passed.has(first)) ? first : second;
  }
  return { starts, ends };
}

/** For each place of the match, the nodes that can be reached there and from which its end can be reached. */
function openWays(automaton: Automaton, text: string, start: number, end: number): Uint8Array[] {
  const { size, kind, next, other, detail, sets, context, anchors } = automaton;
  const contextAt = (at: number) =>
    at < 0 || at >= text.length ? beside.edge : (context[text.charCodeAt(at)] ?? beside.other);
  const holds = (node: number, at: number) => {
    const anchor = anchors[detail[node] ?? 0];
    return anchor !== undefined && anchorHolds(anchor, contextAt(at - 1), contextAt(at));
  };
  const reached: number[][] = [];
  let heads = [automaton.start];
  for (let at = start; at <= end; at++) {
    const seen = new Uint8Array(size);
    const nodes: number[] = [];
    const visit = (node: number) => {
      if (node < 0 || seen[node] === 1) return;
      seen[node] = 1;
      nodes.push(node);
    };
    heads.forEach(visit);
    const following: number[] = [];
    for (let place = 0; place < nodes.length; place++) {
      const node = nodes[place] ?? 0;
      if (kind[node] === nodeKinds.set) {
        if (at < end && sets[detail[node] ?? 0]?.[text.charCodeAt(at)] === 1) following.push(next[node] ?? 0);
      } else if (kind[node] !== nodeKinds.anchor || holds(node, at)) {
        visit(next[node] ?? -1);
        visit(other[node] ?? -1);
      }
    }
    reached.push(nodes);
    heads = following;
  }
  const open = reached.map(() => new Uint8Array(size));
  for (let at = end; at >= start; at--) {
    const ways = open[at - start] ?? new Uint8Array(size);
    const later = open[at - start + 1];
    const nodes = reached[at - start] ?? [];
    // Loops of empty ways: until nothing is added, mostly twice, as nodes were reached in order.
    for (let added = true; added;) {
      added = false;
      for (let place = nodes.length - 1; place >= 0; place--) {
        const node = nodes[place] ?? 0;
        if (ways[node] === 1 || !leadsOn(node, at, ways, later)) continue;
        ways[node] = 1;
        added = true;
      }
    }
  }
  return open;

  function leadsOn(node: number, at: number, ways: Uint8Array, later: Uint8Array | undefined): boolean {
    if (kind[node] === nodeKinds.end) return at === end;
    const to = next[node] ?? -1;
    if (kind[node] === nodeKinds.set) {
      return at < end && sets[detail[node] ?? 0]?.[text.charCodeAt(at)] === 1 && later?.[to] === 1;
    }
    if (kind[node] === nodeKinds.anchor && !holds(node, at)) return false;
    return ways[to] === 1 || ((other[node] ?? -1) >= 0 && ways[other[node] ?? 0] === 1);
  }
}
