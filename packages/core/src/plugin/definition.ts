/** What a plugin package exports: plain data, made by `definePlugin`. */
import type { z } from "zod";
import type { MaybePromise } from "../model/maybe-promise.ts";
import type { Gateway } from "./gateway.ts";

/** The plugin contract's version. Raised only when a plugin written for the old one could break. */
export const apiVersion = 1;

export interface PluginDefinition<Options extends z.ZodType = z.ZodType> {
  /** Lower case, digits and hyphens; the instance name unless the config says `as`. */
  readonly name: string;
  /** The contract it was written for. */
  readonly apiVersion: number;
  /** Names of plugins that must come before it in the config, or of services it uses. */
  readonly requires?: readonly string[];
  /** Schema of its options, a `z.strictObject` with a default and a description for each. */
  readonly options: Options;
  /** Registers only; opens nothing. What must be opened goes into `gateway.onReady`. */
  setup(gateway: Gateway, options: z.output<Options>): MaybePromise<void>;
}

const brand = Symbol.for("postern.plugin");

/** Gives the definition its types; the host checks it when it loads the plugin. */
export function definePlugin<Options extends z.ZodType>(
  definition: PluginDefinition<Options>,
): PluginDefinition<Options> {
  return Object.freeze({ ...definition, [brand]: true });
}

export function isPluginDefinition(value: unknown): value is PluginDefinition {
  return typeof value === "object" && value !== null && (value as { [brand]?: unknown })[brand] === true;
}
