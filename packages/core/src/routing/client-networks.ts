/** `networks` of the config: who our own clients are, by list or table. */
import { createNetworkList, formatIp, parseCidr, parseIp } from "../address/index.ts";
import type { MaybePromise } from "../model/index.ts";
import { isList, networkFlavour, openMatchList, type MatchItems, type MatchListScope } from "../tables/index.ts";

export interface ClientNetworks {
  /** `false` for `undefined` and for what is no address. Throws `TableUnavailable`. */
  contains(address: string | undefined): MaybePromise<boolean>;
}

/** Throws `ConfigError` that names the item. */
export async function createClientNetworks(items: MatchItems, scope: MatchListScope): Promise<ClientNetworks> {
  const plain = isList(items) && items.every((item) => typeof item === "string" && parseCidr(item).ok);
  if (plain) return createNetworkList(items as readonly string[]);
  const list = await openMatchList(items, networkFlavour, scope);
  return Object.freeze({
    contains(address: string | undefined) {
      const ip = address === undefined ? undefined : parseIp(address);
      return ip === undefined ? false : list.matches(formatIp(ip));
    },
  });
}
