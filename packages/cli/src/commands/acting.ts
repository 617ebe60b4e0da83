/** What a command does to messages by id, so many in one request of the control socket, and how it is told. */
import { exitCodes } from "../exit-codes.ts";
import { CommandError } from "../failure.ts";
import { print, type Output } from "../output.ts";

export interface Acted {
  readonly done: readonly string[];
  readonly failed: readonly { readonly id: string; readonly reason: string }[];
  /** Under which id the queue has what was released. */
  readonly queued?: readonly { readonly id: string; readonly queueId: string }[];
}

export async function actOnEach(
  ids: readonly string[],
  atOnce: number,
  ask: (args: { readonly ids: readonly string[] }) => Promise<unknown>,
): Promise<Acted> {
  const all: Acted[] = [];
  for (let at = 0; at < ids.length; at += atOnce) all.push((await ask({ ids: ids.slice(at, at + atOnce) })) as Acted);
  const queued = all.flatMap((acted) => acted.queued ?? []);
  return {
    done: all.flatMap(({ done }) => done),
    failed: all.flatMap(({ failed }) => failed),
    ...(queued.length > 0 && { queued }),
  };
}

/** `done` is the word: "Released". Throws when some could not be done; the others are. */
export function tellActed(acted: Acted, done: string, output: Output, json: boolean | undefined): void {
  print(output, json, acted, () => `${done}: ${acted.done.length}\n`);
  if (acted.failed.length === 0) return;
  const reasons = acted.failed.map(({ reason }) => reason).join("; ");
  throw new CommandError(reasons, exitCodes.data, "MESSAGE_UNKNOWN");
}
