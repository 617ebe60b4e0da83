/** From what is written to what is used: checked, defaults filled in, paths absolute, units in the names, frozen. */
import { hostname as systemName } from "node:os";
import { dirname, join, resolve } from "node:path";
import { canonicalDomain, isFqdn } from "../address/domain.ts";
import type { AddressClass } from "../model/envelope.ts";
import { explainIssues } from "./explain.ts";
import { ConfigProblems, formatPath, type Problem } from "./problem.ts";
import type { TableSpec } from "../model/table-spec.ts";
import type { MatchItem, MatchItems } from "./match-items.ts";
import { configSchema, pluginKeys, unavailableKeys, type ParsedConfig } from "./schema.ts";

/** `"word argument"` or `["word", argument, …]`. */
export type PolicyListEntry = string | readonly [word: string, ...args: unknown[]];

/** `connect` to `message`; what is absent was not given. */
export type PolicyLists = Readonly<
  Partial<Record<"connect" | "helo" | "mail" | "relay" | "rcpt" | "data" | "message", readonly PolicyListEntry[]>>
>;

export interface DomainClass {
  readonly domains: MatchItems;
  /** Addresses and tables; absent: everybody exists. */
  readonly recipients?: MatchItems;
}

export interface ListenerConfig {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly xclient: readonly string[];
  readonly proxy: readonly string[];
  readonly lineEndings: "reject" | "normalize";
  readonly tls: "starttls" | "required" | "implicit" | "off";
  readonly auth: "off" | "offered" | "required";
  readonly authWithoutTls: boolean;
  readonly authenticatedHeader: boolean;
  readonly banner: string;
  /** Lists in place of the global ones. */
  readonly policy: PolicyLists;
}

export interface ResolvedConfig {
  /** The config file, or what the embedded one calls itself. */
  readonly file: string;
  /** Its folder, absolute: paths and plugins resolve from here. */
  readonly directory: string;
  readonly hostname: string;
  /** Absent: what is ours says it. */
  readonly origin: string | undefined;
  readonly networks: MatchItems;
  readonly domains: Readonly<Record<Exclude<AddressClass, "default">, DomainClass>>;
  readonly recipientDelimiter: string;
  readonly listeners: readonly ListenerConfig[];
  readonly tls: { readonly key: string; readonly cert: string } | undefined;
  readonly plugins: readonly PluginEntry[];
  readonly policy: {
    readonly lists: PolicyLists;
    readonly classes: Readonly<Record<string, readonly PolicyListEntry[]>>;
    readonly delayReject: boolean;
    readonly mixed: "reject-all" | "discard" | "quarantine";
    /** Refusals end in the decision's id. */
    readonly showDecision: boolean;
  };
  /** One next-hop, or several by commas. */
  readonly relayhost: string | undefined;
  /** Transport tables, in the order in which they are asked. */
  readonly routes: readonly TableSpec[];
  readonly senderRelayhosts: readonly TableSpec[];
  readonly senderTransports: readonly TableSpec[];
  /** `transport:nexthop` by class; what is absent was not given. */
  readonly transports: Readonly<Partial<Record<"local" | "virtualMailbox" | "relay" | "default", string>>>;
  /** Addresses that lead to us from outside. */
  readonly proxyInterfaces: readonly string[];
  readonly queue: {
    readonly directory: string;
    readonly minFreeBytes: number;
    readonly segmentSizeBytes: number;
    readonly minBackoffMs: number;
    readonly maxBackoffMs: number;
    readonly lifetimeMs: number;
  };
  readonly state: { readonly directory: string; readonly store: "sqlite" | "memory" };
  readonly quarantine: {
    readonly directory: string;
    readonly lifetimeMs: number;
    readonly maxSizeBytes: number;
    readonly minFreeBytes: number;
  };
  readonly delivery: { readonly concurrency: number; readonly total: number; readonly timeoutMs: number };
  readonly bounce: { readonly sizeLimitBytes: number; readonly lifetimeMs: number };
  readonly dns: {
    readonly servers: readonly string[] | undefined;
    readonly timeoutMs: number;
    readonly attempts: number;
    readonly deadlineMs: number;
    readonly cacheEntries: number;
    readonly minTtlMs: number;
    readonly maxTtlMs: number;
    readonly maxNegativeTtlMs: number;
    readonly failureTtlMs: number;
  };
  readonly limits: {
    readonly messageSizeBytes: number;
    readonly recipients: number;
    readonly sessions: number;
    readonly sessionsPerClient: number;
    readonly errors: number;
    readonly junkCommands: number;
    readonly commandLineBytes: number;
    readonly commandTimeoutMs: number;
    readonly dataTimeoutMs: number;
    readonly minRateBytesPerSecond: number;
    readonly headerSizeBytes: number;
    readonly hops: number;
  };
  readonly control: { readonly directory: string };
}

