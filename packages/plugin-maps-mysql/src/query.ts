/** The query of one table: parsed once when it opens, and again only for a server that reads strings in another way. */
import type { Template } from "@postern/core";
import { defaultSqlMode, parseSql, type SqlMode } from "./sql-text.ts";

export class BoundQuery {
  readonly sql: string;
  readonly #parameters: readonly ((key: string) => string | undefined)[];

  constructor(template: Template, mode: SqlMode, label: string) {
    const { sql, parameters } = parseSql(template, mode, label);
    this.sql = sql;
    this.#parameters = parameters.map((pieces) => {
      const [first] = pieces;
      if (pieces.length === 1 && typeof first === "object") return (key: string) => template.field(first.field, key);
      return (key: string) => {
        let text = "";
        for (const piece of pieces) {
          const part = typeof piece === "string" ? piece : template.field(piece.field, key);
          if (part === undefined) return undefined;
          text += part;
        }
        return text;
      };
    });
  }

  /** One string for each `?`; `undefined` when the key lacks a part that the query names: then nothing is asked. */
  values(key: string): string[] | undefined {
    const values: string[] = [];
    for (const parameter of this.#parameters) {
      const value = parameter(key);
      if (value === undefined) return undefined;
      values.push(value);
    }
    return values;
  }
}

export class Query {
  /** For a server with MySQL's own way, which nearly all have. */
  readonly usual: BoundQuery;
  readonly #template: Template;
  readonly #label: string;
  readonly #others = new Map<number, BoundQuery>();

  /** Throws `ConfigError` for a substitution that cannot be bound. */
  constructor(template: Template, label: string) {
    this.#template = template;
    this.#label = label;
    this.usual = new BoundQuery(template, defaultSqlMode, label);
  }

  /** Throws `ConfigError` as the constructor does. */
  under(mode: SqlMode): BoundQuery {
    const number = Number(mode.ansiQuotes) + 2 * Number(mode.plainBackslashes);
    if (number === 0) return this.usual;
    let query = this.#others.get(number);
    if (query === undefined) {
      query = new BoundQuery(this.#template, mode, this.#label);
      this.#others.set(number, query);
    }
    return query;
  }
}
