/**
 * POSIX basic and extended regular expressions as the GNU C library reads them in the C locale: its extensions (`\w`, `\<`,
 * back references in extended ones too), its errors, its ways with what POSIX leaves open.
 */
import {
  ExpressionError,
  type Anchor,
  type Expression,
  type ExpressionFlags,
  type ParsedExpression,
} from "./expression.ts";
import { addClass, invert, overUpperCase, upperCase, wordSet } from "./octet-set.ts";
import { parseBracket } from "./parse-bracket.ts";

type Token =
  | { readonly kind: "octet"; readonly octet: number }
  | { readonly kind: "anchor"; readonly anchor: Anchor | "wordEdge" | "noWordEdge" }
  | { readonly kind: "set"; readonly set: Uint8Array }
  | { readonly kind: "backReference"; readonly index: number }
  | { readonly kind: "*" | "+" | "?" | "{" | "}" | "(" | ")" | "|" | "[" | "end" };

/** RE_DUP_MAX */
const mostRepeats = 32_767;

const escapedAnchors: Readonly<Record<string, Anchor | "wordEdge" | "noWordEdge">> = {
  "<": "wordStart",
  ">": "wordEnd",
  "`": "textStart",
  "'": "textEnd",
  b: "wordEdge",
  B: "noWordEdge",
};

/** `source` holds octets. Throws `ExpressionError`. */
export function parseExpression(source: string, flags: ExpressionFlags): ParsedExpression {
  return new Parser(source, flags).parse();
}

class Parser {
  readonly #source: string;
  readonly #flags: ExpressionFlags;
  #at = 0;
  #token: Token = { kind: "end" };
  #groups = 0;
  readonly #closed = new Set<number>();
  #hasBackReference = false;

  constructor(source: string, flags: ExpressionFlags) {
    this.#source = source;
    this.#flags = flags;
  }

