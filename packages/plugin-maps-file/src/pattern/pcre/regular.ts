/**
 * Patterns that are regular in the strict sense, as expressions for an automaton: whether they match is then known in the
 * time that the key is long, whatever they look like. Greedy or not makes no difference to that. What is not surely read
 * here (assertions, back references, atomic groups, inline flags) is left to PCRE2.
 */
import type { Expression, ParsedExpression } from "../posix/expression.ts";
import { addClass, addRange, invert, wordSet } from "../posix/octet-set.ts";

export interface RegularFlags {
  readonly ignoreCase: boolean;
  readonly dotAll: boolean;
  readonly anchored: boolean;
}

export interface RegularPattern extends ParsedExpression {
  /** It has a `$`, which also stands before a newline that ends the text: such texts are not for the automaton. */
  readonly hasDollar: boolean;
}

class NotRegular extends Error {}

/** `source` holds octets and is known to compile; no flag `m` or `x`. `undefined`: not regular, or not surely. */
export function toRegular(source: string, flags: RegularFlags): RegularPattern | undefined {
  try {
    return new Reader(source, flags).read();
  } catch (error) {
    if (error instanceof NotRegular || error instanceof RangeError) return undefined;
    throw error;
  }
}

const controls: Readonly<Record<string, number>> = { a: 7, e: 27, f: 12, n: 10, r: 13, t: 9 };
const classNames = new Set("alnum alpha blank cntrl digit graph lower print punct space upper xdigit".split(" "));
const textStart: Expression = { kind: "anchor", anchor: "textStart" };

class Reader {
  readonly #source: string;
  readonly #flags: RegularFlags;
  #at = 0;
  #groups = 0;
  #hasDollar = false;

  constructor(source: string, flags: RegularFlags) {
    this.#source = source;
    this.#flags = flags;
  }

  read(): RegularPattern {
    const body = this.#choice();
    if (this.#at < this.#source.length) throw new NotRegular();
    const root = this.#flags.anchored ? sequence(body === undefined ? [textStart] : [textStart, body]) : body;
    return { root, groups: this.#groups, hasBackReference: false, hasDollar: this.#hasDollar };
  }

  #choice(): Expression | undefined {
    let tree = this.#sequence();
    while (this.#source[this.#at] === "|") {
      this.#at++;
      tree = { kind: "choice", left: tree, right: this.#sequence() };
    }
    return tree;
  }

  #sequence(): Expression | undefined {
    const parts: Expression[] = [];
    for (;;) {
      const character = this.#source[this.#at];
      if (character === undefined || character === "|" || character === ")") return sequence(parts);
      const part = this.#repeated(this.#atom(character));
      if (part !== undefined) parts.push(part);
    }
  }

  #repeated(body: Expression): Expression | undefined {
    const rest = this.#source.slice(this.#at, this.#at + 24);
    const found = /^(?:([*+?])|\{([0-9]+)(?:(,)([0-9]*))?\})([?+]?)/.exec(rest);
    if (found === null) return body;
    const [written, sign, from, comma, to, mode] = found;
    if (mode === "+" || body.kind === "anchor" || body.kind === "choice") throw new NotRegular();
    this.#at += written.length;
    const least = sign === undefined ? Number(from) : sign === "+" ? 1 : 0;
    const exact = comma === undefined ? least : to === "" ? Infinity : Number(to);
    const most = sign === undefined ? exact : sign === "?" ? 1 : Infinity;
    return most === 0 ? undefined : { kind: "repeat", body, least, most };
  }

  #atom(character: string): Expression {
    switch (character) {
      case "^":
        this.#at++;
        return textStart;
      case "$":
        this.#at++;
        this.#hasDollar = true;
        return { kind: "anchor", anchor: "textEnd" };
      case ".": {
        this.#at++;
        const set = new Uint8Array(256).fill(1);
        if (!this.#flags.dotAll) set[10] = 0;
        return { kind: "set", set };
      }
      case "[":
        return this.#class();
      case "(":
        return this.#group();
      case "\\":
        return this.#escape();
      case "*":
      case "+":
      case "?":
        throw new NotRegular();
    }
    this.#at++;
    return this.#octet(character.charCodeAt(0));
  }

