/** The `gateway` of one plugin. It registers while `setup` runs and not a moment longer. */
import createDebug from "debug";
import { PluginError } from "../errors.ts";
import type { Authenticator } from "../authentication/index.ts";
import type { Guard } from "../guard/guard.ts";
import type { Resolver } from "../dns/resolver.ts";
import { hooksFor, type Hooks } from "../hooks/index.ts";
import { logText, type Clock, type MaybePromise } from "../model/index.ts";
import type { PolicyEntry, Restriction } from "../policy/restriction.ts";
import type { Vocabulary } from "../policy/vocabulary.ts";
import { coreTransports } from "../routing/route-result.ts";
import { ownScanner } from "../scanning/registration.ts";
import type { SpaceOptions, StateSpace, StateStore, StateValue } from "../state/state-store.ts";
import type { BuildTable, OpenTable, TablePurpose, TableSpec } from "../tables/table.ts";
import type { TableRegistry } from "../tables/registry.ts";
import type { Rewriter } from "../rewrite/rewriter.ts";
import type { Handover } from "./handover.ts";
import type {
  Gateway,
  GatewayAddresses,
  GatewayRouting,
  PluginLog,
  Service,
  UsedList,
  UsedMatchList,
  UsedTable,
} from "./gateway.ts";
import type { PluginInstance } from "./host.ts";
import { SpaceHandle } from "./space-handle.ts";
import { createListHandle } from "./list-handle.ts";
import { createAddressList, createClientList } from "./match-list-handle.ts";
import type { Host, MatchItems } from "../tables/index.ts";
import { createTableHandle, type TableHandle } from "./table-handle.ts";
import type { Registrations } from "./registrations.ts";

/** What a generation lends to its plugins. */
export interface GatewayParts {
  readonly hostname: string;
  readonly directory: string;
  readonly clock: Clock;
  readonly dns: Resolver;
  readonly recipientDelimiter: string;
  /** Unlimited unless given. */
  readonly messageSizeBytes?: number;
  readonly hooks: Hooks;
  readonly tables: Pick<TableRegistry, "register" | "open">;
  readonly vocabulary: Pick<Vocabulary, "register">;
  readonly registrations: Registrations;
  /** Nothing will run: `gateway.dry`. */
  readonly dry?: boolean;
  /** None of the domains are ours unless given. */
  readonly addresses?: GatewayAddresses;
  /** Nothing leads back to us unless given. */
  readonly routing?: GatewayRouting;
  /** A space of the state store; asked for when all plugins are set up. */
  space<V extends StateValue>(name: string, options?: SpaceOptions): StateSpace<V>;
  /** Counts and tells failures; nobody does unless given. */
  readonly guard?: Pick<Guard, "fail">;
  /** `text` is safe for one line. */
  log(level: "info" | "warn", plugin: string, text: string): void;
}

/** A plugin's face to the gateway and what it asked for. */
export interface GatewayHandle {
  readonly gateway: Gateway;
  readonly readyCalls: readonly (() => MaybePromise<void>)[];
  readonly closeCalls: readonly (() => MaybePromise<void>)[];
  /** Ends registration. */
  seal(): void;
  /** Opens its spaces of the state store. */
  openSpaces(): void;
  /** Opens the tables that it uses. Throws `ConfigError`. */
  openTables(): Promise<void>;
}

