/**
 * Tables for a command, without a gateway: relative names from the current folder, types from core, from the config's plugins when
 * there is a config, and from installed packages.
 */
import {
  createGuard,
  createHooks,
  createPluginHost,
  createTableProvider,
  createTableRegistry,
  createVocabulary,
  setUpPlugins,
  systemClock,
  type LookupObserver,
  type PluginInstance,
  type PluginSet,
  type ResolvedConfig,
  type TableRegistry,
} from "@postern/core";
import { lookingParts, ownFolder } from "./inspection.ts";

export interface TableDeskOptions {
  /** Relative names of tables resolve from here. */
  readonly directory: string;
  readonly config: ResolvedConfig | undefined;
  /** Told of wrong lines in tables, and of tables that are down. */
  readonly warn: (message: string) => void;
  readonly observer?: LookupObserver;
}

export interface TableDesk extends Pick<TableRegistry, "open" | "build" | "types"> {
  /** Where packages are sought, in this order. */
  readonly folders: readonly string[];
  /** Sets up the config's plugins, and then the package that brings `type` when nobody else did. Throws as a start would. */
  provide(type?: string): Promise<void>;
  close(): Promise<void>;
}

export function openTableDesk({ directory, config, warn, observer }: TableDeskOptions): TableDesk {
  const guard = createGuard(systemClock, () => undefined);
  const home = config?.directory ?? directory;
  const folders = [home, ownFolder];
  const host = createPluginHost({ file: config?.file ?? "(none)", directory: home, searchFrom: [ownFolder] });
  const tables = createTableRegistry({
    directory,
    clock: systemClock,
    guard,
    warn,
    provide,
    ...(observer !== undefined && { observer }),
  });
  const parts = lookingParts(
    {
      hostname: config?.hostname ?? "localhost",
      directory: home,
      recipientDelimiter: config?.recipientDelimiter ?? "",
    },
    {
      hooks: createHooks(guard),
      vocabulary: createVocabulary(),
      tables,
      log: (level, plugin, text) => level === "warn" && warn(`plugin ${plugin}: ${text}`),
    },
  );
  const setUp = (instances: readonly PluginInstance[]): Promise<PluginSet> => setUpPlugins(instances, parts, { guard });
  const packages = createTableProvider({ host, folders, setUp });
  let plugins: Promise<PluginSet> | undefined;
  // Deadlines and idle connections keep no process alive, and a lookup that waits for nothing else would end it unnoticed.
  const alive = setInterval(() => undefined, 1000);

  /** As in a gateway: the config's plugins come first. A type of core's needs neither. */
  async function provide(type?: string): Promise<void> {
    plugins ??= host.load(config?.plugins ?? []).then(setUp);
    await plugins;
    if (type !== undefined && !tables.types().some((listed) => listed.type === type)) await packages.provide(type);
  }

  return {
    folders,
    provide,
    open: (spec, purpose) => tables.open(spec, purpose),
    build: (spec, scope) => tables.build(spec, scope),
    types: () => tables.types(),
    async close() {
      clearInterval(alive);
      const set = await plugins?.catch(() => undefined);
      await set?.close();
      await tables.close();
      await packages.close();
    },
  };
}
