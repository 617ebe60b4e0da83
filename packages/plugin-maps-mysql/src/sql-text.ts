/**
 * The query template as SQL: which of its quoted strings hold a substitution. Each of those becomes one bound parameter, so
 * that a key is data at the server and nothing else. Only strings can be bound; a substitution anywhere else is refused.
 */
import { ConfigError, type Template } from "@postern/core";

type Piece = Template["pieces"][number];

/** How the server reads strings: two words of its `sql_mode`. */
export interface SqlMode {
  /** `"…"` is a name, not a string. */
  readonly ansiQuotes: boolean;
  /** `\` in a string stands for itself. */
  readonly plainBackslashes: boolean;
}

export const defaultSqlMode: SqlMode = Object.freeze({ ansiQuotes: false, plainBackslashes: false });

/** SQL with `?` for each parameter. A parameter is the text of a string, fields within. */
export interface SqlText {
  readonly sql: string;
  readonly parameters: readonly (readonly Piece[])[];
}

/** One character of the template; a field stands as one. */
type Unit = string | Exclude<Piece, string>;

interface StringToken {
  readonly kind: "string";
  /** As written, without fields; only looked at when there are none. */
  readonly written: string;
  readonly content: readonly Piece[];
  readonly bound: boolean;
}

/** Blank: white space and comments, which do not part two strings. */
interface OtherToken {
  readonly kind: "code" | "blank";
  readonly written: string;
}

type Token = StringToken | OtherToken;

/** Escapes of a string (`\%` and `\_` keep their backslash: they belong to LIKE). */
const escapes: Readonly<Record<string, string>> = {
  "0": "\0",
  b: "\b",
  n: "\n",
  r: "\r",
  t: "\t",
  Z: "\x1a",
  "%": "\\%",
  _: "\\_",
};

/** What before a string makes it something that cannot be bound: `_utf8'…'`, `N'…'`, `X'…'`, `DATE '…'`. */
const introducer = /(?:^|[^\w$@.])(?:_[a-z0-9]+\s*|[nxb]|(?:date|time|timestamp)\s*)$/i;

/** Throws `ConfigError` for a substitution outside of a string, and for SQL that has no end. */
export function parseSql(template: Template, mode: SqlMode, label: string): SqlText {
  const units = template.pieces.flatMap((piece): Unit[] => (typeof piece === "string" ? piece.split("") : [piece]));
  const tokens = new Tokens(units, mode, (why) => new ConfigError(`table ${label}: query: ${why}`));
  return bind([...tokens.read()], (why) => new ConfigError(`table ${label}: query: ${why}`));
}

class Tokens {
  readonly #units: readonly Unit[];
  readonly #mode: SqlMode;
  readonly #mistake: (why: string) => ConfigError;
  #at = 0;

  constructor(units: readonly Unit[], mode: SqlMode, mistake: (why: string) => ConfigError) {
    this.#units = units;
    this.#mode = mode;
    this.#mistake = mistake;
  }

