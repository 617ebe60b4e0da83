/**
 * A generation: all that one reading of the config makes (hooks, plugins, policy, tables, routes) as one whole. It never
 * changes; it is counted by its sessions and deliveries, and closed when it is retired and the last of them is done.
 */
import { createAuthentication } from "./authentication/index.ts";
import { readTlsFiles, type DomainClass, type ResolvedConfig } from "./config/index.ts";
import { ConfigError, PluginError } from "./errors.ts";
import type { Generation, GenerationListing, GenerationParts, MailGeneration } from "./generation-contract.ts";
import { createHooks, type Hooks } from "./hooks/index.ts";
import type { Blob } from "./message/index.ts";
import type { Envelope, Recipient, Session } from "./model/index.ts";
import {
  checkFilters,
  checkListeners,
  createOwnAddresses,
  createPluginHost,
  createRegistrations,
  createTableProvider,
  guardHandover,
  setUpPlugins,
  type GatewayParts,
  type OwnAddresses,
  type PluginInstance,
  type Registrations,
  type TableProvider,
} from "./plugin/index.ts";
import {
  compilePolicies,
  createVocabulary,
  ListCompiler,
  type Policy,
  type PolicyScope,
  type Vocabulary,
} from "./policy/index.ts";
import { combineRewriters, createQualifier, rewriteReport, type Rewriters } from "./rewrite/index.ts";
import {
  createAddressBook,
  createClientNetworks,
  createOwnEndpoints,
  movedRoute,
  openRouting,
  withBounces,
  withMoved,
  type AddressBook,
  type ClientNetworks,
  type ResolveRoute,
  type Routing,
  type TransportNames,
} from "./routing/index.ts";
import { createScanning, type Scanning, type ScannerStatus } from "./scanning/index.ts";
import type { SessionGeneration, SmtpSettings } from "./smtp/index.ts";
import type { StateStore } from "./state/index.ts";
import { createTableRegistry, type TablePurpose, type TableRegistry, type TableSpec } from "./tables/index.ts";

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
    ...(parts.trace === undefined ? { observer: hooks.table.lookup } : { wrap: parts.trace.table }),
    provide: (type) => packages.provide(type),
  });
  const { file, hostname, directory } = config;
  const { searchFrom } = parts;
  const packages = createTableProvider({
    host: createPluginHost({ file, directory, searchFrom }),
    folders: [directory, ...searchFrom],
    setUp: (late) => setUpPlugins(late, gatewayParts, { guard }),
  });
  let own: OwnAddresses | undefined;
  const { proxyInterfaces, listeners } = config;
  const endpoints = createOwnEndpoints({ clock, proxyInterfaces, listening: parts.listening ?? (() => listeners) });
  const ours = createOwnAddresses(config, () => own);
  const gatewayParts: GatewayParts = {
    addresses: ours,
    routing: Object.freeze({ relayhost: config.relayhost, ...endpoints }),
    hostname,
    directory,
    clock,
    dns: resolver,
    recipientDelimiter: config.recipientDelimiter,
    messageSizeBytes: config.limits.messageSizeBytes,
    hooks,
    tables,
    vocabulary,
    registrations,
    guard,
    ...(parts.dry === true && { dry: true }),
    space: (name, options) => {
      const brought = broughtStore(registrations);
      return parts.trace === undefined
        ? (brought ?? parts).space(name, options)
        : parts.trace.space(name, options, brought);
    },
    log: (level, plugin, text) => parts.log(level, plugin, text),
  };
  try {
    const plugins = await setUpPlugins(instances, gatewayParts, { guard });
    try {
      requireAuthenticator(config, registrations);
      const openTable = (spec: TableSpec, purpose?: TablePurpose) => tables.open(spec, purpose);
      const warn = (text: string): void => parts.log("warn", "core", text);
      const scope = { directory, openTable, warn };
      const networks = await createClientNetworks(config.networks, { ...scope, path: "networks" });
      const isAlias = (address: string) => rewriter.isAlias(address);
      const { recipientDelimiter } = config;
      const book = await createAddressBook(config.domains, { ...scope, recipientDelimiter, isAlias });
      own = { book, networks };
      const { origin } = ours;
      const smtp = await readSmtpSettings(config, origin);
      const rewriters = [...registrations.rewriters].map(([, registered]) => registered);
      const rewriter = combineRewriters(createQualifier(origin), rewriters, guard, {
        maxHeaderBytes: config.limits.headerSizeBytes,
      });
      if (
        rewriters.every(({ value }) => value.isAlias === undefined) &&
        hasItems(config.domains.virtualAlias.domains)
      ) {
        warn("domains.virtualAlias: no plugin brings aliases, so nobody exists there; @postern/plugin-rewrite does");
      }
      const transports = transportNames(registrations);
      const routing = await openRouting(config, {
        addresses: book,
        transports,
        clock,
        openTable,
        own: endpoints,
        origin,
      });
      const handover = registrations.handovers.get("handover");
      if (handover !== undefined && parts.foreign === true) {
        throw new PluginError(handover.owner.name, `it hands messages over, and ${foreignHandover}`);
      }
      if (handover !== undefined) {
        const names = listeners.map(({ name }) => name);
        checkListeners(handover, names);
        checkFilters(handover, (destination) => void routing.routeFor(destination, ""));
      }
      const route = movedRoute(routing.route, rewriter);
      const addresses = withMoved(withBounces(book, routing, isAlias), rewriter);
      const policyScope: PolicyScope = {
        clock,
        guard,
        addresses,
        openTable,
        checkFilter: (destination) => {
          if (parts.foreign === true) throw new ConfigError(`FILTER ${destination}: ${foreignFilter}`);
          void routing.routeFor(destination, "");
        },
        answersForRecipients: parts.foreign !== true,
        note: parts.note,
        trace: parts.trace?.word,
      };
      const policies = await compilePolicies(config.policy, listeners, vocabulary, policyScope);
      await compileLists(config, registrations, vocabulary, policyScope);
      await plugins.ready();
      return new BuiltGeneration({
        config,
        hooks,
        registrations,
        vocabulary,
        tables,
        packages,
        plugins,
        smtp,
        networks,
        rewriter,
        route,
        routeFor: routing.routeFor,
        policies,
        addresses,
        parts,
        instances,
      });
    } catch (error) {
      await plugins.close();
      throw error;
    }
  } catch (error) {
    await tables.close();
    await packages.close();
    throw error;
  }
}

