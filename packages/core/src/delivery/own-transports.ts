/** The transports that core has and no plugin brings, and where all of them are found. */
import { coreOwner, type Owner } from "../guard/index.ts";
import type { DeliveryGeneration } from "./delivery-host.ts";
import { discardTransport } from "./discard-transport.ts";
import { errorTransport } from "./error-transport.ts";
import type { Transport } from "./transport.ts";

const ownTransports: Readonly<Record<string, Transport>> = Object.freeze({
  [errorTransport.name]: errorTransport,
  [discardTransport.name]: discardTransport,
});

/** Throws when nobody brings it: its plugin may have left the config since the message was routed. */
export function findTransport(
  name: string,
  generation: Pick<DeliveryGeneration, "transport">,
): { readonly owner: Owner; readonly value: Transport } {
  const own = ownTransports[name];
  if (own !== undefined) return { owner: coreOwner, value: own };
  const found = generation.transport(name);
  if (found === undefined) throw new Error(`no plugin brings the transport "${name}"`);
  return found;
}
