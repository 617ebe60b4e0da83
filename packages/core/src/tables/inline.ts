/** `inline:{ key=value, { key = text with spaces } }`, and the config's inline objects. */
import { ConfigError } from "../errors.ts";
import { createMemoryTable, EntryMap } from "./memory-table.ts";
import { isGrouped, splitWords, withoutBraces } from "./split-words.ts";
import { refuseParameters } from "./table-object.ts";
import type { LookupTable, TableType } from "./table.ts";
import type { TableWarning } from "./table-file.ts";

export function createInline(warn: TableWarning): TableType {
  return {
    type: "inline",
    description: "Keys and values written in the config itself.",
    open(name, _scope, parameters) {
      refuseParameters(`inline:${name}`, parameters);
      const fail = (why: string) => new ConfigError(`table inline:${name}: ${why}; write inline:{ key=value, … }`);
      if (!isGrouped(name)) throw fail("its entries stand in braces");
      const entries = new EntryMap();
      for (const word of splitWords(withoutBraces(name))) {
        const { key, value } = splitPair(word, fail);
        if (!entries.replace({ key, value })) warn(`table inline:${name}: duplicate entry: "${key}"; the last stands`);
      }
      if (entries.size === 0) throw fail("it has no entries");
      return createMemoryTable("inline", name, entries);
    },
  };
}

/** `key=value`; inside `{ }` blanks round the equals sign do not count. A key with `=` or blanks stands in quotes. */
function splitPair(word: string, fail: (why: string) => ConfigError): { key: string; value: string } {
  const grouped = isGrouped(word);
  if (word.startsWith("{") && !grouped) throw fail(`something stands after the "}" of "${word}"`);
  const text = withoutBraces(word);
  const end = endOfName(text);
  const equals = text.slice(end).search(/[^ \t\r\n]/) + end;
  if (end < 0 || text[equals] !== "=") throw fail(`missing "=" in "${text}"`);
  const key = text.slice(0, end);
  const value = grouped ? text.slice(equals + 1).trim() : text.slice(equals + 1);
  if (key === "") throw fail(`missing key in "${text}"`);
  if (value === "") throw fail(`missing value in "${text}"`);
  return { key, value };
}

/** At the first blank or equals sign outside of quotes; -1 when there is none. */
function endOfName(text: string): number {
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === "\\") at++;
    else if (character === '"') quoted = !quoted;
    else if (!quoted && /[= \t\r\n]/.test(character)) return at;
  }
  return -1;
}

/** The config's inline object, named in logs by its first keys. */
export function openObject(object: Readonly<Record<string, string>>, warn: TableWarning): LookupTable {
  const entries = new EntryMap();
  for (const [key, value] of Object.entries(object)) {
    if (typeof value !== "string") throw new ConfigError(`inline table: the value of "${key}" is no string`);
    if (key === "") throw new ConfigError("inline table: a key is empty");
    if (!entries.replace({ key, value })) warn(`inline table: duplicate entry: "${key}"; the last stands`);
  }
  const keys = Object.keys(object);
  return createMemoryTable("inline", `{${keys.slice(0, 3).join(",")}${keys.length > 3 ? ",…" : ""}}`, entries);
}
