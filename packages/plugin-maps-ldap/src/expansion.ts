/**
 * From entries to values: terminal, leaf, ordinary and special attributes (dict_ldap_get_values). A special attribute holds names
 * or URLs of further entries, which are searched for in turn; the order of values is the one of a walk into depth.
 */
import type { Entry, Search, SearchResult } from "./connection.ts";
import { parseFilter } from "./filter.ts";
import type { ResultAttributes } from "./settings.ts";
import { noSuchObject, statusName, success } from "./status.ts";
import { isLdapUrl, parseLdapUrl } from "./url.ts";

/** The directory answers, but this key has no answer within the limits. */
export class NoExpansion extends Error {}

/** The server refused a search, by its result code. */
export class SearchRefused extends Error {
  readonly status: number;

  constructor(base: string, { status, message }: SearchResult) {
    super(`search below "${base}": ${statusName(status)} ${message}`.trimEnd());
    this.status = status;
  }
}

export interface ExpansionLimits {
  /** Levels of searches, the first one counts. */
  readonly recursion: number;
  /** Entries of one search; 0: as many as there are. */
  readonly size: number;
}

export type Ask = (search: Search) => Promise<SearchResult>;

/** Entries walked over for one key, however often one is met. Postfix has no such limit, and a group within groups no end. */
const mostSteps = 100_000;

/** Octets of all values of one key. */
const mostOctets = 16 * 1024 * 1024;

/** Members of one group that are asked for at once. */
const ahead = 16;

const everything = parseFilter("(objectClass=*)");

export class Expansion {
  readonly #ask: Ask;
  readonly #limits: ExpansionLimits;
  readonly #attributes: ResultAttributes;
  readonly #names: readonly string[];
  /** Searches of this key: what is met twice is asked for once, and so a group that is its own member reaches its limit without a search more. */
  readonly #asked = new Map<string, Promise<SearchResult>>();
  readonly #values: string[] = [];
  #steps = 0;
  #octets = 0;

  constructor(ask: Ask, attributes: ResultAttributes, limits: ExpansionLimits) {
    this.#ask = ask;
    this.#limits = limits;
    this.#attributes = attributes;
    const { terminal, leaf, ordinary, special } = attributes;
    this.#names = [...terminal, ...leaf, ...ordinary, ...special];
  }

  /** The values that follow from what the first search found. Rejects with `NoExpansion`, `SearchRefused`, and what `ask` rejects with. */
  async run(found: SearchResult): Promise<readonly string[]> {
    await this.#walk(found, 1);
    return this.#values;
  }

  async #walk(found: SearchResult, depth: number): Promise<void> {
    const { size } = this.#limits;
    if (size > 0 && found.entries.length > size) throw new NoExpansion(`more than size_limit = ${size} entries`);
    for (const entry of found.entries) await this.#walkEntry(entry, depth);
  }

  async #walkEntry(entry: Entry, depth: number): Promise<void> {
    if (++this.#steps > mostSteps) throw new NoExpansion(`more than ${mostSteps} entries for one key`);
    const { terminal, leaf, ordinary, special } = this.#attributes;
    const isTerminal = terminal.some((name) => hasValues(entry, name));
    const isLeaf = isTerminal || leaf.length === 0 || !special.some((name) => hasValues(entry, name));
    const firstSpecial = terminal.length + leaf.length + ordinary.length;
    for (const { name, values } of entry.attributes) {
      if (values.length === 0) continue;
      const at = this.#names.findIndex((wanted) => covers(wanted, name));
      if (at < 0) continue;
      if (isTerminal) {
        if (at < terminal.length) this.#add(values);
      } else if (at < firstSpecial) {
        if (isLeaf || at >= terminal.length + leaf.length) this.#add(values);
      } else {
        if (depth >= this.#limits.recursion) throw new NoExpansion(`recursion limit exceeded at ${name}`);
        await this.#follow(values, depth);
      }
    }
  }

  #add(values: readonly Buffer[]): void {
    for (const value of values) {
      this.#octets += value.length;
      if (this.#octets > mostOctets) throw new NoExpansion(`values of more than ${mostOctets} octets`);
      this.#values.push(readValue(value));
    }
  }

  /** Into each name or URL, in their order; the next few are asked for meanwhile. */
  async #follow(values: readonly Buffer[], depth: number): Promise<void> {
    const searches = values.flatMap((value) => this.#toSearch(readValue(value)) ?? []);
    for (const [index, { search, key }] of searches.entries()) {
      for (const next of searches.slice(index, index + ahead)) void this.#start(next.key, next.search);
      const found = await this.#start(key, search);
      if (found.status === noSuchObject) continue;
      if (found.status !== success) throw new SearchRefused(search.base, found);
      await this.#walk(found, depth + 1);
    }
  }

  #start(key: string, search: Search): Promise<SearchResult> {
    let found = this.#asked.get(key);
    if (found === undefined) {
      found = this.#ask(search);
      this.#asked.set(key, found);
      // Whoever comes to it hears of the failure; nobody may come.
      found.catch(() => {});
    }
    return found;
  }

  /** `undefined`: a URL that asks for nothing of what the table wants. Throws `NoExpansion` for a wrong URL. */
  #toSearch(value: string): { readonly key: string; readonly search: Search } | undefined {
    const sizeLimit = this.#limits.size;
    if (!isLdapUrl(value)) {
      const search: Search = { base: value, scope: "base", filter: everything, attributes: this.#names, sizeLimit };
      return { key: `name ${value}`, search };
    }
    try {
      const { base, scope, filter, attributes } = parseLdapUrl(value);
      const wanted = attributes.length === 0 ? this.#names : this.#select(attributes);
      if (wanted.length === 0) return undefined;
      return { key: value, search: { base, scope, filter: parseFilter(filter), attributes: wanted, sizeLimit } };
    } catch (error) {
      if (error instanceof SyntaxError) throw new NoExpansion(`wrong LDAP URL: ${error.message}`);
      throw error;
    }
  }

  /** What both the URL and the table name; where one has options, that one. */
  #select(attributes: readonly string[]): string[] {
    return attributes.flatMap((asked) =>
      this.#names.flatMap((wanted) => {
        if (covers(asked, wanted)) return [wanted];
        return covers(wanted, asked) ? [asked] : [];
      }),
    );
  }
}

/** The same attribute, or one of its subtypes by options (RFC 4512 §2.5). */
function covers(wanted: string, name: string): boolean {
  if (name.length < wanted.length) return false;
  if (name.length > wanted.length && name[wanted.length] !== ";") return false;
  return name.slice(0, wanted.length).toLowerCase() === wanted.toLowerCase();
}

function hasValues(entry: Entry, wanted: string): boolean {
  const name = wanted.toLowerCase();
  return entry.attributes.some((attribute) => attribute.values.length > 0 && attribute.name.toLowerCase() === name);
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A value must be text. What is not, a picture or a certificate, is no answer and not "not found" either. */
function readValue(value: Buffer): string {
  let text: string;
  try {
    text = utf8.decode(value);
  } catch {
    throw new NoExpansion("a value is not UTF-8");
  }
  if (text.includes("\0")) throw new NoExpansion("a value holds NUL");
  return text;
}
