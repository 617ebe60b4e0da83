/** Where the pending recipients of a message go, as groups that each fit one delivery. */
import { after, destinationKey, isPromise, type MaybePromise, type QueuedMessage, type Route } from "../model/index.ts";
import type { DeliveryGroup } from "../queue/index.ts";
import type { DeliveryGeneration } from "./delivery-host.ts";

/** Recipients per delivery, and deliveries to one destination, of a transport that does not say. */
const defaultMaxRecipients = 50;
const defaultMaxConcurrency = 20;

/** Recipients of one message whose routes are asked for at a time: a database serves others too. */
const atATime = 20;

/** Throws what routing throws: then nothing of the message is tried now. */
export function routeRecipients(
  message: QueuedMessage,
  pending: readonly number[],
  generation: DeliveryGeneration,
  maxConcurrency: number,
): MaybePromise<readonly DeliveryGroup[]> {
  const routes: Route[] = [];
  const late = routeUntilLate(message, pending, generation, routes);
  if (late !== undefined) return routeLate(message, pending, generation, maxConcurrency, routes, late);
  return group(pending, routes, generation, maxConcurrency);
}

/** The same where no route must be waited for; `undefined` at the first that must. Throws what routing throws. */
export function routeAtOnce(
  message: QueuedMessage,
  pending: readonly number[],
  generation: DeliveryGeneration,
  maxConcurrency: number,
): readonly DeliveryGroup[] | undefined {
  const routes: Route[] = [];
  const late = routeUntilLate(message, pending, generation, routes);
  late?.catch(() => undefined);
  return late === undefined ? group(pending, routes, generation, maxConcurrency) : undefined;
}

/** Fills `routes` up to the first that is late, which is the answer. */
function routeUntilLate(
  message: QueuedMessage,
  pending: readonly number[],
  generation: DeliveryGeneration,
  routes: Route[],
): Promise<Route> | undefined {
  for (const index of pending) {
    const route = routeOne(message, index, generation);
    if (isPromise(route)) return route;
    routes.push(route);
  }
  return undefined;
}

/** `routes` are known; `next` is on its way. */
async function routeLate(
  message: QueuedMessage,
  pending: readonly number[],
  generation: DeliveryGeneration,
  maxConcurrency: number,
  routes: Route[],
  next: Promise<Route>,
): Promise<readonly DeliveryGroup[]> {
  routes.push(await next);
  while (routes.length < pending.length) {
    const some = pending.slice(routes.length, routes.length + atATime);
    routes.push(...(await Promise.all(some.map(async (index) => routeOne(message, index, generation)))));
  }
  return group(pending, routes, generation, maxConcurrency);
}

function routeOne(message: QueuedMessage, index: number, generation: DeliveryGeneration): MaybePromise<Route> {
  const recipient = message.envelope.recipients[index];
  if (recipient === undefined) throw new RangeError(`no recipient ${index}`);
  const { filter, envelope } = message;
  const route: MaybePromise<Route> =
    filter === undefined
      ? generation.route(recipient, envelope.sender)
      : { class: "default", ...generation.routeFor(filter, recipient.address) };
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
