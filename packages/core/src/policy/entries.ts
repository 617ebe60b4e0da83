/**
 * A list as it is written, read into words with their arguments: words separated by white space and commas, `{ }` for
 * arguments with spaces, or arrays `[word, …args]`. Knows how many arguments a word takes and nothing else of it.
 */
import { didYouMean } from "../config/nearest.ts";
import { ConfigError } from "../errors.ts";
import { isGrouped, isTableName, splitWords, withoutBraces } from "../tables/index.ts";
import { packageOf } from "./known-words.ts";
import type { PolicyEntry } from "./restriction.ts";
import { isLanguageWord, type LanguageWord, type RegisteredWord, type Vocabulary } from "./vocabulary.ts";

interface EntryPlace {
  /** `policy.rcpt[2]`. */
  readonly path: string;
  /** warn_if_reject stands before it. */
  readonly warn: boolean;
}

export type ParsedEntry = EntryPlace &
  (
    | { readonly kind: "word"; readonly name: string; readonly word: RegisteredWord; readonly args: readonly unknown[] }
    | { readonly kind: "class"; readonly name: string }
    | { readonly kind: "language"; readonly name: Exclude<LanguageWord, "warn_if_reject"> }
  );

export interface EntryNames {
  readonly vocabulary: Vocabulary;
  readonly classes: ReadonlySet<string>;
}

/** Throws `ConfigError` that begins with the entry's path. */
export function parseEntries(entries: readonly PolicyEntry[], path: string, names: EntryNames): ParsedEntry[] {
  return entries.flatMap((entry, index) => parseEntry(entry, `${path}[${index}]`, names));
}

/** One entry, which as a string may hold several words. */
export function parseEntry(entry: PolicyEntry, path: string, names: EntryNames): ParsedEntry[] {
  try {
    return typeof entry === "string" ? parseText(entry, path, names) : parseArray(entry, path, names);
  } catch (error) {
    if (error instanceof ConfigError && !error.message.startsWith(path))
      throw new ConfigError(`${path}: ${error.message}`);
    throw error;
  }
}

function parseText(text: string, path: string, names: EntryNames): ParsedEntry[] {
  const tokens = splitWords(text);
  if (tokens.length === 0) throw new ConfigError("empty entry");
  const parsed: ParsedEntry[] = [];
  let warn = false;
  for (let at = 0; at < tokens.length;) {
    const name = tokens[at++] as string;
    if (name.toLowerCase() === "warn_if_reject") {
      warn = true;
      continue;
    }
    const word = isGrouped(name) ? undefined : lookUp(name, names, parsed.at(-1));
    if (word === undefined) {
      // `{ word argument }` where a word is expected is the words themselves; as an argument it stays together.
      const group = parseText(withoutBraces(name), path, names);
      parsed.push(...group.map((entry) => (warn ? { ...entry, warn } : entry)));
    } else if (word.kind !== "word") {
      parsed.push({ ...word, path, warn });
    } else {
      const { least, most } = word.word.arity;
      const args: string[] = [];
      while (args.length < most && at < tokens.length) {
        const next = tokens[at] as string;
        if (args.length >= least && isWord(next, names)) break;
        args.push(withoutBraces(next));
        at++;
      }
      parsed.push({ ...word, args, path, warn });
    }
    warn = false;
  }
  if (warn) throw new ConfigError('"warn_if_reject" needs a word after it');
  return parsed;
}

function parseArray(entry: readonly [string, ...unknown[]], path: string, names: EntryNames): ParsedEntry[] {
  const [name, ...args] = entry;
  if (typeof name !== "string") throw new ConfigError("an entry is a word, or a list of a word and its arguments");
  if (name.toLowerCase() === "warn_if_reject") {
    const [next, ...rest] = args;
    if (typeof next !== "string") throw new ConfigError('"warn_if_reject" needs a word after it');
    return parseArray([next, ...rest], path, names).map((parsed) => ({ ...parsed, warn: true }));
  }
  const word = lookUp(name, names);
  if (word.kind === "word") return [{ ...word, args, path, warn: false }];
  if (args.length > 0) throw new ConfigError(`"${name}" takes no arguments`);
  return [{ ...word, path, warn: false }];
}

type Named =
  | { readonly kind: "word"; readonly name: string; readonly word: RegisteredWord }
  | { readonly kind: "class"; readonly name: string }
  | { readonly kind: "language"; readonly name: Exclude<LanguageWord, "warn_if_reject"> };

function isWord(name: string, { vocabulary, classes }: EntryNames): boolean {
  return isLanguageWord(name.toLowerCase()) || classes.has(name) || vocabulary.get(name) !== undefined;
}

/** `before`: what stands before it in the same text, and may have been given an argument too many. */
function lookUp(name: string, { vocabulary, classes }: EntryNames, before?: ParsedEntry): Named {
  const lower = name.toLowerCase();
  if (isLanguageWord(lower) && lower !== "warn_if_reject") return { kind: "language", name: lower };
  if (classes.has(name)) return { kind: "class", name };
  const word = vocabulary.get(lower);
  if (word !== undefined) return { kind: "word", name: lower, word };
  const unknown = unknownWord(name, lower, vocabulary, classes);
  const hint = unknown === `unknown word "${name}"` && before !== undefined ? `; ${tooMany(before)}` : "";
  throw new ConfigError(unknown + hint);
}

function tooMany(before: ParsedEntry): string {
  const most = before.kind === "word" ? before.word.arity.most : 0;
  return `"${before.name}" before it takes ${most === 0 ? "no" : `at most ${most}`} argument${most === 1 ? "" : "s"}`;
}

function unknownWord(name: string, lower: string, vocabulary: Vocabulary, classes: ReadonlySet<string>): string {
  if (isTableName(name)) {
    return `"${name}" is a table where a word is expected; write a word such as "check_client_access" before it`;
  }
  const owner = packageOf(lower);
  if (owner !== undefined) return `unknown word "${name}"; it comes with ${owner}, which is not in "plugins"`;
  return `unknown word "${name}"${didYouMean(name, [...vocabulary.names(), ...classes])}`;
}
