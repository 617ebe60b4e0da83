/**
 * A generation: all that one reading of the config makes (hooks, plugins, policy, tables, routes) as one whole. It never
 * changes; it is counted by its sessions and deliveries, and closed when it is retired and the last of them is done.
 */
import { createAuthentication } from "./authentication/index.ts";
import { readTlsFiles, type ResolvedConfig, type DomainClass } from "./config/index.ts";
import type { DeliveryGeneration } from "./delivery/index.ts";
import type { Resolver } from "./dns/index.ts";
import { ConfigError } from "./errors.ts";
import type { Guard } from "./guard/index.ts";
import { createHooks, type Hooks } from "./hooks/index.ts";
import { createMessage, type Blob } from "./message/index.ts";
import { after, type Clock, type Envelope, type MaybePromise, type Recipient, type Session } from "./model/index.ts";
import {
  createPluginHost,
  createRegistrations,
  createTableProvider,
  type TableProvider,
  setUpPlugins,
  type GatewayAddresses,
  type GatewayParts,
  type PluginInstance,
  type Registrations,
} from "./plugin/index.ts";
import {
  compilePolicy,
  createVocabulary,
  ListCompiler,
  type Policy,
  type PolicyScope,
  type Vocabulary,
  type WordListing,
  type WordTrace,
} from "./policy/index.ts";
import {
  combineRewriters,
  createQualifier,
  type OutboundMail,
  type Rewriters,
  type RewriteTrace,
} from "./rewrite/index.ts";
import {
  createAddressBook,
  createClientNetworks,
  createOwnEndpoints,
  openRouting,
  withBounces,
  type AddressBook,
  type ClientNetworks,
  type OpenAddressBook,
  type ResolveRoute,
  type Routing,
  type TransportNames,
} from "./routing/index.ts";
import { createScanning } from "./scanning/index.ts";
import type { SessionGeneration, SmtpSettings } from "./smtp/index.ts";
import type { SpaceOptions, StateSpace, StateStore, StateValue } from "./state/index.ts";
import {
  createTableRegistry,
  type LookupTable,
  type TablePurpose,
  type TableRegistry,
  type TableSpec,
} from "./tables/index.ts";

/** What a generation is given by the runtime, which outlives it. */
export interface GenerationParts {
  readonly clock: Clock;
  readonly guard: Guard;
  readonly resolver: Resolver;
  /** The gateway's own state store, for as long as no plugin brings another; asked for when all plugins are set up. */
  readonly space: GatewayParts["space"];
  readonly log: GatewayParts["log"];
  /** Remarks of the policy: `log` effects, and what warn_if_reject let pass. */
  readonly note: PolicyScope["note"];
  /** More folders in which packages are sought, after the config's. */
  readonly searchFrom: readonly string[];
  /** Where the gateway listens now; what the config says unless given. */
  readonly listening?: () => readonly { readonly host: string; readonly port: number }[];
  /** Clients are asked for their names (PTR and back). */
  readonly lookUpClients: boolean;
  /** Nothing will run: a config is checked or explained. */
  readonly dry?: boolean;
  /** Explaining: hears what is asked, and no plugin is told of it. */
  readonly trace?: GenerationTrace | undefined;
}

/** Put round words and tables while a generation is built; one that is built without pays nothing. */
export interface GenerationTrace {
  readonly word: WordTrace;
  readonly table: (table: LookupTable, label: string) => LookupTable;
  /** A plugin's space, in place of the one in the store that a plugin brought, or of the gateway's own. */
  readonly space: <V extends StateValue>(
    name: string,
    options: SpaceOptions | undefined,
    brought: StateStore | undefined,
  ) => StateSpace<V>;
}

/** What is in it, for commands that look and do not start. */
export interface GenerationListing {
  readonly hooks: Hooks;
  readonly words: readonly WordListing[];
  readonly plugins: readonly PluginInstance[];
  readonly transports: readonly { readonly name: string; readonly description: string; readonly plugin: string }[];
  readonly scanners: readonly { readonly name: string; readonly description: string; readonly plugin: string }[];
  readonly tableTypes: ReturnType<TableRegistry["types"]>;
  /** Those that are open; to be asked as long as the generation lives. */
  openTables(): ReturnType<TableRegistry["opened"]>;
  /** The lists that hold for a listener, compiled. */
  lists(listener: string): Policy["lists"];
  /** Who is ours, as the policy knows it. */
  readonly addresses: AddressBook;
  /** Our own clients. */
  readonly networks: ClientNetworks;
}

/** A generation as deliveries and the gateway's own reports see it. */
export interface MailGeneration extends DeliveryGeneration {
  /** Envelope and header of a report, before it is queued. Rejects with `TableUnavailable`. */
  rewrite(envelope: Envelope, content: Blob): Promise<{ readonly envelope: Envelope; readonly content: Blob }>;
}

