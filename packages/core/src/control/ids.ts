/** Ids of messages in a request, and what was done with each. */
import { ConfigError } from "../errors.ts";

const mostIds = 10_000;

/** Each once. Throws `ConfigError`. */
export function idsOf({ ids }: Readonly<Record<string, unknown>>): readonly string[] {
  if (!Array.isArray(ids) || ids.length > mostIds || !ids.every((id) => typeof id === "string"))
    throw new ConfigError(`"ids" is a list of at most ${mostIds} queue ids`);
  return [...new Set(ids)];
}

/** Throws `ConfigError`. */
export function idOf({ id }: Readonly<Record<string, unknown>>): string {
  if (typeof id !== "string") throw new ConfigError(`"id" is a queue id`);
  return id;
}

export interface Acted {
  readonly done: readonly string[];
  readonly failed: readonly { readonly id: string; readonly reason: string }[];
}

/** What was done, and for the others why it was not; so many side by side. */
export async function actOnEach(
  ids: readonly string[],
  act: (id: string) => Promise<void>,
  sideBySide = 32,
): Promise<Acted> {
  const done: string[] = [];
  const failed: { id: string; reason: string }[] = [];
  for (let at = 0; at < ids.length; at += sideBySide) {
    await Promise.all(
      ids.slice(at, at + sideBySide).map(async (id) => {
        try {
          await act(id);
          done.push(id);
        } catch (error) {
          failed.push({ id, reason: (error as Error).message });
        }
      }),
    );
  }
  return { done, failed };
}