export function createGateway(instance: PluginInstance, parts: GatewayParts): GatewayHandle {
  const { name, owner } = instance;
  const { registrations, hostname, directory, clock, dns, recipientDelimiter, dry = false } = parts;
  const readyCalls: (() => MaybePromise<void>)[] = [];
  const closeCalls: (() => MaybePromise<void>)[] = [];
  const handles: Pick<TableHandle, "open">[] = [];
  const spaces: { open(): void }[] = [];
  let open = true;

  function assertOpen(): void {
    if (!open) throw new PluginError(name, "everything is registered in setup; it is over");
  }

  const gateway: Gateway = Object.freeze({
    name,
    hostname,
    directory,
    onError: instance.onError,
    deadlineMs: instance.deadlineMs,
    clock,
    dns,
    recipientDelimiter,
    messageSizeBytes: parts.messageSizeBytes ?? Infinity,
    dry,
    log: createLog(name, (level, plugin, text) => parts.log(level, plugin, text)),
    failed: (point: string, error: unknown) => void parts.guard?.fail(owner, logText(point, 80), error),
    hooks: hooksFor(parts.hooks, owner, assertOpen),
    restriction<Args extends readonly unknown[]>(restriction: Restriction<Args>): void {
      assertOpen();
      parts.vocabulary.register(restriction, owner);
    },
    policy: Object.freeze({
      use(entries: readonly PolicyEntry[], path: string): UsedList {
        assertOpen();
        const handle = createListHandle(name, entries, path);
        registrations.lists.push(handle);
        return handle.used;
      },
    }),
    tables: Object.freeze({
      register(type: string, open: OpenTable, description = "", build?: BuildTable): void {
        assertOpen();
        parts.tables.register({ type, description, open, ...(build !== undefined && { build }) }, owner);
      },
      use(spec: TableSpec, purpose: TablePurpose = {}): UsedTable {
        assertOpen();
        const handle = createTableHandle(name, spec, purpose);
        handles.push(handle);
        return handle.used;
      },
    }),
    lists: Object.freeze({
      clients(items: MatchItems, path: string): UsedMatchList<Host> {
        assertOpen();
        const handle = createClientList(name, items, path, directory);
        handles.push(handle);
        return handle.used;
      },
      addresses(items: MatchItems, path: string): UsedMatchList<string> {
        assertOpen();
        const handle = createAddressList(name, items, path, directory, recipientDelimiter);
        handles.push(handle);
        return handle.used;
      },
    }),
    addresses: parts.addresses ?? ofNobody(hostname),
    routing: parts.routing ?? nowhere,
    transport(transport): void {
      assertOpen();
      if (typeof transport?.name !== "string" || !/^[a-z][a-z0-9-]*$/.test(transport.name)) {
        throw new PluginError(name, "a transport needs a name of lower case, digits and hyphens");
      }
      if (coreTransports.includes(transport.name)) {
        throw new PluginError(name, `the transport "${transport.name}" is the gateway's own`);
      }
      if (typeof transport.deliver !== "function" || typeof transport.close !== "function") {
        throw new PluginError(name, `transport ${transport.name} needs the functions "deliver" and "close"`);
      }
      registrations.transports.add(owner, transport.name, transport);
    },
    scanner(scanner): void {
      assertOpen();
      const owned = ownScanner({ name, onError: instance.onError, deadlineMs: instance.deadlineMs }, scanner);
      registrations.scanners.add(owner, scanner.name, owned);
    },
    rewriter(rewriter: Rewriter): void {
      assertOpen();
      if (typeof rewriter?.name !== "string" || typeof rewriter.rewrite !== "function") {
        throw new PluginError(name, 'a rewriter needs a name and the function "rewrite"');
      }
      registrations.rewriters.add(owner, rewriter.name, rewriter);
    },
    authenticator(authenticator: Authenticator): void {
      assertOpen();
      if (typeof authenticator?.name !== "string" || !/^[a-z][a-z0-9-]*$/.test(authenticator.name)) {
        throw new PluginError(name, "an authenticator needs a name of lower case, digits and hyphens");
      }
      if (typeof authenticator.verify !== "function") {
        throw new PluginError(name, `authenticator ${authenticator.name} needs the function "verify"`);
      }
      registrations.authenticators.add(owner, authenticator.name, authenticator);
    },
    handover(handover: Handover): void {
      assertOpen();
      if (typeof handover?.name !== "string" || typeof handover.take !== "function") {
        throw new PluginError(name, 'a handover needs a name and the function "take"');
      }
      registrations.handovers.add(owner, "handover", handover);
    },
    store<V extends StateValue>(space: string, options?: SpaceOptions): StateSpace<V> {
      assertOpen();
      const handle = new SpaceHandle<V>(() => parts.space<V>(`${name}/${space}`, options));
      spaces.push(handle);
      return handle;
    },
    stateStore(store: StateStore): void {
      assertOpen();
      if (typeof store?.space !== "function" || typeof store.sweep !== "function" || typeof store.close !== "function")
        throw new PluginError(name, 'a state store has the functions "space", "sweep" and "close"');
      registrations.stateStores.add(owner, "state store", store);
    },
    sessionState(init): ReturnType<Gateway["sessionState"]> {
      assertOpen();
      return registrations.sessions.slot(init);
    },
    provide<T>(service: Service<T>, value: T): void {
      assertOpen();
      registrations.services.add(owner, service.name, value);
    },
    use<T>(service: Service<T>): T {
      const found = registrations.services.get(service.name);
      if (found !== undefined) return found.value as T;
      throw new PluginError(name, `no plugin before it provides the service "${service.name}"`);
    },
    onReady(call): void {
      assertOpen();
      readyCalls.push(call);
    },
    onClose(call): void {
      assertOpen();
      closeCalls.push(call);
    },
  } as Gateway);

  return {
    gateway,
    readyCalls,
    closeCalls,
    seal: () => {
      open = false;
    },
    openSpaces() {
      for (const space of spaces) space.open();
    },
    async openTables() {
      for (const handle of handles) await handle.open(parts.tables);
    },
  };
}

function ofNobody(origin: string): GatewayAddresses {
  return Object.freeze({ origin, classOf: () => "default" as const, inNetworks: () => false });
}

const nowhere: GatewayRouting = Object.freeze({
  relayhost: undefined,
  isOwnAddress: () => false,
  isOwnEndpoint: () => false,
});

function createLog(name: string, log: GatewayParts["log"]): PluginLog {
  const debug = createDebug(`postern:plugin:${name}`);
  return Object.freeze({
    debug(text: string): void {
      if (debug.enabled) debug("%s", logText(text));
    },
    info: (text: string) => log("info", name, logText(text)),
    warn: (text: string) => log("warn", name, logText(text)),
  });
}
