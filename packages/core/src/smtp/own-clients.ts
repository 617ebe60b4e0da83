/** Is a client one of `networks`? A table may have to be asked, and may not answer: that is neither yes nor no. */
import { isPromise, type Client, type MaybePromise } from "../model/index.ts";
import type { ClientNetworks } from "../routing/client-networks.ts";

export type Membership = Pick<Client, "inNetworks" | "networksUnavailable">;

const yes: Membership = Object.freeze({ inNetworks: true });
const no: Membership = Object.freeze({ inNetworks: false });
const unknown: Membership = Object.freeze({ inNetworks: false, networksUnavailable: true });

const membership = (isOurs: boolean): Membership => (isOurs ? yes : no);

/** Never throws and never rejects. */
export function askNetworks(networks: ClientNetworks, address: string | undefined): MaybePromise<Membership> {
  try {
    const answer = networks.contains(address);
    return isPromise(answer) ? answer.then(membership, () => unknown) : membership(answer);
  } catch {
    return unknown;
  }
}

/** For limits, before anything is waited for: whom only a table elsewhere knows counts as a stranger. */
export function isKnownAtOnce(networks: ClientNetworks, address: string): boolean {
  const answer = askNetworks(networks, address);
  return !isPromise(answer) && answer.inNetworks;
}
