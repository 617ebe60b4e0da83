/**
 * The `domain` parameter, a match list without parent domains (string_list): names, `type:table`, `/file` with more of these,
 * `!` before any of them. The first that matches decides.
 */
import { readFile } from "node:fs/promises";
import { ConfigError } from "../../errors.ts";
import { isPromise, type MaybePromise } from "../../model/maybe-promise.ts";
import { foldKey } from "../fold.ts";
import { splitWords } from "../split-words.ts";
import type { LookupTable, TableScope } from "../table.ts";

/** Rejects with `TableUnavailable` when a table of the list could not be asked. */
export type DomainList = (domain: string) => MaybePromise<boolean>;

/** Names that stand together in the list, or one table. */
type Segment = Map<string, boolean> | { readonly table: LookupTable; readonly match: boolean };

/** Opens the list's tables. Throws `ConfigError` for what cannot be read or opened. */
export async function openDomainList(words: readonly string[], where: string, scope: TableScope): Promise<DomainList> {
  const segments: Segment[] = [];
  await addWords(segments, words, true, { where, scope, depth: 0 });
  return (domain) => matchFrom(segments, 0, foldKey(domain));
}

interface Source {
  readonly where: string;
  readonly scope: TableScope;
  readonly depth: number;
}

/** Files name files; one that names itself would never end. */
const deepest = 10;

async function addWords(segments: Segment[], words: readonly string[], wanted: boolean, source: Source): Promise<void> {
  for (const word of words) {
    if (word.startsWith("#")) {
      source.scope.warn(`${source.where}: a comment at the end of a line is not supported: ${word}`);
      return;
    }
    const item = word.replace(/^!+/, "");
    const match = (word.length - item.length) % 2 === 0 ? wanted : !wanted;
    if (item === "") throw new ConfigError(`${source.where}: no pattern after "!"`);
    if (item.startsWith("/")) await addFile(segments, item, match, source);
    else if (!item.startsWith("[") && item.includes(":")) {
      segments.push({ table: await source.scope.open(item), match });
    } else addName(segments, foldKey(item), match);
  }
}

async function addFile(segments: Segment[], path: string, match: boolean, source: Source): Promise<void> {
  if (source.depth === deepest) throw new ConfigError(`${source.where}: more than ${deepest} files inside each other`);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new ConfigError(`${source.where}: ${path} cannot be read (${code})`, { cause: error });
  }
  const inside = { ...source, where: path, depth: source.depth + 1 };
  for (const line of text.split("\n")) {
    if (!line.startsWith("#")) await addWords(segments, splitWords(line), match, inside);
  }
}

function addName(segments: Segment[], name: string, match: boolean): void {
  let names = segments.at(-1);
  if (!(names instanceof Map)) {
    names = new Map<string, boolean>();
    segments.push(names);
  }
  if (!names.has(name)) names.set(name, match);
}

function matchFrom(segments: readonly Segment[], first: number, domain: string): MaybePromise<boolean> {
  for (let at = first; at < segments.length; at++) {
    const segment = segments[at];
    if (segment === undefined) break;
    if (segment instanceof Map) {
      const match = segment.get(domain);
      if (match !== undefined) return match;
      continue;
    }
    const value = segment.table.lookup(domain);
    if (isPromise(value)) {
      return value.then((late) => (late === undefined ? matchFrom(segments, at + 1, domain) : segment.match));
    }
    if (value !== undefined) return segment.match;
  }
  return false;
}
