/**
 * Templates of database tables: `%s %u %d %S %U %D %1`…`%9 %%`, with the rules by which a key that lacks a part is not asked for
 * at all (db_common_parse, db_common_expand).
 */
import { ConfigError } from "../../errors.ts";

/** `s u d S U D 1 … 9` */
export interface TemplateField {
  readonly field: string;
}

export interface Template {
  readonly text: string;
  /** Literal text, `%%` already one `%`, and the fields between. */
  readonly pieces: readonly (string | TemplateField)[];
  /** `undefined`: the key lacks a part that the template names, which is the same as not found. `quote` escapes each part. */
  expand(key: string, quote?: (part: string) => string): string | undefined;
  /** The part of a key that a field stands for, `undefined` when the key lacks it. */
  field(field: string, key: string): string | undefined;
}

/** A `result_format`: lower-case fields are parts of the value, the others of the key. */
export interface ResultTemplate {
  readonly text: string;
  /** Whether the key has all parts that the template wants of it; when not, the database need not be asked. */
  fits(key: string): boolean;
  /** `undefined`: this value is left out. */
  expand(value: string, key: string): string | undefined;
}

const fieldForm = /^[sudSUD1-9]$/;
const fieldOfValue = /^[sud]$/;

/** Throws `ConfigError` for an unknown `%x` and a lone `%` at the end. */
export function parseTemplate(text: string, label: string): Template {
  const pieces = splitTemplate(text, label, "query");
  return Object.freeze({
    text,
    pieces,
    field: partOf,
    expand(key: string, quote?: (part: string) => string): string | undefined {
      if (key === "") return undefined;
      let expanded = "";
      for (const piece of pieces) {
        if (typeof piece === "string") {
          expanded += piece;
          continue;
        }
        const part = partOf(piece.field, key);
        if (part === undefined) return undefined;
        expanded += quote === undefined ? part : quote(part);
      }
      return expanded;
    },
  });
}

/** Throws `ConfigError` as `parseTemplate` does. */
export function parseResultTemplate(text: string, label: string): ResultTemplate {
  const pieces = splitTemplate(text, label, "result");
  const ofKey = pieces.flatMap((piece) =>
    typeof piece === "string" || fieldOfValue.test(piece.field) ? [] : [piece.field],
  );
  return Object.freeze({
    text,
    fits: (key: string) => ofKey.every((field) => partOf(field, key) !== undefined),
    expand(value: string, key: string): string | undefined {
      if (value === "") return undefined;
      let expanded = "";
      for (const piece of pieces) {
        const part =
          typeof piece === "string" ? piece : partOf(piece.field, fieldOfValue.test(piece.field) ? value : key);
        if (part === undefined) return undefined;
        expanded += part;
      }
      return expanded;
    },
  });
}

function splitTemplate(text: string, label: string, kind: "query" | "result"): readonly (string | TemplateField)[] {
  const pieces: (string | TemplateField)[] = [];
  let literal = "";
  let from = 0;
  for (let at = text.indexOf("%"); at >= 0; at = text.indexOf("%", from)) {
    const letter = text.charAt(at + 1);
    literal += text.slice(from, at);
    from = at + 2;
    if (letter === "%") {
      literal += "%";
      continue;
    }
    if (!fieldForm.test(letter)) {
      throw new ConfigError(
        `table ${label}: "%${letter}" is unknown in the ${kind} template "${text}"; known are %s %u %d %S %U %D %1 to %9 and %%`,
      );
    }
    if (literal !== "") pieces.push(literal);
    literal = "";
    pieces.push(Object.freeze({ field: letter }));
  }
  literal += text.slice(from);
  if (literal !== "") pieces.push(literal);
  return Object.freeze(pieces);
}

/** A key is split at its last `@`. */
function partOf(field: string, key: string): string | undefined {
  if (field === "s" || field === "S") return key === "" ? undefined : key;
  const at = key.lastIndexOf("@");
  if (field === "u" || field === "U") {
    if (at < 0) return key === "" ? undefined : key;
    return at === 0 ? undefined : key.slice(0, at);
  }
  if (at < 0 || at === key.length - 1) return undefined;
  const domain = key.slice(at + 1);
  return field === "d" || field === "D" ? domain : labelOf(domain, Number(field));
}

/** The `count`-th label from the right; empty ones do not count, as argv_split() leaves them out. */
function labelOf(domain: string, count: number): string | undefined {
  return domain
    .split(".")
    .filter((label) => label !== "")
    .at(-count);
}