export interface Generation {
  readonly number: number;
  readonly config: ResolvedConfig;
  readonly hooks: Hooks;
  readonly listing: GenerationListing;
  /** The state store that a plugin brought; `undefined`: the gateway's own serves. */
  readonly stateStore: StateStore | undefined;
  /** Sessions and deliveries that hold it. */
  readonly users: number;
  forSession(sessionId?: string): SessionGeneration;
  forDelivery(): MailGeneration;
  /** Takes no new users; closes tables and plugins when the last one is done. Resolves then. */
  retire(): Promise<void>;
  /** Whoever is not done is not waited for any more: its session is over, and its answer is nobody's. */
  abandon(): void;
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
  const gatewayParts: GatewayParts = {
    addresses: ownAddresses(config, () => own),
    routing: Object.freeze({ relayhost: config.relayhost, ...endpoints }),
    hostname,
    directory,
    clock,
    dns: resolver,
    recipientDelimiter: config.recipientDelimiter,
    hooks,
    tables,
    vocabulary,
    registrations,
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
      const origin = config.origin ?? book.firstDomain ?? hostname;
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
      const route = movedRoute(routing.route, rewriter);
      const addresses = withMoved(withBounces(book, routing, isAlias), rewriter);
      const policyScope: PolicyScope = {
        clock,
        guard,
        addresses,
        openTable,
        checkFilter: (destination) => void routing.routeFor(destination, ""),
        note: parts.note,
        trace: parts.trace?.word,
      };
      const policies = await compilePolicies(config, vocabulary, policyScope);
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

/** What is known of addresses once domains and networks are read. */
interface OwnAddresses {
  readonly book: OpenAddressBook;
  readonly networks: ClientNetworks;
}

/** For plugins, which are set up before it is known which domains are ours. */
function ownAddresses({ hostname, origin }: ResolvedConfig, own: () => OwnAddresses | undefined): GatewayAddresses {
  const known = (): OwnAddresses => {
    const found = own();
    if (found === undefined) throw new ConfigError("our domains and networks are not known before ready");
    return found;
  };
  return Object.freeze({
    get origin() {
      return origin ?? known().book.firstDomain ?? hostname;
    },
    classOf: (domain: string) => known().book.classOf(domain),
    inNetworks: (address: string | undefined) => known().networks.contains(address),
  });
}

function transportNames({ transports }: Registrations): TransportNames {
  return {
    has: (name) => transports.get(name) !== undefined,
    names: () => [...transports].map(([name]) => name),
  };
}

const hasItems = (items: DomainClass["domains"]): boolean => !Array.isArray(items) || items.length > 0;

/** As Postfix's own notices: as if a client of ours had sent it. */
async function rewriteReport(
  rewriter: Rewriters,
  envelope: Envelope,
  content: Blob,
): Promise<{ envelope: Envelope; content: Blob }> {
  const ask = { session: undefined };
  const rewritten = await rewriter.rewrite(envelope, ask);
  if (rewriter.rewriteHeader === undefined) return { envelope: rewritten, content };
  const { raw } = await rewriter.rewriteHeader(createMessage(content), ask);
  return { envelope: rewritten, content: raw };
}

function outboundOf({ rewriteOutbound }: Rewriters): MailGeneration["rewriteOutbound"] {
  if (rewriteOutbound === undefined) return undefined;
  return <M extends OutboundMail>(mail: M, trace?: RewriteTrace) =>
    rewriteOutbound(mail, trace === undefined ? { session: undefined } : { session: undefined, trace });
}

/** Whose owner has moved is told so, whatever else a table says of the address (Postfix's relocated_maps). */
function movedRoute(route: ResolveRoute, { movedTo }: Rewriters): ResolveRoute {
  if (movedTo === undefined) return route;
  return (ask) =>
    after(route(ask), (found) =>
      after(movedTo(ask.address), (place) =>
        place === undefined ? found : { ...found, transport: "error", nextHop: movedText(place) },
      ),
    );
}

/** What would bounce is refused before it is taken; an alias goes elsewhere. */
function withMoved(book: AddressBook, { movedTo, isAlias }: Rewriters): AddressBook {
  if (movedTo === undefined) return book;
  return Object.freeze({
    ...book,
    bounceText: (address: string, sender: string) =>
      after(movedTo(address), (place): MaybePromise<string | undefined> => {
        if (place === undefined) return book.bounceText?.(address, sender);
        return after(isAlias(address), (alias) => (alias ? undefined : movedText(place)));
      }),
  });
}

const movedText = (place: string): string => `5.1.6 User has moved to ${place}`;

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
  #users = 0;
  #retired: (() => void) | undefined;
  #closed: Promise<void> | undefined;

  constructor(built: Built) {
    this.#built = built;
    const { hooks, registrations, smtp, networks, rewriter, route, routeFor, policies, parts } = built;
    const scanners = [...registrations.scanners].map(([, { value }]) => value);
    const authenticators = [...registrations.authenticators].map(([, registered]) => registered);
    const scanning = createScanning(scanners, parts.guard);
    this.#session = Object.freeze({
      hooks,
      settings: smtp,
      networks,
      resolver: parts.lookUpClients ? parts.resolver : undefined,
      startPolicy: (listener: string) => policies(listener).start(),
      rewriter,
      authenticate: authenticators.length === 0 ? undefined : createAuthentication(authenticators, parts.guard),
      scan: scanners.length === 0 ? undefined : (ask) => scanning.scan(ask),
    });
    this.#delivery = Object.freeze({
      hooks,
      route: (recipient: Recipient, sender: string) => route({ address: recipient.address, sender }),
      routeFor,
      transport: (name: string) => registrations.transports.get(name),
      rewrite: (envelope: Envelope, content: Blob) => rewriteReport(rewriter, envelope, content),
      rewriteOutbound: outboundOf(rewriter),
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
      scanners: [...registrations.scanners].map(([, { owner, value }]) => described(owner.name, value.scanner)),
      tableTypes: tables.types(),
      openTables: () => tables.opened(),
      lists: (listener) => policies(listener).lists,
      addresses,
      networks,
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
