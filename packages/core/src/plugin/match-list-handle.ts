/** A match list in a plugin's hand: named in setup, its files read and its tables opened before ready. */
import { PluginError } from "../errors.ts";
import type { MaybePromise } from "../model/index.ts";
import {
  addressFlavour,
  hostFlavour,
  openMatchList,
  type Host,
  type MatchFlavour,
  type MatchItems,
  type MatchList,
} from "../tables/index.ts";
import type { TableRegistry } from "../tables/registry.ts";
import type { UsedMatchList } from "./gateway.ts";

export interface MatchListHandle<Question> {
  readonly used: UsedMatchList<Question>;
  /** Throws `ConfigError`. */
  open(tables: Pick<TableRegistry, "open">): Promise<void>;
}

/** Clients: a name covers its subdomains, as in access tables. */
export function createClientList(
  plugin: string,
  items: MatchItems,
  path: string,
  directory: string,
): MatchListHandle<Host> {
  return createHandle(plugin, items, path, directory, hostFlavour("parent"));
}

export function createAddressList(
  plugin: string,
  items: MatchItems,
  path: string,
  directory: string,
  recipientDelimiter: string,
): MatchListHandle<string> {
  return createHandle(plugin, items, path, directory, addressFlavour({ recipientDelimiter, isLocal: true }));
}

function createHandle<Question>(
  plugin: string,
  items: MatchItems,
  path: string,
  directory: string,
  flavour: MatchFlavour<Question>,
): MatchListHandle<Question> {
  let list: MatchList<Question> | undefined;
  return {
    used: Object.freeze({
      matches(asked: Question): MaybePromise<boolean> {
        if (list === undefined) throw new PluginError(plugin, `the list ${path} is not open before ready`);
        return list.matches(asked);
      },
    }),
    async open(tables) {
      list = await openMatchList(items, flavour, { path, directory, openTable: (spec) => tables.open(spec) });
    },
  };
}
