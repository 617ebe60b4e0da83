/** `routes` of the config: transport tables, asked for each recipient in transport(5)'s order. */
import { ConfigError, TableUnavailable } from "../errors.ts";
import { after, type Clock, type MaybePromise } from "../model/index.ts";
import {
  checkEntries,
  domainForms,
  findFirst,
  transportKeys,
  type Located,
  type LookupTable,
  type Match,
  type SearchTurn,
  type TablePurpose,
  type TableSpec,
} from "../tables/index.ts";
import { parseRouteResult, type RouteResult, type TransportNames } from "./route-result.ts";

export interface RouteTables {
  /** `undefined` when no table says anything. Throws `TableUnavailable`, also for a value that cannot be used. */
  find(address: string): MaybePromise<RouteResult | undefined>;
}

export interface RouteTablesOptions {
  readonly clock: Pick<Clock, "monotonic">;
  readonly recipientDelimiter: string;
  readonly transports: TransportNames;
  readonly openTable: (spec: TableSpec, purpose: TablePurpose) => Promise<LookupTable>;
}

/** The key is a stranger's, and a transport may run programs: neither reaches the answer. */
const purpose: TablePurpose = Object.freeze({ trustedOnly: true, withoutSubstitution: true });
/** What `*` says is asked anew after this time. */
const wildcardMs = 30_000;

/** Throws `ConfigError` for a table that cannot be opened, and for the first wrong value of one that is in memory. */
export async function openRouteTables(
  specs: readonly TableSpec[],
  { clock, recipientDelimiter, transports, openTable }: RouteTablesOptions,
): Promise<RouteTables> {
  const tables: LookupTable[] = [];
  for (const [index, spec] of specs.entries()) {
    const place = specs.length === 1 ? "routes" : `routes[${index}]`;
    tables.push(await openChecked(spec, place));
  }
  let wildcard: { readonly match: Match | undefined; readonly until: number } | undefined;

  function find(address: string): MaybePromise<RouteResult | undefined> {
    const at = address.lastIndexOf("@");
    const forms =
      at < 0 ? [address] : domainForms(address.slice(at + 1)).map((form) => `${address.slice(0, at)}@${form}`);
    const turns = forms.map((form) => transportKeys(form, recipientDelimiter));
    return after(findIn(turns, 0), (match) => (match === undefined ? undefined : resultOf(match)));
  }

  function findIn(turns: readonly SearchTurn[], turn: number): MaybePromise<Match | undefined> {
    const keys = turns[turn];
    if (keys === undefined) return findWildcard();
    return after(findFirst(tables, keys), (match) => match ?? findIn(turns, turn + 1));
  }

  function findWildcard(): MaybePromise<Match | undefined> {
    const now = clock.monotonic();
    if (wildcard !== undefined && now < wildcard.until) return wildcard.match;
    return after(findFirst(tables, ["*"]), (match) => {
      wildcard = { match, until: now + wildcardMs };
      return match;
    });
  }

  function resultOf({ table, key, value }: Match): RouteResult {
    try {
      return parseRouteResult(value, transports);
    } catch (error) {
      const { message } = error as Error;
      throw new TableUnavailable(`${table.type}:${table.name}`, `key "${key}": ${message}`, { cause: error });
    }
  }

  async function openChecked(spec: TableSpec, place: string): Promise<LookupTable> {
    try {
      const table = await openTable(spec, purpose);
      await checkEntries(table, (entry) => checkEntry(table, entry));
      return table;
    } catch (error) {
      if (error instanceof ConfigError) throw new ConfigError(`${place}: ${error.message}`, { cause: error });
      throw error;
    }
  }

  function checkEntry({ type, name }: LookupTable, { file, line, key, value }: Located): void {
    try {
      parseRouteResult(value, transports);
    } catch (error) {
      const where =
        file === undefined ? `table ${type}:${name}` : `${file}${line === undefined ? "" : `, line ${line}`}`;
      throw new ConfigError(`${where}, key "${key}": ${(error as Error).message}`, { cause: error });
    }
  }

  return Object.freeze({ find });
}
