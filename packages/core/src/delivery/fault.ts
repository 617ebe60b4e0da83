/** An error's text for the log. */
import { logText } from "../model/index.ts";

export function internalFault(error: unknown): string {
  return logText(error instanceof Error ? error.message : error);
}
