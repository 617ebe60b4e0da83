/**
 * The argument of `check_policy_service`: a service's name in the config, an address, or Postfix's form with settings of its own,
 * `{ inet:host:port, timeout=10s, default_action=DUNNO }`.
 */
import { ConfigError, isGrouped, splitWords, withoutBraces } from "@postern/core";
import { parseAddress, isAddress } from "../address.ts";
import { serviceOptions, type Options, type ServiceOptions } from "../options.ts";
import type { ServiceSettings } from "./service.ts";

/** Postfix's names, and the options that they are here. */
const keys: Readonly<Record<string, keyof ServiceOptions>> = Object.freeze({
  timeout: "timeout",
  max_idle: "maxIdle",
  max_ttl: "maxTtl",
  request_limit: "requestLimit",
  default_action: "defaultAction",
  try_limit: "tryLimit",
  retry_delay: "retryDelay",
  policy_context: "context",
});
const numbers: ReadonlySet<string> = new Set(["request_limit", "try_limit"]);

/** Throws `ConfigError`. */
export function readSettings(argument: string, services: Options["services"], directory: string): ServiceSettings {
  const [name = "", ...more] = splitWords(withoutBraces(argument.trim()));
  if (isAddress(name)) return settingsOf(name, { address: name, ...readPairs(more) }, directory);
  const service = Object.hasOwn(services, name) ? services[name] : undefined;
  if (service === undefined) {
    const known = Object.keys(services);
    const advice = known.length === 0 ? "" : `; known are ${known.join(", ")}`;
    throw new ConfigError(
      `"${name}" is no service in the options of @postern/plugin-policy and no address such as "inet:127.0.0.1:10023"${advice}`,
    );
  }
  if (more.length > 0) throw new ConfigError(`settings of "${name}" stand in the options of @postern/plugin-policy`);
  return settingsFrom(name, service, directory);
}

/** `name=value`, or `{name = value with blanks}`. */
function readPairs(words: readonly string[]): Record<string, unknown> {
  const pairs: Record<string, unknown> = {};
  for (const word of words) {
    const pair = withoutBraces(word);
    const equals = pair.indexOf("=");
    const name = pair.slice(0, Math.max(equals, 0)).trim();
    const key = keys[name];
    if (key === undefined) {
      throw new ConfigError(`"${pair}" is no setting of a policy service; they are ${Object.keys(keys).join(", ")}`);
    }
    const value = pair.slice(equals + 1).trim();
    const plain = isGrouped(value) ? withoutBraces(value) : value;
    if (numbers.has(name)) pairs[key] = /^\d+$/.test(plain) ? Number(plain) : plain;
    // A time without a unit is in seconds, as in Postfix.
    else pairs[key] = key !== "defaultAction" && key !== "context" && /^\d+$/.test(plain) ? `${plain}s` : plain;
  }
  return pairs;
}

function settingsOf(name: string, written: Record<string, unknown>, directory: string): ServiceSettings {
  const parsed = serviceOptions.safeParse(written);
  if (parsed.success) return settingsFrom(name, parsed.data, directory);
  const [issue] = parsed.error.issues;
  const key = issue?.path[0];
  const postfix = Object.entries(keys).find(([, own]) => own === key)?.[0] ?? String(key);
  throw new ConfigError(`${postfix}: ${issue?.message ?? "is wrong"}`);
}

function settingsFrom(name: string, service: ServiceOptions, directory: string): ServiceSettings {
  const { address: text, timeout, retryDelay, maxIdle, maxTtl, ...rest } = service;
  const address = parseAddress(text, directory);
  if (address === undefined) throw new ConfigError(`"${text}" is no address of a policy service`);
  return { name, address, timeoutMs: timeout, retryDelayMs: retryDelay, maxIdleMs: maxIdle, maxTtlMs: maxTtl, ...rest };
}
