/** Which keys are tried for a question: the key alone, or a search order with what it needs to know of the config. */
import {
  after,
  createAddressBook,
  searchOrders,
  type MaybePromise,
  type ResolvedConfig,
  type SearchOptions,
  type SearchOrderName,
  type TableSpec,
} from "@postern/core";
import { openTableDesk, type TableDesk } from "./table-desk.ts";
import type { Turns } from "./table-answer.ts";

export interface OrderOptions {
  readonly as?: SearchOrderName;
  readonly recipientDelimiter?: string;
  readonly localDomain?: readonly string[];
  readonly clientName?: string;
  readonly sender?: string;
  readonly host?: string;
}

export interface SearchTurns {
  turnsOf(key: string): MaybePromise<Turns>;
  close(): Promise<void>;
}

/** What is not given is taken from the config; without one nothing is local and there are no extensions. */
export function createSearchTurns(
  { as, localDomain, recipientDelimiter, ...others }: OrderOptions,
  config: ResolvedConfig | undefined,
  warn: (message: string) => void,
): SearchTurns {
  if (as === undefined) return { turnsOf: (key) => [[key]], close: () => Promise.resolve() };
  const order = searchOrders[as];
  const options: SearchOptions = {
    recipientDelimiter: recipientDelimiter ?? config?.recipientDelimiter ?? "",
    ...others,
  };
  const local = localDomain === undefined ? domainsOf(config, warn) : domainsAmong(localDomain);
  return {
    turnsOf(key) {
      let domain: string | undefined;
      const turns = order.turns(key, {
        ...options,
        isLocal: (asked) => {
          domain = asked;
          return false;
        },
      });
      if (domain === undefined) return turns;
      return after(local.has(domain.toLowerCase()), (isLocal) =>
        isLocal ? order.turns(key, { ...options, isLocal: () => true }) : turns,
      );
    },
    close: () => local.close(),
  };
}

interface LocalDomains {
  /** In lower case. Throws `TableUnavailable`, and `ConfigError` for tables of the config that cannot be opened. */
  has(domain: string): MaybePromise<boolean>;
  close(): Promise<void>;
}

function domainsAmong(domains: readonly string[]): LocalDomains {
  const known = new Set(domains.map((domain) => domain.toLowerCase()));
  return { has: (domain) => known.has(domain), close: () => Promise.resolve() };
}

/** Those of `domains.local` and our origin, as the gateway has them; the tables among them are opened when they are first asked. */
function domainsOf(config: ResolvedConfig | undefined, warn: (message: string) => void): LocalDomains {
  if (config === undefined) return domainsAmong([]);
  const { directory, domains, hostname, recipientDelimiter } = config;
  let desk: TableDesk | undefined;
  const open = async (): Promise<(domain: string) => MaybePromise<boolean>> => {
    // Names in a config are from its folder.
    const opened = (desk = openTableDesk({ directory, config, warn }));
    const openTable = (spec: TableSpec) => opened.open(spec);
    const book = await createAddressBook(domains, { recipientDelimiter, directory, openTable });
    const origin = (book.firstDomain ?? hostname).toLowerCase();
    return (domain) => domain === origin || after(book.classOf(domain), (name) => name === "local");
  };
  let isLocal: ReturnType<typeof open> | undefined;
  return {
    async has(domain) {
      isLocal ??= open();
      return (await isLocal)(domain);
    },
    close: async () => desk?.close(),
  };
}
