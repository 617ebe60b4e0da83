/** A config's plugins set up and looked at, nothing opened: for listings. */
import { fileURLToPath } from "node:url";
import {
  createGuard,
  createHooks,
  createPluginHost,
  createRegistrations,
  createStaticResolver,
  createTableRegistry,
  createVocabulary,
  listHooks,
  setUpPlugins,
  systemClock,
  PosternError,
  type GatewayParts,
  type HookListing,
  type PluginInstance,
  type ResolvedConfig,
  type StateSpace,
  type WordListing,
} from "@postern/core";

/** Where packages are sought that the config's folder has not: the command's own installation. */
export const ownFolder: string = fileURLToPath(new URL(".", import.meta.url));

/** A transport, scanner, rewriter or table type, and the plugin that brings it. */
export interface Provided {
  readonly name: string;
  readonly plugin: string;
}

export interface Inspection {
  readonly plugins: readonly PluginInstance[];
  readonly hooks: readonly HookListing[];
  readonly words: readonly WordListing[];
  readonly transports: readonly Provided[];
  readonly scanners: readonly Provided[];
  readonly rewriters: readonly Provided[];
  readonly authenticators: readonly Provided[];
  readonly tables: readonly Provided[];
}

/** Throws `ConfigError` or `PluginError` as a start would. */
export async function inspect(config: ResolvedConfig): Promise<Inspection> {
  const { file, directory } = config;
  const guard = createGuard(systemClock, () => undefined);
  const hooks = createHooks(guard);
  const vocabulary = createVocabulary();
  const tables = createTableRegistry({ directory, clock: systemClock, guard, warn: () => undefined });
  const plugins = await createPluginHost({ file, directory, searchFrom: [ownFolder] }).load(config.plugins);
  const parts = lookingParts(config, { hooks, vocabulary, tables, log: () => undefined });
  const { registrations } = parts;
  const set = await setUpPlugins(plugins, parts, { guard });
  try {
    return {
      plugins,
      hooks: listHooks(hooks),
      words: vocabulary.words(),
      transports: [...registrations.transports].map(([name, { owner }]) => ({ name, plugin: owner.name })),
      scanners: [...registrations.scanners].map(([name, { owner }]) => ({ name, plugin: owner.name })),
      rewriters: [...registrations.rewriters].map(([name, { owner }]) => ({ name, plugin: owner.name })),
      authenticators: [...registrations.authenticators].map(([name, { owner }]) => ({ name, plugin: owner.name })),
      tables: tables.types().map(({ type, owner }) => ({ name: type, plugin: owner })),
    };
  } finally {
    await set.close();
    await tables.close();
  }
}

/** What plugins are set up with when nothing of them will run: no names are asked for, no state is kept. */
export function lookingParts(
  { hostname, directory, recipientDelimiter }: Pick<ResolvedConfig, "hostname" | "directory" | "recipientDelimiter">,
  parts: Pick<GatewayParts, "hooks" | "vocabulary" | "tables" | "log">,
): GatewayParts {
  return {
    hostname,
    directory,
    recipientDelimiter,
    clock: systemClock,
    dns: createStaticResolver({}),
    registrations: createRegistrations(),
    space: () => closedSpace,
    ...parts,
  };
}

const closed = (): never => {
  throw new PosternError("STORE_UNAVAILABLE", "state is not open while a config is only looked at");
};
const closedSpace: StateSpace<never> = {
  get: closed,
  put: closed,
  delete: closed,
  update: closed,
  increment: closed,
  lease: closed,
  scan: closed,
};
