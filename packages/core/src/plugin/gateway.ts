/** What a plugin gets in its hand. It grows with its first users and cannot be reached round. */
import type { AddressClass, Clock, MaybePromise, Session } from "../model/index.ts";
import type { OnError } from "../guard/owner.ts";
import type { PluginHooks } from "../hooks/index.ts";
import type { Authenticator } from "../authentication/index.ts";
import type { Resolver } from "../dns/resolver.ts";
import type { BuildTable, LookupTable, OpenTable, TablePurpose, TableSpec } from "../tables/table.ts";
import type { Host, MatchItems, MatchList } from "../tables/index.ts";
import type { SpaceOptions, StateSpace, StateStore, StateValue } from "../state/state-store.ts";
import type { Judge, PolicyEntry, Restriction } from "../policy/restriction.ts";
import type { Rewriter } from "../rewrite/rewriter.ts";
import type { Scanner } from "../scanning/scanner.ts";
import type { Transport } from "../delivery/transport.ts";
import type { Handover } from "./handover.ts";

export interface Gateway {
  /** This instance's name: the plugin's, or `as` from the config. */
  readonly name: string;
  /** The config's hostname. */
  readonly hostname: string;
  /** The config's folder, absolute: relative paths in options resolve from here. */
  readonly directory: string;
  /** The entry's `onError`; `undefined` when it has none. */
  readonly onError: OnError | undefined;
  /** The entry's `deadline`; `undefined` when it has none. */
  readonly deadlineMs: number | undefined;
  readonly clock: Clock;
  readonly dns: Resolver;
  /** The config's `recipientDelimiter`, a set of characters, for `splitExtension`; empty for none. */
  readonly recipientDelimiter: string;
  /** The config's `limits.messageSize`: no message is larger. */
  readonly messageSizeBytes: number;
  readonly log: PluginLog;
  /**
   * A failure that the plugin has answered by itself, as one with several engines does: counted and told as the gateway's own, in bounded
   * numbers. `point` names the engine.
   */
  failed(point: string, error: unknown): void;
  /** A config is only checked or explained: a plugin then listens on nothing and starts nothing of its own. */
  readonly dry: boolean;
  readonly hooks: PluginHooks;
  /**
   * Teaches the policy language a word. Words are unique in a gateway: a plugin that makes sense twice names its word by
   * `gateway.name`, so that `as` gives each instance its own.
   */
  restriction<Args extends readonly unknown[]>(restriction: Restriction<Args>): void;
  readonly policy: {
    /**
     * A list of the policy language for whom the plugin asks, such as the clients of another mail server. It is compiled before ready, for
     * every stage; a word is left out at stages where it cannot stand. `path` says in messages where it is written.
     */
    use(entries: readonly PolicyEntry[], path: string): UsedList;
  };
  readonly tables: {
    /**
     * Registers a table type: how a table of it is opened, a sentence for `postern table list`, and for `postern table build` how its file
     * is made when it has one.
     */
    register(type: string, open: OpenTable, description?: string, build?: BuildTable): void;
    /** A handle on a table; it is opened before ready, for the purpose that is given. */
    use(spec: TableSpec, purpose?: TablePurpose): UsedTable;
  };
  /** Match lists as options hold them (`clientList()`, `addressList()`); opened before ready. `path` says in errors where they are written. */
  readonly lists: {
    /** Clients by address, network or name; a name covers its subdomains. */
    clients(items: MatchItems, path: string): UsedMatchList<Host>;
    /** Mail addresses: `user@domain`, `@domain` for everybody there, `user` for that user of any domain. */
    addresses(items: MatchItems, path: string): UsedMatchList<string>;
  };
  /** Which domains are ours; known from ready on. */
  readonly addresses: GatewayAddresses;
  /** What a transport must know about the way back to us. */
  readonly routing: GatewayRouting;
  /** Closed with the plugin. */
  transport(transport: Transport): void;
  /** Without an `onError` of its own it gets the entry's, which must then be there. */
  scanner(scanner: Scanner): void;
  /**
   * Changes addresses of every accepted message before it is queued, and of mail that leaves by SMTP, after the rewriters that were registered
   * before. The gateway's own reports pass through it too. Its failures always defer.
   */
  rewriter(rewriter: Rewriter): void;
  /**
   * Knows who clients of AUTH are. Those of all plugins are asked in order until one accepts; a failure is temporary (454) whatever
   * `onError` says.
   */
  authenticator(authenticator: Authenticator): void;
  /** Has the last word on every accepted message before it is queued. Only one plugin may. */
  handover(handover: Handover): void;
  /**
   * A named space of the state store; open from ready on. Names are the plugin's own: two plugins never share one by accident. Calls
   * throw, or reject with, STORE_UNAVAILABLE.
   */
  store<V extends StateValue>(name: string, options?: SpaceOptions): StateSpace<V>;
  /**
   * Brings the state store of this generation, in place of the gateway's own. It connects at its first use; the gateway sweeps it, and
   * closes it after the last plugin. Only one plugin may.
   */
  stateStore(store: StateStore): void;
  /** A typed slot per session, freed with it. `init` makes the first value. */
  sessionState<T>(init: (session: Session) => T): (session: Session) => T;
  /** Offers a service to plugins that come later. */
  provide<T>(service: Service<T>, value: T): void;
  /** A service that an earlier plugin provides. Throws `PluginError` when none does. */
  use<T>(service: Service<T>): T;
  /** After every plugin is set up and before the first session. A throw keeps the generation from starting. */
  onReady(call: () => MaybePromise<void>): void;
  /** When the generation's last session and delivery are done; in reverse order of plugins. */
  onClose(call: () => MaybePromise<void>): void;
}

/** Throws `TableUnavailable` when it depends on a table that cannot be asked: neither yes nor no. */
export type UsedMatchList<Question> = Pick<MatchList<Question>, "matches">;

/** A table that the gateway opens and closes. Before ready every property but `lookup`, which throws `TableUnavailable`, throws `PluginError`. */
export type UsedTable = Omit<LookupTable, "close">;

/**
 * A list in a plugin's hand. What its words say together, `undefined` at its end: one verdict at most, beside it the effects and the
 * deferrals that were remembered. A word that fails has answered by its plugin's `onError`. No relay guard stands behind it.
 */
export interface UsedList {
  readonly judge: Judge;
}

export interface GatewayAddresses {
  /** The domain that addresses without one get: the config's `origin`, else the first of our own with mailboxes, else our host name. */
  readonly origin: string;
  /** "default" when the domain is none of ours. Throws `TableUnavailable`. */
  classOf(domain: string): MaybePromise<AddressClass>;
  /** Is a client with this address in the config's `networks`? Throws `TableUnavailable`. */
  inNetworks(address: string | undefined): MaybePromise<boolean>;
}

export interface GatewayRouting {
  /** The config's relayhost: what is wrong with it is the operator's to mend, so its mail waits. */
  readonly relayhost: string | undefined;
  /** An address of this machine or of a proxy before it. Loopback is always ours. */
  isOwnAddress(address: string): boolean;
  /** A connection there would come to one of our own listeners. */
  isOwnEndpoint(address: string, port: number): boolean;
}

/** A service's name with its type. */
export interface Service<T> {
  readonly name: string;
  /** Only for the type. */
  readonly type?: T;
}

/** For humans at work; each line carries the plugin's name and passes `logText`. */
export interface PluginLog {
  debug(text: string): void;
  info(text: string): void;
  warn(text: string): void;
}
