/** The relay of `bench/relay` in this process, without its queue: one generation, of which each part takes what it needs. */
import {
  createGuard,
  createPluginHost,
  createMemoryStateStore,
  createResolver,
  loadConfig,
  systemClock,
} from "@postern/core";
import { buildGeneration, type Generation } from "./core.ts";
import { writeRelay } from "../relay/postern.ts";

export const clock = systemClock;

/** Failures end the benchmark: what is measured is the good case. */
export const guard = createGuard(clock, (failed) => {
  throw new Error("a plugin failed", { cause: failed });
});

export async function openGeneration(folder: string, sinkPort: number): Promise<Generation> {
  const { config } = await loadConfig(writeRelay({ folder, port: 1, sinkPort }));
  const state = createMemoryStateStore({ clock });
  const instances = await createPluginHost({ file: config.file, directory: config.directory, searchFrom: [] }).load(
    config.plugins,
  );
  return buildGeneration(config, instances, {
    clock,
    guard,
    resolver: createResolver({ ...config.dns, clock }),
    space: (name) => state.space(name),
    log: () => undefined,
    note: undefined,
    searchFrom: [],
    lookUpClients: false,
  });
}
