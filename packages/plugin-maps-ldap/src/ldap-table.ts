/** A table in an LDAP directory: ldap_table(5). */
import { foldKey, isPromise, readAnswerRules, readTableParameters, Shared, TableUnavailable } from "@postern/core";
import type {
  AnswerRules,
  DatabaseParameters,
  LookupAsk,
  LookupTable,
  MaybePromise,
  OpenTable,
  TableScope,
  Taken,
} from "@postern/core";
import { AnswerTooLarge } from "./connection.ts";
import type { Search, SearchResult } from "./connection.ts";
import { Directory } from "./directory.ts";
import { Expansion, NoExpansion, SearchRefused } from "./expansion.ts";
import { parseFilter } from "./filter.ts";
import { quoteForFilter, quoteForName } from "./quoting.ts";
import { hasFields, readConnectionSettings, readQuerySettings } from "./settings.ts";
import type { QuerySettings } from "./settings.ts";
import { isOnlyThisKey, noSuchObject, success } from "./status.ts";

/** Opens tables; those with equal connection parameters share one connection. Nothing is connected before the first lookup. */
export function createLdapType(): OpenTable {
  const directories = new Shared<Directory>();
  return async (name, scope, object) => {
    const parameters = await readTableParameters("ldap", name, scope, object);
    const warn = (message: string) => scope.warn(message);
    const connection = readConnectionSettings(parameters, scope.directory, warn);
    const query = readQuerySettings(parameters, warn);
    const rules = await readRules(parameters, scope);
    parameters.finish();
    const directory = directories.take(connection, () => new Directory(connection, scope.clock));
    return new LdapTable({ name, label: parameters.label, query, rules, directory });
  };
}

/** `result_filter` is the name that `result_format` had before Postfix 2.2. */
function readRules(parameters: DatabaseParameters, scope: TableScope): Promise<AnswerRules> {
  const old = parameters.text("result_filter");
  if (old === undefined || parameters.text("result_format") !== undefined) return readAnswerRules(parameters, scope);
  function text(key: string): string | undefined;
  function text(key: string, fallback: string): string;
  function text(key: string, fallback?: string): string | undefined {
    return key === "result_format" ? old : (parameters.text(key) ?? fallback);
  }
  return readAnswerRules({ ...parameters, text }, scope);
}

interface LdapTableOptions {
  readonly name: string;
  readonly label: string;
  readonly query: QuerySettings;
  readonly rules: AnswerRules;
  readonly directory: Taken<Directory>;
}

class LdapTable implements LookupTable {
  readonly type = "ldap";
  readonly name: string;
  readonly kind: "indexed" | "pattern";
  readonly trusted = true;
  readonly #label: string;
  readonly #query: QuerySettings;
  readonly #rules: AnswerRules;
  readonly #directory: Taken<Directory>;
  readonly #attributes: readonly string[];
  readonly #hasDynamicBase: boolean;
  #closed = false;

  constructor(options: LdapTableOptions) {
    this.name = options.name;
    this.#label = options.label;
    this.#query = options.query;
    this.#rules = options.rules;
    this.#directory = options.directory;
    const { attributes, base, filter } = options.query;
    this.#attributes = [...attributes.terminal, ...attributes.leaf, ...attributes.ordinary, ...attributes.special];
    this.#hasDynamicBase = hasFields(base);
    // A query of parts of the key makes no sense of a partial key (db_common_dict_partial).
    const parts = [...base.pieces, ...filter.pieces].some(
      (piece) => typeof piece !== "string" && !/[sS]/.test(piece.field),
    );
    this.kind = parts ? "pattern" : "indexed";
  }

  lookup(written: string, asked?: LookupAsk): MaybePromise<string | undefined> {
    if (this.#closed) throw new TableUnavailable(this.#label, "the table is closed");
    // Postfix folds for tables of whole keys as well, and asks no directory for what is no text.
    const key = this.kind === "pattern" ? foldKey(written) : written;
    if (!key.isWellFormed()) return undefined;
    const asks = this.#rules.asks(key);
    if (isPromise(asks)) return asks.then((late) => (late ? this.#search(key, asked?.signal) : undefined));
    return asks ? this.#search(key, asked?.signal) : undefined;
  }

  close(): Promise<void> {
    this.#closed = true;
    return this.#directory.release();
  }

  #search(key: string, signal: AbortSignal | undefined): MaybePromise<string | undefined> {
    const base = this.#query.base.expand(key, quoteForName);
    const filter = this.#query.filter.expand(key, quoteForFilter);
    if (base === undefined || filter === undefined) return undefined;
    const { scope, sizeLimit } = this.#query;
    try {
      return this.#answer(
        key,
        { base, scope, filter: parseFilter(filter), attributes: this.#attributes, sizeLimit },
        signal,
      );
    } catch (error) {
      if (error instanceof SyntaxError) throw this.#noAnswer(`the key makes a wrong filter: ${error.message}`);
      throw error;
    }
  }

  async #answer(key: string, search: Search, signal: AbortSignal | undefined): Promise<string | undefined> {
    const ask = (inner: Search) => this.#ask(inner, signal);
    try {
      const found = await ask(search);
      if (found.status === noSuchObject && this.#hasDynamicBase) return undefined;
      if (found.status !== success) throw new SearchRefused(search.base, found);
      const limits = { recursion: this.#query.recursionLimit, size: search.sizeLimit };
      const values = await new Expansion(ask, this.#query.attributes, limits).run(found);
      return this.#rules.format(values, key);
    } catch (error) {
      if (error instanceof TableUnavailable) throw error;
      if (error instanceof SearchRefused) {
        // A fixed base that is not there is a mistake of the config, for every key.
        const onlyThisKey = error.status !== noSuchObject && isOnlyThisKey(error.status);
        throw new TableUnavailable(this.#label, error.message, { cause: error, onlyThisKey });
      }
      if (error instanceof NoExpansion || error instanceof AnswerTooLarge) throw this.#noAnswer(error.message, error);
      throw new TableUnavailable(this.#label, error instanceof Error ? error.message : String(error), { cause: error });
    }
  }

  async #ask(search: Search, signal: AbortSignal | undefined): Promise<SearchResult> {
    // Nobody waits any more: no further member of a group is asked for.
    signal?.throwIfAborted();
    const found = await this.#directory.value.search(search);
    if (found.referred && this.#query.needsReferrals) throw new NoExpansion("the server refers to others");
    return found;
  }

  #noAnswer(why: string, cause?: unknown): TableUnavailable {
    return new TableUnavailable(this.#label, why, { cause, onlyThisKey: true });
  }
}