  *read(): Generator<Token> {
    while (this.#at < this.#units.length) yield this.#next();
  }

  #next(): Token {
    const unit = this.#units[this.#at] ?? "";
    const next = this.#units[this.#at + 1];
    if (unit === "'" || (unit === '"' && !this.#mode.ansiQuotes)) return this.#string(unit);
    if (unit === "`" || unit === '"') return this.#name(unit);
    if (unit === "#") return this.#comment("\n");
    if (unit === "-" && next === "-" && this.#isBlank(this.#units[this.#at + 2])) return this.#comment("\n");
    // What stands in `/*! … */` and `/*M! … */` is read by the server as SQL.
    if (unit === "/" && next === "*" && !this.#isExecutable()) return this.#comment("*/");
    this.#at += 1;
    if (typeof unit !== "string") {
      throw this.#mistake(
        `%${unit.field} stands outside of quotes, where no escaping makes it safe; write '%${unit.field}'`,
      );
    }
    if (unit === "?") throw this.#mistake('"?" stands outside of quotes');
    return { kind: /\s/.test(unit) ? "blank" : "code", written: unit };
  }

  /** What must stand behind `--`; the end will do. */
  #isBlank(unit: Unit | undefined): boolean {
    return unit === undefined || (typeof unit === "string" && unit <= " ");
  }

  #isExecutable(): boolean {
    const mark = this.#units[this.#at + 2];
    return mark === "!" || (mark === "M" && this.#units[this.#at + 3] === "!");
  }

  #string(quote: string): StringToken {
    const from = this.#at++;
    const content: Piece[] = [];
    let text = "";
    let bound = false;
    for (;;) {
      const unit = this.#take(`a string that begins with ${quote} has no end`);
      if (typeof unit !== "string") {
        if (text !== "") content.push(text);
        text = "";
        content.push(unit);
        bound = true;
      } else if (unit === quote) {
        if (this.#units[this.#at] !== quote) break;
        text += quote;
        this.#at += 1;
      } else if (unit === "\\" && !this.#mode.plainBackslashes) {
        const escaped = this.#take(`a string that begins with ${quote} has no end`);
        if (typeof escaped !== "string") throw this.#mistake(`a backslash stands before %${escaped.field}`);
        text += escapes[escaped] ?? escaped;
      } else text += unit;
    }
    if (text !== "") content.push(text);
    return { kind: "string", written: bound ? "" : this.#written(from), content, bound };
  }

  #name(quote: string): OtherToken {
    const from = this.#at++;
    for (;;) {
      const unit = this.#take(`a name that begins with ${quote} has no end`);
      if (typeof unit !== "string")
        throw this.#mistake(`%${unit.field} stands in a name; a name cannot come from a key`);
      if (unit === quote) break;
    }
    return { kind: "code", written: this.#written(from) };
  }

  #comment(end: "\n" | "*/"): OtherToken {
    const from = this.#at;
    this.#at += end === "\n" ? 1 : 2;
    while (this.#at < this.#units.length) {
      const unit = this.#units[this.#at++];
      if (typeof unit === "object") throw this.#mistake(`%${unit.field} stands in a comment`);
      if (end === "\n" ? unit === "\n" : unit === "*" && this.#units[this.#at] === "/") break;
    }
    if (end === "*/") this.#at += 1;
    return { kind: "blank", written: this.#written(from) };
  }

  #written(from: number): string {
    return this.#units
      .slice(from, this.#at)
      .filter((unit) => typeof unit === "string")
      .join("");
  }

  #take(without: string): Unit {
    const unit = this.#units[this.#at++];
    if (unit === undefined) throw this.#mistake(without);
    return unit;
  }
}

/** Strings with nothing but blanks between are one string to the server (`'a' 'b'`). */
function bind(tokens: readonly Token[], mistake: (why: string) => ConfigError): SqlText {
  const parameters: (readonly Piece[])[] = [];
  let sql = "";
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at];
    if (token === undefined) break;
    if (token.kind !== "string") {
      sql += token.written;
      continue;
    }
    const run: StringToken[] = [token];
    let last = at;
    for (let next = at + 1; next < tokens.length; next++) {
      const other = tokens[next];
      if (other === undefined || other.kind === "code") break;
      if (other.kind !== "string") continue;
      run.push(other);
      last = next;
    }
    if (run.some(({ bound }) => bound)) {
      if (introducer.test(sql)) {
        throw mistake(
          "a string with a substitution stands after a character set, N, X, B, DATE or TIME; write CONVERT('%s' USING …) or CAST('%s' AS …)",
        );
      }
      sql += "?";
      parameters.push(run.flatMap(({ content }) => content));
    } else
      sql += tokens
        .slice(at, last + 1)
        .map(({ written }) => written)
        .join("");
    at = last;
  }
  return { sql, parameters };
}
