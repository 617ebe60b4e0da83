/**
 * The query template as SQL of PostgreSQL or SQLite. A quoted string that holds substitutions becomes one bound parameter, and so does
 * a substitution that stands alone: a key is data at the database and nothing else.
 */
import { ConfigError, parseTemplate, type Template } from "@postern/core";

type Piece = Template["pieces"][number];
type Field = Exclude<Piece, string>;
/** One character of the template; a field stands as one. */
type Unit = string | Field;

export interface SqlDialect {
  /** Of the parameter with this number, counted from 1. */
  placeholder(number: number): string;
  /** `"…"` with a substitution is a string, as SQLite takes it when no column has that name; else a name, which cannot be bound. */
  readonly doubleQuotedStrings: boolean;
  /** `E'…'` and `$tag$…$tag$`. */
  readonly postgresStrings: boolean;
}

export interface SqlTemplate {
  readonly sql: string;
  /** A value for each placeholder; `undefined`: the key lacks a part that the query names, which is the same as not found. */
  values(key: string): string[] | undefined;
}

/** Throws `ConfigError` for a substitution where none can be bound, and for a string without end. */
export function parseSqlTemplate(text: string, dialect: SqlDialect, label: string): SqlTemplate {
  const template = parseTemplate(text, label);
  const { sql, parameters } = new SqlReader(template.pieces, dialect, label).read();
  // In a comment a field is not sent, but a key without it is not asked for.
  const fields = [...new Set(template.pieces.flatMap((piece) => (typeof piece === "string" ? [] : [piece.field])))];
  return Object.freeze({
    sql,
    values(key: string): string[] | undefined {
      if (key === "") return undefined;
      const parts = new Map<string, string>();
      for (const field of fields) {
        const part = template.field(field, key);
        if (part === undefined) return undefined;
        parts.set(field, part);
      }
      return parameters.map((pieces) =>
        pieces.map((piece) => (typeof piece === "string" ? piece : (parts.get(piece.field) ?? ""))).join(""),
      );
    },
  });
}

/** `E'\n'`; any other character stands for itself. */
const escapes: Readonly<Record<string, string>> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };
const wordCharacter = /[\w$\u0080-\uffff]/;

class SqlReader {
  readonly #units: readonly Unit[];
  readonly #dialect: SqlDialect;
  readonly #label: string;
  readonly #parameters: (readonly Piece[])[] = [];
  #sql = "";
  #at = 0;

  constructor(pieces: readonly Piece[], dialect: SqlDialect, label: string) {
    this.#units = pieces.flatMap((piece): Unit[] => (typeof piece === "string" ? Array.from(piece) : [piece]));
    this.#dialect = dialect;
    this.#label = label;
  }