  #group(): Expression {
    const rest = this.#source.slice(this.#at, this.#at + 80);
    const opening = /^\((?:\?:|\?P?<[A-Za-z_]\w*>|(?![?*]))/.exec(rest)?.[0];
    if (opening === undefined) throw new NotRegular();
    this.#at += opening.length;
    const index = ++this.#groups;
    const body = this.#choice();
    if (this.#source[this.#at] !== ")") throw new NotRegular();
    this.#at++;
    return { kind: "group", index, body };
  }

  #escape(): Expression {
    const character = this.#source.charAt(this.#at + 1);
    const edges = { b: ["wordStart", "wordEnd"], B: ["insideWord", "outsideWord"] } as const;
    if (character === "b" || character === "B") {
      this.#at += 2;
      const [left, right] = edges[character];
      return { kind: "choice", left: { kind: "anchor", anchor: left }, right: { kind: "anchor", anchor: right } };
    }
    if (character === "A" || character === "z") {
      this.#at += 2;
      return { kind: "anchor", anchor: character === "A" ? "textStart" : "textEnd" };
    }
    const set = this.#shorthand();
    if (set !== undefined) return { kind: "set", set };
    return this.#octet(this.#escapedOctet());
  }

  /** `\d`, `\w`, `\s` and what is none of them. */
  #shorthand(): Uint8Array | undefined {
    const character = this.#source.charAt(this.#at + 1);
    if (!/[dDwWsS]/.test(character)) return undefined;
    this.#at += 2;
    const lower = character.toLowerCase();
    const set = lower === "w" ? wordSet() : new Uint8Array(256);
    if (lower !== "w") addClass(set, lower === "d" ? "digit" : "space", false);
    if (character !== lower) invert(set);
    return set;
  }

  #escapedOctet(): number {
    const rest = this.#source.slice(this.#at, this.#at + 8);
    const hex = /^\\x(?:\{([0-9A-Fa-f]{1,2})\}|([0-9A-Fa-f]{2}))/.exec(rest);
    if (hex !== null) {
      this.#at += hex[0].length;
      return Number.parseInt(hex[1] ?? hex[2] ?? "", 16);
    }
    const character = rest.charAt(1);
    const control = controls[character];
    if (control === undefined && !/^[^A-Za-z0-9]$/s.test(character)) throw new NotRegular();
    this.#at += 2;
    return control ?? character.charCodeAt(0);
  }

  #class(): Expression {
    const set = new Uint8Array(256);
    this.#at++;
    const negated = this.#source[this.#at] === "^";
    if (negated) this.#at++;
    for (let first = true; first || this.#source[this.#at] !== "]"; first = false) {
      const named = /^\[:([a-z]+):\]/.exec(this.#source.slice(this.#at, this.#at + 16));
      if (named !== null) {
        this.#at += named[0].length;
        if (!classNames.has(named[1] ?? "")) throw new NotRegular();
        addClass(set, named[1] ?? "", this.#flags.ignoreCase);
        this.#refuseRange();
        continue;
      }
      const shorthand = this.#source[this.#at] === "\\" ? this.#shorthand() : undefined;
      if (shorthand !== undefined) {
        for (let octet = 0; octet < 256; octet++) if (shorthand[octet] === 1) set[octet] = 1;
        this.#refuseRange();
        continue;
      }
      const from = this.#member();
      if (this.#source[this.#at] !== "-" || this.#source[this.#at + 1] === "]") {
        set[from] = 1;
        continue;
      }
      this.#at++;
      const to = this.#member();
      if (to < from) throw new NotRegular();
      addRange(set, from, to);
    }
    this.#at++;
    const folded = this.#flags.ignoreCase ? bothCases(set) : set;
    if (negated) invert(folded);
    return { kind: "set", set: folded };
  }

  /** Behind a class there is no range; what a hyphen means there is for PCRE2 to say. */
  #refuseRange(): void {
    if (this.#source[this.#at] === "-") throw new NotRegular();
  }

  #member(): number {
    const character = this.#source[this.#at];
    if (character === undefined || /^\[[.:=]/.test(this.#source.slice(this.#at, this.#at + 2))) throw new NotRegular();
    if (character === "\\") return this.#escapedOctet();
    this.#at++;
    return character.charCodeAt(0);
  }

  #octet(octet: number): Expression {
    const set = new Uint8Array(256);
    set[octet] = 1;
    return { kind: "set", set: this.#flags.ignoreCase ? bothCases(set) : set };
  }
}

function sequence(parts: readonly Expression[]): Expression | undefined {
  return parts.length > 1 ? { kind: "sequence", parts } : parts[0];
}

/** ASCII letters; octets above have no case. */
function bothCases(set: Uint8Array): Uint8Array {
  const both = set.slice();
  for (let upper = 65; upper <= 90; upper++) {
    if (set[upper] === 1 || set[upper + 32] === 1) both[upper] = both[upper + 32] = 1;
  }
  return both;
}
