/** Where in a config a decision of the log stands, and whether the config still says so. */
import type { ResolvedConfig } from "@postern/core";

export interface DecisionPlace {
  readonly path: string;
  /** The entry as it is written now; absent when there is none any more. */
  readonly entry?: unknown;
  readonly holds: boolean;
}

const listPath = /^(?:listeners\[(\d+)\]\.)?policy\.(?:classes\.([A-Za-z]\w*)|([a-z]+))(?: \(default\))?\[(\d+)\]$/;

/** `undefined` for what stands in no list: core's own questions, hooks, scanners. */
export function findPlace(path: string, word: string | undefined, config: ResolvedConfig): DecisionPlace | undefined {
  const found = listPath.exec(path);
  if (found === null) return undefined;
  const [, listener, className, stage = "", index] = found;
  const isDefault = path.includes(" (default)");
  const { lists, classes } = config.policy;
  const own = listener === undefined ? lists : (config.listeners[Number(listener)]?.policy ?? {});
  const list = className === undefined ? own[stage as keyof typeof lists] : classes[className];
  // The default stands as long as nobody writes a list.
  if (isDefault) return { path, holds: list === undefined };
  const entry = list?.[Number(index)];
  if (entry === undefined) return { path, holds: false };
  const text = (typeof entry === "string" ? entry : JSON.stringify(entry)).toLowerCase();
  return { path, entry, holds: word === undefined || text.includes(word) };
}
