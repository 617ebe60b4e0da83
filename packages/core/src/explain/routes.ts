/** Where a recipient would go, and why. */
import type { ResolvedConfig } from "../config/index.ts";
import type { MailGeneration } from "../generation-contract.ts";
import { logText, type QueuedMessage, type Recipient } from "../model/index.ts";
import type { ExplainedRoute } from "./explained.ts";
import type { FilterOrigin } from "./filter-origin.ts";
import type { Frame } from "./tracing.ts";

export interface RouteScope {
  readonly frame: Frame;
  readonly config: ResolvedConfig;
  /** By which it leaves whatever the routes say. */
  readonly filter: FilterOrigin | undefined;
  /** As it would be queued; taps of `delivery.route` are asked about it. */
  readonly message: QueuedMessage | undefined;
}

export async function explainRoute(
  generation: MailGeneration,
  recipient: Recipient,
  sender: string,
  { frame, config, filter, message }: RouteScope,
): Promise<ExplainedRoute> {
  const { address, original } = recipient;
  const common = { recipient: address, original, tables: frame.tables };
  try {
    const own = await generation.route(recipient, sender);
    const asked = filter === undefined ? own : { ...own, ...generation.routeFor(filter.destination, address) };
    const hook = generation.hooks.delivery.route;
    const tapped = message !== undefined && hook.tapped ? await hook.call(asked, recipient, message) : asked;
    const { class: name, transport, nextHop } = tapped;
    const route = { class: name, transport, nextHop };
    if (transport !== asked.transport || nextHop !== asked.nextHop) {
      return { ...common, route, why: `a tap of delivery.route, in place of ${asked.transport} ${asked.nextHop}` };
    }
    return {
      ...common,
      route,
      why: filter === undefined ? reasonFor(own, frame, config) : logText(`${filter.by}: ${filter.destination}`),
    };
  } catch (error) {
    return { ...common, why: `cannot be told now: ${logText((error as Error).message)}` };
  }
}

function reasonFor(
  { class: name, nextHop }: { readonly class: string; readonly nextHop: string },
  { tables }: Frame,
  { relayhost }: ResolvedConfig,
): string {
  const said = tables.findLast(
    ({ result, value }) => result === "found" && value !== undefined && isIn(value, nextHop),
  );
  const kind = name === "default" ? "none of our domains" : `class ${name}`;
  if (said !== undefined) {
    const line = said.line === undefined ? "" : `:${said.line}`;
    const place = said.file === undefined ? "" : ` (${said.file}${line})`;
    return `${kind}; ${said.table} key ${said.key}${place}`;
  }
  if (relayhost !== undefined && nextHop === relayhost) return `${kind}; relayhost`;
  return kind;
}

/** A table of domains answers too; the one that named the next-hop is meant. */
function isIn(value: string, nextHop: string): boolean {
  return nextHop !== "" && value.includes(nextHop.split(", ")[0] ?? nextHop);
}