/** A plugin's entry with its place in the file. */
export interface PluginEntry {
  /** Package name, or a path from the config's folder. */
  readonly specifier: string;
  readonly options: Readonly<Record<string, unknown>>;
  /** Index in `plugins`; behind the last for an entry that a top-level key stands for. */
  readonly index: number;
  /** The top-level key whose value the options are. */
  readonly key?: string;
}

/** Where an entry stands in the file. */
export function placeOf({ key, index }: PluginEntry): readonly PropertyKey[] {
  return key === undefined ? ["plugins", index] : [key];
}

/** Where its options stand. */
export function optionsPlaceOf({ key, index }: PluginEntry): readonly PropertyKey[] {
  return key === undefined ? ["plugins", index, 1] : [key];
}

export interface ResolveOptions {
  readonly file: string;
  readonly systemHostname?: string;
}

/** Throws `ConfigProblems` with every mistake at once. */
export function resolveConfig(written: object, options: ResolveOptions): ResolvedConfig {
  const { file } = options;
  const refused = findUnavailable(written, file);
  const known = Object.fromEntries(Object.entries(written).filter(([key]) => !unavailableKeys.includes(key)));
  const parsed = configSchema.safeParse(known);
  const wrong = parsed.success
    ? findContradictions(parsed.data, options)
    : explainIssues(parsed.error.issues, { file, schema: configSchema, value: known });
  // Values that the refusals speak of already are not spoken of twice.
  const problems = [...refused, ...wrong.filter(({ path }) => !refused.some((other) => other.path === path))];
  if (problems.length > 0 || !parsed.success) throw new ConfigProblems(problems);
  return freezeDeep(assemble(parsed.data, options));
}

/** Values, beside keys, that the design has and this version has not. */
const unavailableValues: readonly (readonly [path: readonly string[], value: (found: unknown) => boolean])[] = [
  [["processes"], (found) => typeof found === "string" && found !== "single"],
];

function findUnavailable(written: object, file: string): Problem[] {
  const keys = unavailableKeys
    .filter((key) => Object.hasOwn(written, key))
    .map((key) => ({ file, path: key, message: `"${key}" is not available in this version of Postern` }));
  const values = unavailableValues.flatMap(([path, isUnavailable]) => {
    const found = path.reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], written);
    const at = formatPath(path);
    const message = `${at}: ${JSON.stringify(found)} is not available in this version of Postern`;
    return isUnavailable(found) ? [{ file, path: at, message }] : [];
  });
  return [...keys, ...values];
}