  parse(): ParsedExpression {
    this.#next(true);
    const root = this.#choice(0);
    if (this.#token.kind !== "end") throw new ExpressionError("Unmatched ( or \\(");
    return { root, groups: this.#groups, hasBackReference: this.#hasBackReference };
  }

  #choice(depth: number): Expression | undefined {
    let tree = this.#sequence(depth);
    while (this.#token.kind === "|") {
      this.#next(true);
      const ends = this.#token.kind === "|" || this.#token.kind === "end" || (depth > 0 && this.#token.kind === ")");
      tree = { kind: "choice", left: tree, right: ends ? undefined : this.#sequence(depth) };
    }
    return tree;
  }

  #sequence(depth: number): Expression | undefined {
    const parts: Expression[] = [];
    do {
      const part = this.#repeated(depth);
      if (part !== undefined) parts.push(part);
    } while (this.#token.kind !== "|" && this.#token.kind !== "end" && !(depth > 0 && this.#token.kind === ")"));
    return parts.length > 1 ? { kind: "sequence", parts } : parts[0];
  }

  #repeated(depth: number): Expression | undefined {
    const { extended } = this.#flags;
    const token = this.#token;
    let tree: Expression | undefined;
    switch (token.kind) {
      case "anchor":
        // Nothing repeats an anchor: what follows is a new beginning.
        this.#next(false);
        return anchorOf(token.anchor);
      case "(":
        tree = this.#group(depth);
        break;
      case "[": {
        const { set, end } = parseBracket(this.#source, this.#at, this.#flags);
        this.#at = end;
        tree = this.#setOf(set);
        break;
      }
      case "set":
        tree = { kind: "set", set: token.set };
        break;
      case "octet":
        tree = this.#octet(token.octet);
        break;
      case "backReference":
        if (!this.#closed.has(token.index)) throw new ExpressionError("Invalid back reference");
        this.#hasBackReference = true;
        tree = { kind: "backReference", index: token.index };
        break;
      case "end":
      case "|":
        return undefined;
      case "{":
        throw new ExpressionError("Invalid preceding regular expression");
      case "*":
      case "+":
      case "?":
        if (extended) throw new ExpressionError("Invalid preceding regular expression");
        tree = this.#octet(token.kind.charCodeAt(0));
        break;
      case ")":
        if (!extended) throw new ExpressionError("Unmatched ( or \\(");
        tree = this.#octet(41);
        break;
      case "}":
        tree = this.#octet(125);
    }
    this.#next(false);
    for (;;) {
      const { kind } = this.#token;
      if (kind !== "*" && kind !== "+" && kind !== "?" && kind !== "{") return tree;
      tree = this.#repeat(tree, kind);
      if (!extended && (this.#token.kind === "*" || this.#token.kind === "{")) {
        throw new ExpressionError("Invalid preceding regular expression");
      }
    }
  }

  #group(depth: number): Expression {
    const index = ++this.#groups;
    this.#next(true);
    const body = this.#token.kind === ")" ? undefined : this.#choice(depth + 1);
    if (this.#token.kind !== ")") throw new ExpressionError("Unmatched ( or \\(");
    if (index <= 9) this.#closed.add(index);
    return { kind: "group", index, body };
  }

  #repeat(body: Expression | undefined, kind: "*" | "+" | "?" | "{"): Expression | undefined {
    let least = kind === "+" ? 1 : 0;
    let most = kind === "?" ? 1 : Infinity;
    if (kind === "{") ({ least, most } = this.#interval());
    this.#next(false);
    if (body === undefined || most === 0) return undefined;
    return { kind: "repeat", body, least, most };
  }

  /** `{n}`, `{n,}`, `{n,m}`, and `{,m}`, which begins at 0. Ends before the closing brace is taken. */
  #interval(): { least: number; most: number } {
    const invalid = "Invalid content of \\{\\}";
    let least = this.#number();
    if (least === "none") {
      if (!this.#atComma()) throw new ExpressionError(invalid);
      least = 0;
    }
    let most: number | "none" | "invalid" = "invalid";
    if (least !== "invalid") most = this.#token.kind === "}" ? least : this.#atComma() ? this.#number() : "invalid";
    if (least === "invalid" || most === "invalid") {
      throw new ExpressionError(this.#token.kind === "end" ? "Unmatched \\{" : invalid);
    }
    if (this.#token.kind !== "}" || (most !== "none" && least > most)) throw new ExpressionError(invalid);
    if ((most === "none" ? least : most) > mostRepeats) throw new ExpressionError("Regular expression too big");
    return { least, most: most === "none" ? Infinity : most };
  }

  #number(): number | "none" | "invalid" {
    let number: number | "none" | "invalid" = "none";
    for (;;) {
      this.#next(false);
      if (this.#token.kind === "end") return "invalid";
      if (this.#token.kind === "}" || this.#atComma()) return number;
      const digit = this.#token.kind === "octet" ? this.#token.octet - 48 : -1;
      if (digit < 0 || digit > 9 || number === "invalid") number = "invalid";
      else number = number === "none" ? digit : Math.min(mostRepeats + 1, number * 10 + digit);
    }
  }

  #atComma(): boolean {
    return this.#token.kind === "octet" && this.#token.octet === 44;
  }

  #octet(octet: number): Expression {
    const set = new Uint8Array(256);
    set[octet] = 1;
    return this.#setOf(set);
  }

  #setOf(set: Uint8Array): Expression {
    return { kind: "set", set: this.#flags.ignoreCase ? overUpperCase(set) : set };
  }

  /** `opening`: at the start, behind `(` or `|`, where a basic expression's `^` is an anchor and its `*` is none. */
  #next(opening: boolean): void {
    this.#token = this.#read(opening);
  }

  #read(opening: boolean): Token {
    const { extended, ignoreCase, newline } = this.#flags;
    const character = this.#source[this.#at];
    if (character === undefined) return { kind: "end" };
    if (character === "\\") return this.#readEscape();
    this.#at++;
    switch (character) {
      case ".": {
        const set = new Uint8Array(256).fill(1);
        if (newline) set[10] = 0;
        return { kind: "set", set };
      }
      case "[":
      case "*":
        return { kind: character };
      case "+":
      case "?":
      case "{":
      case "}":
      case "(":
      case ")":
      case "|":
        if (extended) return { kind: character };
        break;
      case "^":
        if (extended || opening || this.#at === 1) return { kind: "anchor", anchor: "lineStart" };
        break;
      case "$":
        if (extended || this.#dollarEnds()) return { kind: "anchor", anchor: "lineEnd" };
    }
    const octet = character.charCodeAt(0);
    return { kind: "octet", octet: ignoreCase ? upperCase(octet) : octet };
  }

  /** Whether a basic expression's `$` stands where it is an anchor. */
  #dollarEnds(): boolean {
    const rest = this.#source.slice(this.#at, this.#at + 2);
    return rest === "" || rest === "\\)" || rest === "\\|";
  }

  #readEscape(): Token {
    const { extended } = this.#flags;
    const character = this.#source[this.#at + 1];
    if (character === undefined) throw new ExpressionError("Trailing backslash");
    this.#at += 2;
    if (character >= "1" && character <= "9") return { kind: "backReference", index: Number(character) };
    const anchor = escapedAnchors[character];
    if (anchor !== undefined) return { kind: "anchor", anchor };
    switch (character) {
      case "w":
      case "W":
      case "s":
      case "S": {
        const set = character.toLowerCase() === "w" ? wordSet() : new Uint8Array(256);
        if (character.toLowerCase() === "s") addClass(set, "space", false);
        if (character < "a") invert(set);
        return { kind: "set", set };
      }
      case "(":
      case ")":
      case "{":
      case "}":
      case "|":
      case "+":
      case "?":
        if (!extended) return { kind: character };
    }
    // The library compares an escaped letter as it is with the text in upper case: a small one never matches.
    return { kind: "octet", octet: character.charCodeAt(0) };
  }
}

function anchorOf(anchor: Anchor | "wordEdge" | "noWordEdge"): Expression {
  if (anchor === "wordEdge") return choiceOf("wordStart", "wordEnd");
  if (anchor === "noWordEdge") return choiceOf("insideWord", "outsideWord");
  return { kind: "anchor", anchor };
}

function choiceOf(left: Anchor, right: Anchor): Expression {
  return { kind: "choice", left: { kind: "anchor", anchor: left }, right: { kind: "anchor", anchor: right } };
}
