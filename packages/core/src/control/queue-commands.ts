/** Commands about single messages of the queue: `postern queue list, hold, release, remove`. */
import type { QueueDesk } from "../delivery/index.ts";
import { ConfigError } from "../errors.ts";
import type { ControlCommands } from "./server.ts";

type Args = Readonly<Record<string, unknown>>;

const mostIds = 10_000;
const mostListed = 100_000;

export function queueCommands(desk: QueueDesk): ControlCommands {
  return {
    "queue list": ({ heldOnly, limit }) =>
      desk.list({ heldOnly: heldOnly === true, ...(typeof limit === "number" && { limit: sound(limit) }) }),
    "queue hold": (args) => forEach(args, (id) => desk.hold(id)),
    "queue release": (args) => forEach(args, (id) => desk.release(id)),
    "queue remove": (args) => forEach(args, (id) => desk.remove(id)),
  };
}

/** What was done, and for the others why it was not. */
async function forEach({ ids }: Args, act: (id: string) => Promise<void>): Promise<unknown> {
  if (!Array.isArray(ids) || ids.length > mostIds || !ids.every((id) => typeof id === "string"))
    throw new ConfigError(`"ids" is a list of at most ${mostIds} queue ids`);
  const done: string[] = [];
  const failed: { id: string; reason: string }[] = [];
  for (const id of ids) {
    try {
      await act(id);
      done.push(id);
    } catch (error) {
      failed.push({ id, reason: (error as Error).message });
    }
  }
  return { done, failed };
}

function sound(limit: number): number {
  return Number.isInteger(limit) && limit > 0 ? Math.min(limit, mostListed) : 1;
}
