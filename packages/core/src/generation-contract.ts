/** What a generation is given, and what is asked of it: by the runtime, sessions, deliveries, and commands that only look. */
import type { ResolvedConfig } from "./config/index.ts";
import type { DeliveryGeneration } from "./delivery/index.ts";
import type { Resolver } from "./dns/index.ts";
import type { Guard } from "./guard/index.ts";
import type { Hooks } from "./hooks/index.ts";
import type { Blob } from "./message/index.ts";
import type { Clock, Envelope } from "./model/index.ts";
import type { GatewayParts, PluginInstance } from "./plugin/index.ts";
import type { Policy, PolicyScope, WordListing, WordTrace } from "./policy/index.ts";
import type { AddressBook, ClientNetworks } from "./routing/index.ts";
import type { ScannerStatus } from "./scanning/index.ts";
import type { SessionGeneration } from "./smtp/index.ts";
import type { SpaceOptions, StateSpace, StateStore, StateValue } from "./state/index.ts";
import type { LookupTable, TableRegistry } from "./tables/index.ts";

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
  /** Another mail server asks about its own mail: nothing is relayed or delivered from here. */
  readonly foreign?: boolean;
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
  readonly scanners: readonly {
    readonly name: string;
    readonly description: string;
    readonly plugin: string;
    readonly asksService: boolean;
  }[];
  /** The plugin that has the last word on messages; `undefined`: none. */
  readonly handover: string | undefined;
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
  /** How its scanners fare, by name. */
  scanners(): Readonly<Record<string, ScannerStatus>>;
  forSession(sessionId?: string): SessionGeneration;
  forDelivery(): MailGeneration;
  /** Takes no new users; closes tables and plugins when the last one is done. Resolves then. */
  retire(): Promise<void>;
  /** Whoever is not done is not waited for any more: its session is over, and its answer is nobody's. */
  abandon(): void;
}