  read(): { readonly sql: string; readonly parameters: readonly (readonly Piece[])[] } {
    while (this.#at < this.#units.length) this.#readOne();
    return { sql: this.#sql, parameters: this.#parameters };
  }

  #readOne(): void {
    const unit = this.#units[this.#at] ?? "";
    const next = this.#units[this.#at + 1];
    if (typeof unit === "object") {
      this.#at += 1;
      this.#bind([unit]);
    } else if (unit === "'") this.#string("'");
    else if (unit === '"' && this.#dialect.doubleQuotedStrings) this.#string('"');
    else if (unit === '"' || unit === "`") this.#name(unit);
    else if (unit === "-" && next === "-") this.#comment("\n");
    else if (unit === "/" && next === "*") this.#comment("*/");
    else if (unit === "$" && this.#dialect.postgresStrings) this.#dollar();
    else {
      this.#sql += unit;
      this.#at += 1;
    }
  }

  #bind(pieces: readonly Piece[]): void {
    this.#parameters.push(pieces);
    this.#sql += this.#dialect.placeholder(this.#parameters.length);
  }

  /** The letters right before a string: `E`, `N`, `X`, `U&`. */
  #prefix(): string {
    return /(?:^|[^\w$])([a-z]|u&)$/i.exec(this.#sql)?.[1]?.toUpperCase() ?? "";
  }

  #string(quote: string): void {
    const from = this.#at++;
    const prefix = quote === "'" ? this.#prefix() : "";
    const escaped = prefix === "E" && this.#dialect.postgresStrings;
    const content: Piece[] = [];
    let text = "";
    for (;;) {
      const unit = this.#take(`a string that begins with ${quote} has no end`);
      if (typeof unit === "object") {
        content.push(text, unit);
        text = "";
      } else if (unit === quote) {
        if (this.#units[this.#at] !== quote) break;
        text += quote;
        this.#at += 1;
      } else if (unit === "\\" && escaped) {
        const letter = this.#take("a string has no end");
        text += typeof letter === "string" ? `\\${letter}` : this.#refuse(letter, "behind a backslash");
      } else text += unit;
    }
    if (content.length === 0) {
      this.#sql += writtenOf(this.#units.slice(from, this.#at));
      return;
    }
    content.push(text);
    if (prefix !== "" && !escaped) throw this.#mistake(`a string with a substitution cannot stand behind ${prefix}`);
    if (escaped) this.#sql = this.#sql.slice(0, -1);
    const pieces = escaped
      ? content.map((piece) => (typeof piece === "string" ? this.#unescape(piece) : piece))
      : content;
    this.#bind(pieces.filter((piece) => piece !== ""));
  }

  #unescape(text: string): string {
    return text.replace(/\\([^])/g, (_, letter: string) => {
      if (/[0-7xuU]/.test(letter)) throw this.#mistake(`\\${letter} beside a substitution is not understood`);
      return escapes[letter] ?? letter;
    });
  }

  #name(quote: string): void {
    const from = this.#at++;
    for (;;) {
      const unit = this.#take(`a name that begins with ${quote} has no end`);
      if (typeof unit === "object") this.#refuse(unit, "in a name, and a name cannot come from a key");
      if (unit === quote) break;
    }
    this.#sql += writtenOf(this.#units.slice(from, this.#at));
  }

  /** A comment is not sent. PostgreSQL's nest, SQLite's do not. */
  #comment(end: "\n" | "*/"): void {
    const nested = this.#dialect.postgresStrings;
    let depth = 0;
    while (this.#at < this.#units.length) {
      const unit = this.#units[this.#at++];
      if (end === "\n") {
        if (unit === "\n") break;
      } else if (unit === "/" && this.#units[this.#at] === "*" && (nested || depth === 0)) {
        this.#at += 1;
        depth += 1;
      } else if (unit === "*" && this.#units[this.#at] === "/") {
        this.#at += 1;
        if (--depth === 0) break;
      }
    }
    this.#sql += " ";
  }

  /** `$tag$ … $tag$`, where nothing is an escape. */
  #dollar(): void {
    const rest = this.#units.slice(this.#at).map((unit) => (typeof unit === "string" ? unit : "\0"));
    const tag = wordCharacter.test(this.#sql.at(-1) ?? "")
      ? null
      : /^\$(?:[a-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/i.exec(rest.join(""));
    if (tag === null) {
      this.#sql += "$";
      this.#at += 1;
      return;
    }
    const mark = Array.from(tag[0]);
    let end = mark.length;
    while (end < rest.length && !mark.every((character, index) => rest[end + index] === character)) end++;
    if (end >= rest.length) throw this.#mistake(`a string that begins with ${tag[0]} has no end`);
    const content = this.#units.slice(this.#at + mark.length, this.#at + end);
    if (content.some((unit) => typeof unit === "object")) this.#bind(content);
    else this.#sql += tag[0] + writtenOf(content) + tag[0];
    this.#at += end + mark.length;
  }

  #take(without: string): Unit {
    const unit = this.#units[this.#at++];
    if (unit === undefined) throw this.#mistake(without);
    return unit;
  }

  #refuse({ field }: Field, where: string): never {
    throw this.#mistake(`%${field} stands ${where}`);
  }

  #mistake(why: string): ConfigError {
    return new ConfigError(`table ${this.#label}: query: ${why}`);
  }
}

/** Units among which no field is. */
function writtenOf(units: readonly Unit[]): string {
  return units.filter((unit) => typeof unit === "string").join("");
}
