/** Commands about single messages of the queue: `postern queue list, hold, release, remove`. */
import type { QueueDesk } from "../delivery/index.ts";
import { actOnEach, idsOf } from "./ids.ts";
import type { ControlCommands } from "./server.ts";

const mostListed = 100_000;

export function queueCommands(desk: QueueDesk): ControlCommands {
  const each = (act: (id: string) => Promise<void>) => (args: Readonly<Record<string, unknown>>) =>
    actOnEach(idsOf(args), act, 1);
  return {
    "queue list": ({ heldOnly, limit }) =>
      desk.list({ heldOnly: heldOnly === true, ...(typeof limit === "number" && { limit: sound(limit) }) }),
    "queue hold": each((id) => desk.hold(id)),
    "queue release": each((id) => desk.release(id)),
    "queue remove": each((id) => desk.remove(id)),
  };
}

function sound(limit: number): number {
  return Number.isInteger(limit) && limit > 0 ? Math.min(limit, mostListed) : 1;
}
