/** Which addresses are ours, for plugins: they are set up before it is known which domains are. */
import type { ResolvedConfig } from "../config/index.ts";
import { ConfigError } from "../errors.ts";
import type { ClientNetworks, OpenAddressBook } from "../routing/index.ts";
import type { GatewayAddresses } from "./gateway.ts";

/** What is known of addresses once domains and networks are read. */
export interface OwnAddresses {
  readonly book: OpenAddressBook;
  readonly networks: ClientNetworks;
}

/** `own` gives what is known so far. Asked before that, it throws `ConfigError`. */
export function createOwnAddresses(
  { hostname, origin }: Pick<ResolvedConfig, "hostname" | "origin">,
  own: () => OwnAddresses | undefined,
): GatewayAddresses {
  const known = (): OwnAddresses => {
    const found = own();
    if (found === undefined) throw new ConfigError("our domains and networks are not known before ready");
    return found;
  };
  return Object.freeze({
    get origin() {
      return origin ?? known().book.firstDomain ?? hostname;
    },
    classOf: (domain: string) => known().book.classOf(domain),
    inNetworks: (address: string | undefined) => known().networks.contains(address),
  });
}
