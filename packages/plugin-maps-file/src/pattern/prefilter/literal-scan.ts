/** All literals of a table looked for in one pass over the key (Aho and Corasick), by a table of octet classes. */

/** Transitions kept: 16 MiB. Literals are cut shorter until they fit; that finds more than is there, never less. */
const mostTransitions = 4_194_304;
const longestLiteral = 64;

export interface LiteralOwner {
  /** Literals in lower case, octets; one of them found marks the owner. */
  readonly literals: readonly string[];
}

export class LiteralScan {
  readonly #classOf: Uint8Array;
  readonly #width: number;
  readonly #transitions: Int32Array;
  /** For each state the first place in `#owners`, and one more for the end. */
  readonly #found: Int32Array;
  readonly #owners: Int32Array;
  /** The nearest state, along the way of failures, that finds something; -1 without one. */
  readonly #also: Int32Array;
  /** For each owner, the scan that found it last. */
  readonly #marks: Uint32Array;
  #scan = 0;

  constructor(owners: readonly LiteralOwner[]) {
    this.#marks = new Uint32Array(owners.length);
    ({ classOf: this.#classOf, width: this.#width } = classesOf(owners));
    const trie = buildTrie(owners, this.#classOf, this.#width);
    const count = trie.length;
    const width = this.#width;
    this.#transitions = new Int32Array(count * width);
    this.#also = new Int32Array(count).fill(-1);
    this.#found = new Int32Array(count + 1);
    const failure = new Int32Array(count);
    const list: number[] = [];
    trie.forEach((node, state) => {
      this.#found[state] = list.length;
      for (const owner of node.owners) list.push(owner);
    });
    this.#found[count] = list.length;
    this.#owners = Int32Array.from(list);
    // Breadth first: what a failure leads to is complete before it is needed.
    const queue = [0];
    for (let place = 0; place < queue.length; place++) {
      const state = queue[place] ?? 0;
      const fail = failure[state] ?? 0;
      if (state !== 0) {
        this.#also[state] = (trie[fail]?.owners.length ?? 0) > 0 ? fail : (this.#also[fail] ?? -1);
      }
      const next = trie[state]?.next;
      for (let column = 0; column < width; column++) {
        const child = next?.get(column);
        const fallback = state === 0 ? 0 : (this.#transitions[fail * width + column] ?? 0);
        this.#transitions[state * width + column] = child ?? fallback;
        if (child === undefined) continue;
        failure[child] = fallback;
        queue.push(child);
      }
    }
  }

  /** Looks at a key of octets, letters in whatever case; `found` then speaks of it. */
  look(key: string): void {
    const scan = ++this.#scan;
    if (scan === 2 ** 32 - 1) {
      this.#marks.fill(0);
      this.#scan = 1;
    }
    const transitions = this.#transitions;
    const width = this.#width;
    const classOf = this.#classOf;
    const found = this.#found;
    const also = this.#also;
    let state = 0;
    for (let at = 0; at < key.length; at++) {
      state = transitions[state * width + (classOf[key.charCodeAt(at)] ?? 0)] ?? 0;
      if (state === 0) continue;
      for (let here = state; here >= 0; here = also[here] ?? -1) {
        const end = found[here + 1] ?? 0;
        for (let place = found[here] ?? 0; place < end; place++) this.#marks[this.#owners[place] ?? 0] = this.#scan;
      }
    }
  }

  found(owner: number): boolean {
    return this.#marks[owner] === this.#scan;
  }
}

/** Octets that are in no literal are one class, 0; both cases of a letter are one. */
function classesOf(owners: readonly LiteralOwner[]): { classOf: Uint8Array; width: number } {
  const classOf = new Uint8Array(256);
  let width = 1;
  for (const { literals } of owners) {
    for (const literal of literals) {
      for (let at = 0; at < literal.length; at++) {
        const octet = literal.charCodeAt(at);
        if (classOf[octet] === 0) classOf[octet] = width++;
      }
    }
  }
  for (let octet = 65; octet <= 90; octet++) classOf[octet] = classOf[octet + 32] ?? 0;
  return { classOf, width };
}

interface TrieNode {
  readonly next: Map<number, number>;
  readonly owners: number[];
}

function buildTrie(owners: readonly LiteralOwner[], classOf: Uint8Array, width: number): TrieNode[] {
  for (let longest = longestLiteral; ; longest = Math.ceil(longest / 2)) {
    const trie: TrieNode[] = [{ next: new Map(), owners: [] }];
    owners.forEach(({ literals }, owner) => {
      for (const literal of literals) add(trie, literal.slice(0, longest), owner, classOf);
    });
    if (trie.length * width <= mostTransitions || longest === 1) return trie;
  }
}

function add(trie: TrieNode[], literal: string, owner: number, classOf: Uint8Array): void {
  let state = 0;
  for (let at = 0; at < literal.length; at++) {
    const column = classOf[literal.charCodeAt(at)] ?? 0;
    const node = trie[state];
    let child = node?.next.get(column);
    if (child === undefined) {
      child = trie.push({ next: new Map(), owners: [] }) - 1;
      node?.next.set(column, child);
    }
    state = child;
  }
  const found = trie[state]?.owners;
  if (found !== undefined && found.at(-1) !== owner) found.push(owner);
}
