/** Parameters of tables that are written as objects: those that every table takes, and the refusal of strangers. */
import { didYouMean } from "../config/nearest.ts";
import { parseDuration } from "../config/units.ts";
import { ConfigError } from "../errors.ts";
import type { TableObject, TableParameters } from "./table.ts";

export interface CacheCare {
  readonly ttlMs: number;
  /** The most answers. */
  readonly entries: number;
}

/** What the registry does for a table of any type. */
export interface TableCare {
  readonly cache?: CacheCare;
  readonly deadlineMs?: number;
}

export interface SplitObject {
  readonly type: string;
  readonly name: string;
  readonly care: TableCare;
  /** What is left for the type. */
  readonly parameters: TableParameters;
}

/** Keys of an object that are no parameters of its type. */
const ownKeys = ["type", "name", "cache", "deadline"];
const cacheKeys = ["ttl", "entries"];
const defaultCacheEntries = 10_000;
const mostCacheEntries = 1_000_000;
const longestTtlMs = 86_400_000;
const longestDeadlineMs = 600_000;

/** Throws `ConfigError` that names table and key. */
export function splitObject(object: TableObject): SplitObject {
  const { type, name = "", cache, deadline, ...parameters } = object;
  if (typeof name !== "string") throw new ConfigError(`table ${type}: "name" is what stands after the colon, a text`);
  const label = name === "" ? type : `${type}:${name}`;
  return {
    type,
    name: name.trim(),
    parameters,
    care: {
      ...(cache !== undefined && { cache: readCache(label, cache) }),
      ...(deadline !== undefined && { deadlineMs: readDuration(label, "deadline", deadline, longestDeadlineMs) }),
    },
  };
}

function readCache(label: string, cache: unknown): CacheCare {
  if (typeof cache !== "object" || cache === null || Array.isArray(cache)) {
    throw new ConfigError(
      `table ${label}: "cache" is an object, as in { "ttl": "30s", "entries": ${defaultCacheEntries} }`,
    );
  }
  const { ttl, entries = defaultCacheEntries, ...others } = cache as Record<string, unknown>;
  const stranger = Object.keys(others)[0];
  if (stranger !== undefined) {
    throw new ConfigError(`table ${label}: unknown key "cache.${stranger}"${didYouMean(stranger, cacheKeys)}`);
  }
  if (!Number.isSafeInteger(entries) || Number(entries) < 1 || Number(entries) > mostCacheEntries) {
    throw new ConfigError(`table ${label}: "cache.entries" is a whole number from 1 to ${mostCacheEntries}`);
  }
  return { ttlMs: readDuration(label, "cache.ttl", ttl, longestTtlMs), entries: Number(entries) };
}

function readDuration(label: string, key: string, value: unknown, longestMs: number): number {
  const ms = typeof value === "string" ? parseDuration(value.trim()) : undefined;
  if (ms === undefined || ms < 1 || ms > longestMs) {
    throw new ConfigError(
      `table ${label}: "${key}" is a duration such as "500ms" or "30s", at most "${longestMs / 1000}s"`,
    );
  }
  return ms;
}

/**
 * For a type that takes the parameters `known`, none unless said: throws `ConfigError` for the first other one, with the nearest
 * of those that an object of this type may have.
 */
export function refuseParameters(label: string, parameters: TableParameters, known: readonly string[] = []): void {
  const stranger = Object.keys(parameters).find((key) => !known.includes(key));
  if (stranger === undefined) return;
  throw new ConfigError(`table ${label}: unknown key "${stranger}"${didYouMean(stranger, [...known, ...ownKeys])}`);
}
