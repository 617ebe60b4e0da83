/** `routes` of the config: transport tables, asked for each recipient in transport(5)'s order. */
import { after, type Clock, type MaybePromise } from "../model/index.ts";
import { addressForms, findFirst, findInTurns, transportKeys, type Match, type TableSpec } from "../tables/index.ts";
import { openCheckedTables, parseMatch, type OpenTable } from "./checked-table.ts";
import { parseRouteResult, type RouteResult, type TransportNames } from "./route-result.ts";

export interface RouteTables {
  /** `undefined` when no table says anything. Throws `TableUnavailable`, also for a value that cannot be used. */
  find(address: string): MaybePromise<RouteResult | undefined>;
}

export interface RouteTablesOptions {
  readonly clock: Pick<Clock, "monotonic">;
  readonly recipientDelimiter: string;
  readonly transports: TransportNames;
  readonly openTable: OpenTable;
}

/** What `*` says is asked anew after this time. */
const wildcardMs = 30_000;

/** Throws `ConfigError` for a table that cannot be opened, and for the first wrong value of one that is in memory. */
export async function openRouteTables(
  specs: readonly TableSpec[],
  { clock, recipientDelimiter, transports, openTable }: RouteTablesOptions,
): Promise<RouteTables> {
  const parse = (value: string): RouteResult => parseRouteResult(value, transports);
  const tables = await openCheckedTables(specs, "routes", openTable, parse);
  let wildcard: { readonly match: Match | undefined; readonly until: number } | undefined;

  function find(address: string): MaybePromise<RouteResult | undefined> {
    const turns = addressForms(address).map((form) => transportKeys(form, recipientDelimiter));
    const found = after(findInTurns(tables, turns), (match) => match ?? findWildcard());
    return after(found, (match) => (match === undefined ? undefined : parseMatch(match, parse)));
  }

  function findWildcard(): MaybePromise<Match | undefined> {
    const now = clock.monotonic();
    if (wildcard !== undefined && now < wildcard.until) return wildcard.match;
    return after(findFirst(tables, ["*"]), (match) => {
      wildcard = { match, until: now + wildcardMs };
      return match;
    });
  }

  return Object.freeze({ find });
}