/** What no single key can know. */
function findContradictions(parsed: ParsedConfig, { file, systemHostname }: ResolveOptions): Problem[] {
  const problems: Problem[] = [];
  const add = (path: string, message: string): void =>
    void problems.push({ file, path, message: `${path}: ${message}` });
  if (parsed.hostname === undefined && !isFqdn(systemHostname ?? systemName())) {
    add(
      "hostname",
      `the system's name "${systemHostname ?? systemName()}" has no domain; write ours, as "mx.example.com"`,
    );
  }
  const classes = new Map<string, string>();
  for (const [name, given] of Object.entries(parsed.domains)) {
    for (const domain of listOf(domainClass(given).domains)) {
      // What stands in tables is seen when they are open.
      if (typeof domain !== "string" || canonicalDomain(domain) === undefined) continue;
      const other = classes.get(domain);
      if (other !== undefined)
        add(`domains.${name}`, `"${domain}" is in domains.${other} already; a domain has one class`);
      classes.set(domain, name);
    }
  }
  const names = new Map<string, number>();
  const addresses = new Map<string, number>();
  for (const [index, listener] of parsed.listeners.entries()) {
    const name = listenerName(listener);
    const other = names.get(name);
    if (other !== undefined && (listener.name !== undefined || listener.port !== 0)) {
      const what = listener.name === undefined ? "the address" : "the name";
      add(`listeners[${index}]`, `"${name}" is ${what} of listeners[${other}] already`);
    }
    names.set(name, index);
    const address = listenerName({ ...listener, name: undefined });
    const taken = addresses.get(address);
    if (taken !== undefined && taken !== other && listener.port !== 0) {
      add(`listeners[${index}]`, `"${address}" is the address of listeners[${taken}] already`);
    }
    addresses.set(address, index);
    const { profile, tls = tlsOf(profile), auth = authOf(profile), authWithoutTls } = listener;
    const asked = listener.tls === undefined && profile !== undefined ? "profile" : "tls";
    if (parsed.tls === undefined && tls !== undefined && tls !== "off") {
      add(`listeners[${index}].${asked}`, `"${listener[asked]}" needs a key and a certificate in the top-level "tls"`);
    } else if (
      auth !== "off" &&
      !authWithoutTls &&
      (tls ?? (parsed.tls === undefined ? "off" : "starttls")) === "off"
    ) {
      add(
        `listeners[${index}].auth`,
        `without TLS no password is taken; give the top-level "tls", or say "authWithoutTls": true`,
      );
    }
  }
  for (const { key = "", specifier } of keyedEntries(parsed)) {
    const at = parsed.plugins.findIndex((entry) => (typeof entry === "string" ? entry : entry[0]) === specifier);
    if (at >= 0) add(key, `stands for the entry of ${specifier}, and plugins[${at}] is one already; keep one of them`);
  }
  const quarantined = parsed.quarantine.directory;
  const from = dirname(file);
  if (quarantined !== undefined && resolve(from, quarantined) === resolve(from, parsed.queue.directory)) {
    add("quarantine.directory", "is queue.directory; the quarantine needs a folder of its own");
  }
  if (parsed.queue.minBackoff > parsed.queue.maxBackoff) add("queue.minBackoff", "is longer than queue.maxBackoff");
  return problems;
}

type Listener = ParsedConfig["listeners"][number];

/** What a profile says where its listener says nothing (RFC 6409, RFC 8314). */
const tlsOf = (profile: Listener["profile"]): Listener["tls"] =>
  profile === undefined ? undefined : profile === "submission" ? "required" : "implicit";
const authOf = (profile: Listener["profile"]): "off" | "required" => (profile === undefined ? "off" : "required");
// What the global lists say of strangers is not for users. `message` stays: what is in a message is no matter of who sent it.
const submissionLists: PolicyLists = {
  connect: [],
  helo: [],
  mail: [],
  relay: ["permit_sasl_authenticated", "reject"],
  rcpt: [],
  data: [],
};

