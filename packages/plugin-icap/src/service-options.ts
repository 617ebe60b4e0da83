/** What a service says of itself when asked by OPTIONS (RFC 3507 §4.10.2). */
import { fault } from "./fault.ts";
import type { Fields } from "./fields.ts";

export interface ServiceOptions {
  /** Octets shown before the rest; `undefined`: the service wants no preview. */
  readonly preview: number | undefined;
  /** Extensions that are to be sent whole, without a preview; `*` for all that no other list names. */
  readonly complete: ReadonlySet<string>;
  readonly maxConnections: number;
  /** The state of its configuration and signatures. */
  readonly istag: string | undefined;
  /** How long this holds. */
  readonly ttlMs: number;
}

/** Where a service says nothing of how long, and the most that is believed. */
const defaultTtlMs = 3_600_000;
const longestTtlMs = 86_400_000;
/** More would be held in memory before anything is heard. */
const largestPreview = 1024 * 1024;

/** Of a service that does not know OPTIONS. */
export const unknownOptions: ServiceOptions = Object.freeze({
  preview: undefined,
  complete: new Set<string>(),
  maxConnections: Infinity,
  istag: undefined,
  ttlMs: 60_000,
});

/** Throws `ScannerFailure` when the service does not offer `method`. */
export function readServiceOptions(fields: Fields, method: string): ServiceOptions {
  if (fields.get("methods") !== undefined && !fields.lists("methods", method.toLowerCase())) {
    throw fault(`the service does not offer ${method}`);
  }
  const preview = readNumber(fields.get("preview"));
  const ttl = readNumber(fields.get("options-ttl"));
  const connections = readNumber(fields.get("max-connections"));
  const complete = (fields.get("transfer-complete") ?? "").toLowerCase().split(/[\s,]+/);
  return {
    preview: preview === undefined ? undefined : Math.min(preview, largestPreview),
    complete: new Set(complete.filter((extension) => extension !== "")),
    maxConnections: connections === undefined || connections === 0 ? Infinity : connections,
    istag: fields.get("istag"),
    ttlMs: ttl === undefined || ttl === 0 ? defaultTtlMs : Math.min(ttl * 1000, longestTtlMs),
  };
}

/** How much of a file is shown first. A `Transfer-Ignore` is not heeded: nothing goes unscanned because of its name. */
export function previewFor({ preview, complete }: ServiceOptions, name: string): number | undefined {
  const extension = /\.([^.]+)$/.exec(name)?.[1]?.toLowerCase() ?? "";
  return complete.has(extension) ? undefined : preview;
}

function readNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}
