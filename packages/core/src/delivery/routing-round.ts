/** Where the pending recipients of a message go, as groups that each fit one delivery. */
import { after, destinationKey, isPromise, type MaybePromise, type QueuedMessage, type Route } from "../model/index.ts";
import type { DeliveryGroup } from "../queue/index.ts";
import type { DeliveryGeneration } from "./delivery-host.ts";

/** Recipients per delivery, and deliveries to one destination, of a transport that does not say. */
const defaultMaxRecipients = 50;
const defaultMaxConcurrency = 20;

/** Throws what routing throws: then nothing of the message is tried now. */
export function routeRecipients(
  message: QueuedMessage,
  pending: readonly number[],
  generation: DeliveryGeneration,
  maxConcurrency: number,
): MaybePromise<readonly DeliveryGroup[]> {
  const routes = pending.map((index) => routeOne(message, index, generation));
  if (!routes.some(isPromise)) return group(pending, routes as Route[], generation, maxConcurrency);
  return Promise.all(routes.map(async (route) => route)).then((known) =>
    group(pending, known, generation, maxConcurrency),
  );
}

function routeOne(message: QueuedMessage, index: number, generation: DeliveryGeneration): MaybePromise<Route> {
  const recipient = message.envelope.recipients[index];
  if (recipient === undefined) throw new RangeError(`no recipient ${index}`);
  const route = generation.route(recipient);
  const { route: hook } = generation.hooks.delivery;
  return hook.tapped ? after(route, (known) => hook.call(known, recipient, message)) : route;
}

function group(
  pending: readonly number[],
  routes: readonly Route[],
  generation: DeliveryGeneration,
  maxConcurrency: number,
): readonly DeliveryGroup[] {
  const byDestination = new Map<string, { readonly route: Route; readonly recipients: number[] }>();
  for (const [position, route] of routes.entries()) {
    const key = destinationKey(route);
    const index = pending[position] as number;
    const known = byDestination.get(key);
    if (known === undefined) byDestination.set(key, { route, recipients: [index] });
    else known.recipients.push(index);
  }
  const groups: DeliveryGroup[] = [];
  for (const [destination, { route, recipients }] of byDestination) {
    const transport = generation.transport(route.transport)?.value;
    const most = transport?.maxRecipients ?? defaultMaxRecipients;
    const limit = Math.min(transport?.maxConcurrency ?? defaultMaxConcurrency, maxConcurrency);
    for (let start = 0; start < recipients.length; start += most) {
      groups.push({ destination, recipients: recipients.slice(start, start + most), maxConcurrency: limit });
    }
  }
  return groups;
}