const foreignHandover = "those of whoever asks are not ours to give away";
const foreignFilter = "whoever asks has no transports of ours; its own settings say where mail is filtered";

function broughtStore(registrations: Registrations): StateStore | undefined {
  return registrations.stateStores.get("state store")?.value;
}

/** A listener that asks for logins nobody could answer would turn everybody away. */
function requireAuthenticator({ listeners }: ResolvedConfig, { authenticators }: Registrations): void {
  const index = listeners.findIndex(({ auth }) => auth !== "off");
  if (index < 0 || authenticators.size > 0) return;
  const { name, auth } = listeners[index] as ResolvedConfig["listeners"][number];
  throw new ConfigError(
    `listeners[${index}]: listener ${name} takes logins (auth: "${auth}"), and no plugin knows passwords; @postern/plugin-auth does`,
  );
}

async function readSmtpSettings(
  { hostname, limits, tls, policy }: ResolvedConfig,
  origin: string,
): Promise<SmtpSettings> {
  const { showDecision } = policy;
  const shared = { hostname, origin, limits: { ...limits, sessionsPerMinute: undefined }, showDecision };
  if (tls === undefined) return shared;
  return { ...shared, tls: await readTlsFiles(tls) };
}

/** The lists that plugins ask themselves; classes are those of the config. */
async function compileLists(
  { policy: { classes = {} } }: ResolvedConfig,
  { lists }: Registrations,
  words: Vocabulary,
  scope: PolicyScope,
): Promise<void> {
  if (lists.length === 0) return;
  const compiler = new ListCompiler(classes, words, scope);
  for (const list of lists) await list.compile(compiler);
}

function transportNames({ transports }: Registrations): TransportNames {
  return {
    has: (name) => transports.get(name) !== undefined,
    names: () => [...transports].map(([name]) => name),
  };
}

const hasItems = (items: DomainClass["domains"]): boolean => !Array.isArray(items) || items.length > 0;

