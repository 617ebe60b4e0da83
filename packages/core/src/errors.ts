/**
 * The error catalogue. `message` is for the log and the operator; a peer never sees it. A code is never reused.
 * Errors carry a brand, so that `instanceof` holds between two installed copies of core.
 */

/** Every code with what it means and whether trying again may help. The reference page is made from this object. */
export const errorCatalogue = Object.freeze({
  CONFIG_INVALID: {
    temporary: false,
    doc: "The config file cannot be read, has a wrong key, type or value, or may be written by others.",
  },
  PLUGIN_INVALID: { temporary: false, doc: "A plugin cannot be found, loaded or set up, or needs what is not there." },
  PLUGIN_FAILED: {
    temporary: true,
    doc: "A plugin threw, rejected, or gave an answer that its contract does not know.",
  },
  DEADLINE_EXCEEDED: { temporary: true, doc: "A plugin, table or service did not answer before its deadline." },
  TABLE_UNAVAILABLE: {
    temporary: true,
    doc: "A lookup table could not be asked. This is never the same as not found.",
  },
  SCANNER_FAILED: {
    temporary: true,
    doc: "A scanner gave no verdict: it is down, slow, or refused the message's size.",
  },
  DNS_UNAVAILABLE: { temporary: true, doc: "A DNS question got no answer: time-out, SERVFAIL or no server." },
  STORE_UNAVAILABLE: { temporary: true, doc: "The queue or state store could not read or write." },
  STORE_FULL: {
    temporary: true,
    doc: "The disk of the queue or the quarantine is too full to take another message, or the quarantine has all that it may have.",
  },
  STORE_DAMAGED: { temporary: false, doc: "A record of the store is damaged and cannot be read." },
  STORE_LOCKED: { temporary: false, doc: "Another living process uses this queue folder." },
  LISTEN_FAILED: { temporary: false, doc: "A listener cannot take its address: the port is in use or not permitted." },
  CONTROL_UNAVAILABLE: { temporary: true, doc: "No running gateway answers on the control socket." },
  DELIVERY_FAILED: { temporary: true, doc: "A transport ended without an outcome for a recipient." },
} as const satisfies Record<string, { temporary: boolean; doc: string }>);

export type ErrorCode = keyof typeof errorCatalogue;

const brand = Symbol.for("postern.error");

export interface PosternErrorOptions {
  cause?: unknown;
  /** Overrides the catalogue: a store that is damaged for one message may be temporary for the next. */
  temporary?: boolean;
}

export class PosternError extends Error {
  readonly code: ErrorCode;
  /** May trying again later help? Unknown counts as yes. */
  readonly temporary: boolean;

  constructor(code: ErrorCode, message: string, options: PosternErrorOptions = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.name = new.target.name;
    this.code = code;
    this.temporary = options.temporary ?? errorCatalogue[code].temporary;
    Object.defineProperty(this, brand, { value: [...brandsOf(new.target)] });
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    const brands = (value as { [brand]?: readonly string[] } | null | undefined)?.[brand];
    return Array.isArray(brands) && brands.includes(this.name);
  }
}

function* brandsOf(type: { name: string }): Generator<string> {
  for (
    let current = type;
    typeof current === "function" && current !== Error;
    current = Object.getPrototypeOf(current)
  ) {
    yield current.name;
  }
}

/** A mistake of the operator: one clear sentence with file, path and remedy. The command ends with EX_CONFIG (78). */
export class ConfigError extends PosternError {
  constructor(message: string, options: PosternErrorOptions = {}) {
    super("CONFIG_INVALID", message, options);
  }
}

/** A plugin that cannot be loaded or set up; names the plugin. */
export class PluginError extends PosternError {
  readonly plugin: string;
  constructor(plugin: string, message: string, options: PosternErrorOptions = {}) {
    super("PLUGIN_INVALID", `plugin ${plugin}: ${message}`, options);
    this.plugin = plugin;
  }
}

/** The table could not be asked: never "not found". All the way to the wire this is 451. */
export class TableUnavailable extends PosternError {
  readonly table: string;
  /** The table is alive, this key alone has no answer: too many results, a pattern over its limit. Opens no breaker. */
  readonly onlyThisKey: boolean;
  constructor(table: string, message: string, options: PosternErrorOptions & { readonly onlyThisKey?: boolean } = {}) {
    super("TABLE_UNAVAILABLE", `table ${table}: ${message}`, options);
    this.table = table;
    this.onlyThisKey = options.onlyThisKey === true;
  }
}

/** DNS gave no answer (time-out, SERVFAIL). NXDOMAIN and an empty answer are answers, not errors. */
export class DnsUnavailable extends PosternError {
  constructor(message: string, options: PosternErrorOptions = {}) {
    super("DNS_UNAVAILABLE", message, options);
  }
}

/**
 * Why a call into a plugin gave no answer. A scanner's own: `down` cannot be reached, `tooLarge` refuses the size, `unscannable` cannot make
 * sense of the content (damaged, nested too deep, over a limit of the engine), `encrypted` could not look inside.
 */
export const failureReasons = Object.freeze([
  "error",
  "timeout",
  "invalid",
  "down",
  "tooLarge",
  "unscannable",
  "encrypted",
] as const);
export type FailureReason = (typeof failureReasons)[number];

/** A scanner's own word for why it gave no verdict; `onError` may tell the reasons apart. */
export class ScannerFailure extends PosternError {
  readonly reason: FailureReason;
  constructor(reason: FailureReason, message: string, options: PosternErrorOptions = {}) {
    super("SCANNER_FAILED", message, options);
    this.reason = reason;
  }
}

/**
 * What was thrown, in words, for the log; never throws. Where all addresses of a name have failed node says an `AggregateError` that has a
 * code and no words.
 */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) {
    try {
      return String(error);
    } catch {
      return typeof error; // it cannot be made a text
    }
  }
  return error.message === "" ? ((error as NodeJS.ErrnoException).code ?? error.name) : error.message;
}