const listenerName = ({ name, host, port }: ParsedConfig["listeners"][number]): string =>
  name ?? (host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`);

function domainClass(given: ParsedConfig["domains"]["local"]): DomainClass {
  if (typeof given === "string" || Array.isArray(given) || !isParts(given)) return { domains: given };
  const { domains, recipients } = given;
  return recipients === undefined ? { domains } : { domains, recipients };
}

interface ClassParts {
  readonly domains: MatchItems;
  readonly recipients?: MatchItems | undefined;
}

/** Not a table as an object. */
function isParts(given: object): given is ClassParts {
  return !("type" in given);
}

function listOf<T extends MatchItem>(items: T | readonly T[]): readonly T[] {
  return Array.isArray(items) ? (items as readonly T[]) : [items as T];
}

function assemble(parsed: ParsedConfig, { file, systemHostname }: ResolveOptions): ResolvedConfig {
  const directory = resolve(dirname(file));
  const { queue, limits, policy, domains } = parsed;
  const { classes, delayReject, mixed, showDecision, ...lists } = policy;
  const queueDirectory = resolve(directory, queue.directory);
  const beside = (name: string, given: string | undefined): string =>
    given === undefined ? join(dirname(queueDirectory), name) : resolve(directory, given);
  return {
    file,
    directory,
    hostname: parsed.hostname ?? (systemHostname ?? systemName()).toLowerCase(),
    origin: parsed.origin,
    networks: parsed.networks,
    domains: {
      local: domainClass(domains.local),
      relay: domainClass(domains.relay),
      virtualAlias: domainClass(domains.virtualAlias),
      virtualMailbox: domainClass(domains.virtualMailbox),
    },
    recipientDelimiter: parsed.recipientDelimiter,
    listeners: parsed.listeners.map((listener) => ({
      name: listenerName(listener),
      host: listener.host,
      port: listener.port,
      xclient: listener.xclient,
      proxy: listener.proxy,
      lineEndings: listener.lineEndings,
      tls: listener.tls ?? tlsOf(listener.profile) ?? (parsed.tls === undefined ? "off" : "starttls"),
      auth: listener.auth ?? authOf(listener.profile),
      authWithoutTls: listener.authWithoutTls,
      authenticatedHeader: listener.authenticatedHeader,
      banner: listener.banner ?? "Postern",
      policy: { ...(listener.profile === undefined ? {} : submissionLists), ...definedLists(listener.policy ?? {}) },
    })),
    tls:
      parsed.tls === undefined
        ? undefined
        : { key: resolve(directory, parsed.tls.key), cert: resolve(directory, parsed.tls.cert) },
    plugins: [...parsed.plugins.map(pluginEntry), ...keyedEntries(parsed)],
    policy: { lists: definedLists(lists), classes, delayReject, mixed, showDecision },
    relayhost: parsed.relayhost,
    routes: parsed.routes === undefined ? [] : listOf(parsed.routes),
    senderRelayhosts: parsed.senderRelayhosts === undefined ? [] : listOf(parsed.senderRelayhosts),
    senderTransports: parsed.senderTransports === undefined ? [] : listOf(parsed.senderTransports),
    transports: defined(parsed.transports),
    proxyInterfaces: parsed.proxyInterfaces,
    queue: {
      directory: queueDirectory,
      minFreeBytes: queue.minFree,
      segmentSizeBytes: queue.segmentSize,
      minBackoffMs: queue.minBackoff,
      maxBackoffMs: queue.maxBackoff,
      lifetimeMs: queue.lifetime,
    },
    state: { directory: beside("state", parsed.state.directory), store: parsed.state.store },
    quarantine: {
      directory: beside("quarantine", parsed.quarantine.directory),
      lifetimeMs: parsed.quarantine.lifetime,
      maxSizeBytes: parsed.quarantine.maxSize,
      minFreeBytes: parsed.quarantine.minFree ?? queue.minFree,
    },
    delivery: {
      concurrency: parsed.delivery.concurrency,
      total: parsed.delivery.total,
      timeoutMs: parsed.delivery.timeout,
    },
    bounce: { sizeLimitBytes: parsed.bounce.sizeLimit, lifetimeMs: parsed.bounce.lifetime },
    dns: {
      servers: parsed.dns.servers,
      timeoutMs: parsed.dns.timeout,
      attempts: parsed.dns.attempts,
      deadlineMs: parsed.dns.deadline,
      cacheEntries: parsed.dns.cacheEntries,
      minTtlMs: parsed.dns.minTtl,
      maxTtlMs: parsed.dns.maxTtl,
      maxNegativeTtlMs: parsed.dns.maxNegativeTtl,
      failureTtlMs: parsed.dns.failureTtl,
    },
    limits: {
      messageSizeBytes: limits.messageSize,
      recipients: limits.recipients,
      sessions: limits.sessions,
      sessionsPerClient: limits.sessionsPerClient,
      errors: limits.errors,
      junkCommands: limits.junkCommands,
      commandLineBytes: limits.commandLine,
      commandTimeoutMs: limits.commandTimeout,
      dataTimeoutMs: limits.dataTimeout,
      minRateBytesPerSecond: limits.minRate,
      headerSizeBytes: limits.headerSize,
      hops: limits.hops,
    },
    control: { directory: beside("run", parsed.control.directory) },
  };
}

function pluginEntry(entry: ParsedConfig["plugins"][number], index: number): PluginEntry {
  return typeof entry === "string"
    ? { specifier: entry, options: {}, index }
    : { specifier: entry[0], options: entry[1] ?? {}, index };
}

function keyedEntries(parsed: ParsedConfig): PluginEntry[] {
  return Object.entries(pluginKeys).flatMap(([key, specifier], at) => {
    const options = parsed[key as keyof typeof pluginKeys];
    return options === undefined ? [] : [{ specifier, options, index: parsed.plugins.length + at, key }];
  });
}

function definedLists(lists: object): PolicyLists {
  return defined(lists);
}

function defined<T extends object>(given: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

/** Options of plugins may hold anything: only plain objects and lists are frozen. */
function freezeDeep<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (!Array.isArray(value) && prototype !== Object.prototype && prototype !== null) return value;
  for (const inner of Object.values(value)) freezeDeep(inner);
  return Object.freeze(value);
}