interface Built {
  readonly config: ResolvedConfig;
  readonly hooks: Hooks;
  readonly registrations: Registrations;
  readonly vocabulary: Vocabulary;
  readonly tables: TableRegistry;
  readonly packages: TableProvider;
  readonly plugins: Awaited<ReturnType<typeof setUpPlugins>>;
  readonly smtp: SmtpSettings;
  readonly networks: ClientNetworks;
  readonly rewriter: Rewriters;
  readonly route: ResolveRoute;
  readonly routeFor: Routing["routeFor"];
  readonly policies: (listener: string) => Policy;
  readonly addresses: AddressBook;
  readonly parts: GenerationParts;
  readonly instances: readonly PluginInstance[];
}

class BuiltGeneration implements Generation {
  readonly number = (lastNumber += 1);
  readonly #built: Built;
  readonly #session: Omit<SessionGeneration, "release" | "renew">;
  readonly #delivery: MailGeneration;
  readonly #scanning: Scanning;
  #users = 0;
  #retired: (() => void) | undefined;
  #closed: Promise<void> | undefined;

  constructor(built: Built) {
    this.#built = built;
    const { hooks, registrations, smtp, networks, rewriter, route, routeFor, policies, parts } = built;
    const scanners = [...registrations.scanners].map(([, { value }]) => value);
    const authenticators = [...registrations.authenticators].map(([, registered]) => registered);
    const handover = registrations.handovers.get("handover");
    const scanning = createScanning(scanners, parts.guard, {
      clock: parts.clock,
      warn: (plugin, text) => parts.log("warn", plugin, text),
    });
    this.#scanning = scanning;
    this.#session = Object.freeze({
      hooks,
      settings: smtp,
      networks,
      resolver: parts.lookUpClients ? parts.resolver : undefined,
      startPolicy: (listener: string) => policies(listener).start(),
      rewriter,
      authenticate: authenticators.length === 0 ? undefined : createAuthentication(authenticators, parts.guard),
      scan: scanners.length === 0 ? undefined : (ask) => scanning.scan(ask),
      beginScan: scanning.begin,
      handOver: handover === undefined ? undefined : guardHandover(handover, parts.guard, parts.dry),
    });
    this.#delivery = Object.freeze({
      hooks,
      route: (recipient: Recipient, sender: string) => route({ address: recipient.address, sender }),
      routeFor,
      transport: (name: string) => registrations.transports.get(name),
      rewrite: (envelope: Envelope, content: Blob) => rewriteReport(rewriter, envelope, content),
      rewriteOutbound: rewriter.rewriteOutbound,
      release: () => this.#leave(),
    });
  }

  get config(): ResolvedConfig {
    return this.#built.config;
  }

  get hooks(): Hooks {
    return this.#built.hooks;
  }

  get stateStore(): StateStore | undefined {
    return broughtStore(this.#built.registrations);
  }

  get users(): number {
    return this.#users;
  }

  get listing(): GenerationListing {
    const { hooks, registrations, vocabulary, tables, instances, policies, addresses, networks } = this.#built;
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
      scanners: [...registrations.scanners].map(([, { owner, value }]) => ({
        ...described(owner.name, value.scanner),
        asksService: value.scanner.asksService !== false,
      })),
      handover: registrations.handovers.get("handover")?.owner.name,
      tableTypes: tables.types(),
      openTables: () => tables.opened(),
      lists: (listener) => policies(listener).lists,
      addresses,
      networks,
    };
  }

  scanners(): Readonly<Record<string, ScannerStatus>> {
    return this.#scanning.status();
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

  forDelivery(): MailGeneration {
    this.#users += 1;
    return this.#delivery;
  }

  retire(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  abandon(): void {
    this.#retired?.();
  }

  #leave(): void {
    this.#users -= 1;
    if (this.#users === 0) this.#retired?.();
  }

  async #close(): Promise<void> {
    if (this.#users > 0) await new Promise<void>((resolve) => (this.#retired = resolve));
    const { hooks, packages, plugins, tables } = this.#built;
    // What was reported is told before those who are told are closed.
    await Promise.all(hooks.reports.map((hook) => hook.drained()));
    await plugins.close();
    await tables.close();
    await packages.close();
  }
}
