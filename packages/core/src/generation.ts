/**
 * A generation: all that one reading of the config makes (hooks, plugins, policy, tables, routes) as one whole. It never
 * changes; it is counted by its sessions and deliveries, and closed when it is retired and the last of them is done.
 */
import { createNetworkList } from "./address/index.ts";
import { readTlsFiles, type ResolvedConfig } from "./config/index.ts";
import type { DeliveryGeneration } from "./delivery/index.ts";
import type { Resolver } from "./dns/index.ts";
import type { Guard } from "./guard/index.ts";
import { createHooks, type Hooks } from "./hooks/index.ts";
import type { Clock, Recipient, Session } from "./model/index.ts";
import {
  createRegistrations,
  setUpPlugins,
  type GatewayParts,
  type PluginInstance,
  type Registrations,
} from "./plugin/index.ts";
import {
  compilePolicy,
  createVocabulary,
  type Policy,
  type PolicyScope,
  type Vocabulary,
  type WordListing,
} from "./policy/index.ts";
import { createQualifier } from "./rewrite/index.ts";
import { createAddressBook, createRouter, type ResolveRoute } from "./routing/index.ts";
import { createScanning } from "./scanning/index.ts";
import type { SessionGeneration, SmtpSettings } from "./smtp/index.ts";
import { createTableRegistry, type TableRegistry } from "./tables/index.ts";

/** What a generation is given by the runtime, which outlives it. */
export interface GenerationParts {
  readonly clock: Clock;
  readonly guard: Guard;
  readonly resolver: Resolver;
  readonly space: GatewayParts["space"];
  readonly log: GatewayParts["log"];
  /** Remarks of the policy: `log` effects, and what warn_if_reject let pass. */
  readonly note: PolicyScope["note"];
  /** Clients are asked for their names (PTR and back). */
  readonly lookUpClients: boolean;
}

/** What is in it, for commands that look and do not start. */
export interface GenerationListing {
  readonly hooks: Hooks;
  readonly words: readonly WordListing[];
  readonly plugins: readonly PluginInstance[];
  readonly transports: readonly { readonly name: string; readonly description: string; readonly plugin: string }[];
  readonly scanners: readonly { readonly name: string; readonly description: string; readonly plugin: string }[];
  readonly tableTypes: ReturnType<TableRegistry["types"]>;
}

export interface Generation {
  readonly number: number;
  readonly config: ResolvedConfig;
  readonly hooks: Hooks;
  readonly listing: GenerationListing;
  /** Sessions and deliveries that hold it. */
  readonly users: number;
  forSession(sessionId?: string): SessionGeneration;
  forDelivery(): DeliveryGeneration;
  /** Takes no new users; closes tables and plugins when the last one is done. Resolves then. */
  retire(): Promise<void>;
}

let lastNumber = 0;

/**
 * Sets up the plugins, compiles the policy and opens the tables. Throws `ConfigError` or `PluginError` with everything closed
 * again; the generation before goes on.
 */
export async function buildGeneration(
  config: ResolvedConfig,
  instances: readonly PluginInstance[],
  parts: GenerationParts,
): Promise<Generation> {
  const { clock, guard, resolver } = parts;
  const hooks = createHooks(guard);
  const registrations = createRegistrations();
  const vocabulary = createVocabulary();
  const tables = createTableRegistry({
    directory: config.directory,
    clock,
    guard,
    warn: (text) => parts.log("warn", "core", text),
    note: (text) => parts.log("info", "core", text),
    observer: hooks.table.lookup,
  });
  const { hostname, directory } = config;
  const gatewayParts: GatewayParts = {
    hostname,
    directory,
    clock,
    dns: resolver,
    recipientDelimiter: config.recipientDelimiter,
    hooks,
    tables,
    vocabulary,
    registrations,
    space: (name) => parts.space(name),
    log: (level, plugin, text) => parts.log(level, plugin, text),
  };
  try {
    const plugins = await setUpPlugins(instances, gatewayParts, { guard });
    try {
      const smtp = await readSmtpSettings(config);
      const addresses = await createAddressBook(config.domains, {
        recipientDelimiter: config.recipientDelimiter,
        openTable: (spec) => tables.open(spec),
      });
      const route = createRouter({ addresses, relayhost: config.relayhost });
      const scope: PolicyScope = { clock, guard, addresses, openTable: (spec) => tables.open(spec), note: parts.note };
      const policies = await compilePolicies(config, vocabulary, scope);
      await plugins.ready();
      return new BuiltGeneration({
        config,
        hooks,
        registrations,
        vocabulary,
        tables,
        plugins,
        smtp,
        route,
        policies,
        parts,
        instances,
      });
    } catch (error) {
      await plugins.close();
      throw error;
    }
  } catch (error) {
    await tables.close();
    throw error;
  }
}

