/** What the words get beside their arguments. */
import type { Clock, Resolver } from "@postern/core";
import type { Options } from "./options.ts";

export interface WordContext {
  readonly dns: Resolver;
  readonly clock: Clock;
  /** For all questions of one word about one client, milliseconds: it ends before the word's own deadline. */
  readonly dnsBudgetMs: number;
  readonly options: Options;
}
