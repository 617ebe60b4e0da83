/** A plugin set up as a gateway would, alone: its options checked, everything it registered at hand. */
import {
  createGuard,
  createHooks,
  createRegistrations,
  createStaticResolver,
  createTableRegistry,
  createVocabulary,
  setUpPlugins,
  type Failed,
  type GatewayParts,
  type Hooks,
  type OwnedScanner,
  type PluginDefinition,
  type Resolver,
  type Restriction,
  type StateValue,
  type TableType,
  type Transport,
} from "@postern/core";
import type { z } from "zod";
import { createFakeClock, type FakeClock } from "./fake-clock.ts";
import { instantiate } from "./plugin-instance.ts";
import { createFakeSpace, type FakeSpace } from "./fake-space.ts";

export interface OpenPluginOptions {
  readonly clock?: FakeClock;
  readonly dns?: Resolver;
  /** Relative paths in options resolve from here. */
  readonly directory?: string;
  /** As where a config is only checked: it starts nothing of its own. False. */
  readonly dry?: boolean;
}

export interface OpenPlugin {
  readonly clock: FakeClock;
  /** Its words by name. */
  readonly restrictions: ReadonlyMap<string, Restriction>;
  readonly scanners: readonly OwnedScanner[];
  readonly transports: readonly Transport[];
  /** Its table types by name, for `testTable`. */
  readonly tables: ReadonlyMap<string, TableType>;
  /** With its taps: `hooks.smtp.rcpt.call(…)` asks them. */
  readonly hooks: Hooks;
  /** Its spaces of the state store by the names it gave them. */
  readonly spaces: ReadonlyMap<string, FakeSpace<StateValue>>;
  /** What it threw, or answered wrongly, in its taps. */
  readonly failures: readonly Failed[];
  /** Its log lines. */
  readonly log: readonly string[];
  close(): Promise<void>;
}

/**
 * `options` as in a config, host keys (`as`, `onError`, `deadline`) among them. Throws what a gateway's start would: for wrong
 * options zod's error, else `PluginError` or `ConfigError`.
 */
export async function openPlugin<Schema extends z.ZodType>(
  definition: PluginDefinition<Schema>,
  options: Readonly<Record<string, unknown>> = {},
  {
    clock = createFakeClock(),
    dns = createStaticResolver({}),
    directory = process.cwd(),
    dry = false,
  }: OpenPluginOptions = {},
): Promise<OpenPlugin> {
  const instance = await instantiate(definition, options);
  const { name } = instance;
  const failures: Failed[] = [];
  const log: string[] = [];
  const restrictions = new Map<string, Restriction>();
  const spaces = new Map<string, FakeSpace<StateValue>>();
  const guard = createGuard(clock, (failed) => void failures.push(failed));
  const hooks = createHooks(guard);
  const registrations = createRegistrations();
  const vocabulary = createVocabulary();
  const tableTypes = new Map<string, TableType>();
  const tables = createTableRegistry({ directory, clock, guard, warn: (text) => void log.push(`warn core: ${text}`) });
  const parts: GatewayParts = {
    hostname: "mx.example.test",
    directory,
    clock,
    dns,
    recipientDelimiter: "",
    dry,
    hooks,
    registrations,
    tables: {
      open: (spec, purpose) => tables.open(spec, purpose),
      register(type, owner) {
        tables.register(type, owner);
        tableTypes.set(type.type, type);
      },
    },
    vocabulary: {
      register(restriction, owner) {
        vocabulary.register(restriction, owner);
        restrictions.set(restriction.name, restriction);
      },
    },
    space<V extends StateValue>(full: string) {
      const space = createFakeSpace<StateValue>(clock);
      spaces.set(full.slice(name.length + 1), space);
      return space as unknown as FakeSpace<V>;
    },
    log: (level, plugin, text) => void log.push(`${level} ${plugin}: ${text}`),
  };
  const set = await setUpPlugins([instance], parts, { guard });
  const close = async (): Promise<void> => {
    await set.close();
    await tables.close();
  };
  try {
    await set.ready();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    clock,
    restrictions,
    hooks,
    spaces,
    failures,
    log,
    close,
    tables: tableTypes,
    scanners: [...registrations.scanners].map(([, { value }]) => value),
    transports: [...registrations.transports].map(([, { value }]) => value),
  };
}
