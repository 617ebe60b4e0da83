/**
 * Match lists (match_list.c): literals, `/file/name` whose words stand in its place, tables in which only existence counts, `!` before
 * any of them for "not". The first item that matches decides. What the items of a list mean is its flavour's to say.
 */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { MatchItem, MatchItems } from "../config/match-items.ts";
import { ConfigError } from "../errors.ts";
import { after, isPromise, type MaybePromise } from "../model/maybe-promise.ts";
import { findInTurns, type Match } from "./find.ts";
import { isTableName } from "./table-spec.ts";
import type { SearchTurn } from "./search-order.ts";
import { splitWords } from "./split-words.ts";
import type { LookupTable, TableSpec } from "./table.ts";

export type { MatchItem, MatchItems } from "../config/match-items.ts";

export interface MatchListScope {
  /** Where the list stands in the config, for errors: `domains.relay`. */
  readonly path: string;
  /** Relative file names resolve from here. */
  readonly directory: string;
  readonly openTable: (spec: TableSpec) => Promise<LookupTable>;
}

export interface MatchFlavour<Question> {
  /** A literal, although it looks like `type:name`. */
  looksLiteral?(text: string): boolean;
  /** Does any of the literals match? Throws `ConfigError` for what is none; `fault` makes it. */
  compile(
    literals: readonly string[],
    fault: (literal: string, why: string) => ConfigError,
  ): (asked: Question) => boolean;
  /** The keys to ask a table. */
  turns(asked: Question): readonly SearchTurn[];
}

export interface MatchList<Question> {
  /** Throws `TableUnavailable` when it depends on a table that cannot be asked: that is neither yes nor no. */
  matches(asked: Question): MaybePromise<boolean>;
  /** What is written plainly and without `!`. */
  readonly literals: readonly string[];
  readonly tables: readonly LookupTable[];
}

/** One or more items of the same sign. */
interface Segment<Question> {
  readonly match: boolean;
  test(asked: Question): MaybePromise<boolean>;
}

type Item =
  | { readonly match: boolean; readonly place: string; readonly literal: string }
  | { readonly match: boolean; readonly place: string; readonly table: LookupTable };

const deepestFile = 8;

/** Opens the tables and reads the files. Throws `ConfigError` that names the item, and in a file its line. */
export async function openMatchList<Question>(
  items: MatchItems,
  flavour: MatchFlavour<Question>,
  scope: MatchListScope,
): Promise<MatchList<Question>> {
  const read: Item[] = [];
  const list = isList(items) ? items : [items];
  for (const [index, item] of list.entries()) {
    const place = isList(items) ? `${scope.path}[${index}]` : scope.path;
    for await (const known of readItem(item, true, place, 0)) read.push(known);
  }
  const segments = compileSegments(read, flavour);

  function from(start: number, asked: Question): MaybePromise<boolean> {
    for (let at = start; at < segments.length; at++) {
      const segment = segments[at] as Segment<Question>;
      const hit = segment.test(asked);
      if (isPromise(hit)) return hit.then((late) => (late ? segment.match : from(at + 1, asked)));
      if (hit) return segment.match;
    }
    return false;
  }

  return Object.freeze({
    matches: (asked: Question) => from(0, asked),
    literals: read.flatMap((item) => ("literal" in item && item.match ? [item.literal] : [])),
    tables: read.flatMap((item) => ("table" in item ? [item.table] : [])),
  });

  async function* readItem(written: MatchItem, sign: boolean, place: string, depth: number): AsyncGenerator<Item> {
    if (typeof written !== "string") {
      yield { match: sign, place, table: await openAt(place, written) };
      return;
    }
    const text = written.trim().replace(/^[!\s]+/, "");
    const match = isNegated(written) ? !sign : sign;
    if (text === "") throw new ConfigError(`${place}: "${written}" names nothing`);
    if (/^\.{0,2}\//.test(text)) yield* readFileItems(resolve(scope.directory, text), match, place, depth + 1);
    else if (isTableName(text) && flavour.looksLiteral?.(text) !== true) {
      yield { match, place, table: await openAt(place, text) };
    } else yield { match, place, literal: text };
  }

  async function* readFileItems(path: string, sign: boolean, place: string, depth: number): AsyncGenerator<Item> {
    if (depth > deepestFile)
      throw new ConfigError(`${place}: ${path}: files name each other, more than ${deepestFile} deep`);
    // Physical lines: a list has no continuations, and may be indented.
    const lines = (await readOctets(path, place)).toString("utf8").split("\n");
    for (const [at, text] of lines.entries()) {
      if (/^\s*#/.test(text)) continue;
      for (const word of splitWords(text)) yield* readItem(word, sign, `${place}: ${path}, line ${at + 1}`, depth);
    }
  }

  async function openAt(place: string, spec: TableSpec): Promise<LookupTable> {
    try {
      return await scope.openTable(spec);
    } catch (error) {
      if (error instanceof ConfigError) throw new ConfigError(`${place}: ${error.message}`, { cause: error });
      throw error;
    }
  }
}

export function isList(items: MatchItems): items is readonly MatchItem[] {
  return Array.isArray(items);
}

/** `!!x` is x. */
function isNegated(written: string): boolean {
  const signs = /^[!\s]*/.exec(written)?.[0] ?? "";
  return signs.replaceAll(/\s/g, "").length % 2 === 1;
}

async function readOctets(path: string, place: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === "ENOENT" ? "there is no such file" : `it cannot be read (${code})`;
    throw new ConfigError(`${place}: ${path}: ${why}`, { cause: error });
  }
}

/** Neighbours of the same sign need no order among themselves: all their literals are one set. */
function compileSegments<Question>(items: readonly Item[], flavour: MatchFlavour<Question>): Segment<Question>[] {
  const segments: Segment<Question>[] = [];
  for (let at = 0; at < items.length;) {
    const item = items[at] as Item;
    if ("table" in item) {
      segments.push({
        match: item.match,
        test: (asked) => after(findInTurns([item.table], flavour.turns(asked)), isFound),
      });
      at++;
      continue;
    }
    const places = new Map<string, string>();
    for (; at < items.length; at++) {
      const next = items[at] as Item;
      if ("table" in next || next.match !== item.match) break;
      places.set(next.literal, next.place);
    }
    const test = flavour.compile(
      [...places.keys()],
      (literal, why) => new ConfigError(`${places.get(literal) ?? ""}: "${literal}" ${why}`),
    );
    segments.push({ match: item.match, test });
  }
  return segments;
}

const isFound = (match: Match | undefined): boolean => match !== undefined;