async function readSmtpSettings({ hostname, limits, tls }: ResolvedConfig): Promise<SmtpSettings> {
  const shared = { hostname, limits: { ...limits, sessionsPerMinute: undefined } };
  if (tls === undefined) return shared;
  return { ...shared, tls: await readTlsFiles(tls) };
}

/** The global policy, and one for each listener that has lists of its own; by listener's name. */
async function compilePolicies(
  { policy, listeners }: ResolvedConfig,
  words: Vocabulary,
  scope: PolicyScope,
): Promise<(listener: string) => Policy> {
  const global = await compilePolicy(policy, words, scope);
  const own = new Map<string, Policy>();
  for (const [index, { name, policy: lists }] of listeners.entries()) {
    if (Object.keys(lists).length === 0) continue;
    own.set(name, await compilePolicy(policy, words, scope, { path: `listeners[${index}].policy`, lists }));
  }
  return (listener) => own.get(listener) ?? global;
}

/** The domain of addresses that have none: our first, else our name. */
function originOf({ domains, hostname }: ResolvedConfig): string {
  const { local, virtualMailbox, relay } = domains;
  return [local, virtualMailbox, relay].flatMap((own) => own.domains)[0] ?? hostname;
}

interface Built {
  readonly config: ResolvedConfig;
  readonly hooks: Hooks;
  readonly registrations: Registrations;
  readonly vocabulary: Vocabulary;
  readonly tables: TableRegistry;
  readonly plugins: Awaited<ReturnType<typeof setUpPlugins>>;
  readonly smtp: SmtpSettings;
  readonly route: ResolveRoute;
  readonly policies: (listener: string) => Policy;
  readonly parts: GenerationParts;
  readonly instances: readonly PluginInstance[];
}

class BuiltGeneration implements Generation {
  readonly number = (lastNumber += 1);
  readonly #built: Built;
  readonly #session: Omit<SessionGeneration, "release" | "renew">;
  readonly #delivery: DeliveryGeneration;
  #users = 0;
  #retired: (() => void) | undefined;
  #closed: Promise<void> | undefined;

  constructor(built: Built) {
    this.#built = built;
    const { config, hooks, registrations, smtp, route, policies, parts } = built;
    const scanners = [...registrations.scanners].map(([, { value }]) => value);
    const scanning = createScanning(scanners, parts.guard);
    this.#session = Object.freeze({
      hooks,
      settings: smtp,
      networks: createNetworkList(config.networks),
      resolver: parts.lookUpClients ? parts.resolver : undefined,
      startPolicy: (listener: string) => policies(listener).start(),
      rewriter: createQualifier(originOf(config)),
      scan: scanners.length === 0 ? undefined : (ask) => scanning.scan(ask),
    });
    this.#delivery = Object.freeze({
      hooks,
      route: (recipient: Recipient) => route(recipient),
      transport: (name: string) => registrations.transports.get(name),
      release: () => this.#leave(),
    });
  }

  get config(): ResolvedConfig {
    return this.#built.config;
  }

  get hooks(): Hooks {
    return this.#built.hooks;
  }

  get users(): number {
    return this.#users;
  }

  get listing(): GenerationListing {
    const { hooks, registrations, vocabulary, tables, instances } = this.#built;
    const described = (plugin: string, { name, description }: { name: string; description: string }) => ({
      name,
      description,
      plugin,
    });
    return {
      hooks,
      words: vocabulary.words(),
      plugins: instances,
      transports: [...registrations.transports].map(([, { owner, value }]) => described(owner.name, value)),
      scanners: [...registrations.scanners].map(([, { owner, value }]) => described(owner.name, value.scanner)),
      tableTypes: tables.types(),
    };
  }

  forSession(sessionId?: Session["id"]): SessionGeneration {
    this.#users += 1;
    const { sessions } = this.#built.registrations;
    let current = sessionId;
    if (current !== undefined) sessions.begin(current);
    return {
      ...this.#session,
      renew: (next) => {
        this.#endSession(current);
        current = next;
        sessions.begin(next);
      },
      release: () => {
        this.#endSession(current);
        this.#leave();
      },
    };
  }

  /** Plugins that are told of the end, in the turn after this one, find their state as it was. */
  #endSession(id: Session["id"] | undefined): void {
    if (id === undefined) return;
    const { hooks, registrations } = this.#built;
    if (hooks.smtp.closed.tapped) setImmediate(() => registrations.sessions.end(id));
    else registrations.sessions.end(id);
  }

  forDelivery(): DeliveryGeneration {
    this.#users += 1;
    return this.#delivery;
  }

  retire(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  #leave(): void {
    this.#users -= 1;
    if (this.#users === 0) this.#retired?.();
  }

  async #close(): Promise<void> {
    if (this.#users > 0) await new Promise<void>((resolve) => (this.#retired = resolve));
    const { hooks, plugins, tables } = this.#built;
    // What was reported is told before those who are told are closed.
    await Promise.all(hooks.reports.map((hook) => hook.drained()));
    await plugins.close();
    await tables.close();
  }
}
