/** A config put to work without a listener or a queue: its plugins loaded, its generation built, and closed again. */
import type { ResolvedConfig } from "./config/index.ts";
import { createResolver } from "./dns/index.ts";
import type { GenerationListing, GenerationParts } from "./generation-contract.ts";
import { buildGeneration } from "./generation.ts";
import { coreOwner, createGuard } from "./guard/index.ts";
import { systemClock, type MaybePromise } from "./model/index.ts";
import { createPluginHost, type PluginInstance } from "./plugin/index.ts";
import type { RuntimeOptions } from "./runtime-contract.ts";
import { createMemoryStateStore } from "./state/index.ts";

/**
 * Does all that a start does up to listening, and closes it again; `look` may use what is open before that. `log` is told what a start
 * would tell it. Rejects as `createRuntime` does.
 */
export async function checkConfig(
  config: ResolvedConfig,
  options: RuntimeOptions = {},
  look: (listing: GenerationListing) => MaybePromise<void> = () => undefined,
): Promise<GenerationListing> {
  const clock = options.clock ?? systemClock;
  const stateStore = createMemoryStateStore({ clock });
  const parts: GenerationParts = {
    clock,
    guard: createGuard(clock, () => undefined),
    resolver: options.resolver ?? createResolver(config.dns),
    space: (name, options) => stateStore.space(name, options),
    log: (level, plugin, text) => options.log?.(level, plugin === coreOwner.name ? text : `plugin ${plugin}: ${text}`),
    note: undefined,
    searchFrom: options.searchFrom ?? [],
    lookUpClients: false,
    dry: true,
  };
  const instances = await loadInstances(config, options);
  const generation = await buildGeneration(config, instances, parts);
  try {
    const { listing } = generation;
    await look(listing);
    return listing;
  } finally {
    await generation.retire();
  }
}

/** The config's plugins and those that were given beside them. */
export async function loadInstances(
  config: ResolvedConfig,
  options: RuntimeOptions,
): Promise<readonly PluginInstance[]> {
  const { file, directory, plugins } = config;
  const { searchFrom = [], instances = [] } = options;
  return [...(await createPluginHost({ file, directory, searchFrom }).load(plugins)), ...instances];
}
