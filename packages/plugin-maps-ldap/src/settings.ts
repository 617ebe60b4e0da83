/** The parameters of ldap_table(5), read once. Everything an operator can get wrong is found here, at opening. */
import { parseTemplate } from "@postern/core";
import type { DatabaseParameters, Template } from "@postern/core";
import type { SecureContextOptions } from "node:tls";
import { parseFilter } from "./filter.ts";
import { quoteForFilter } from "./quoting.ts";
import { readServers } from "./servers.ts";
import type { Server } from "./servers.ts";
import { readTlsSettings } from "./tls-settings.ts";

export type Bind =
  | { readonly kind: "none" }
  | { readonly kind: "simple"; readonly dn: string; readonly password: string }
  /** SASL EXTERNAL: the server knows us by the socket or by our certificate. */
  | { readonly kind: "external"; readonly authorization: string };

export type TlsSettings = SecureContextOptions & { readonly rejectUnauthorized: boolean };

/** All that tells one connection from another; tables in which it is equal share theirs. */
export interface ConnectionSettings {
  readonly servers: readonly Server[];
  readonly timeoutMs: number;
  readonly bind: Bind;
  readonly dereference: "never" | "search" | "find" | "always";
  readonly startTls: boolean;
  readonly tls: TlsSettings;
}

/** Attributes by what is done with their values; asked for in this order. */
export interface ResultAttributes {
  readonly terminal: readonly string[];
  readonly leaf: readonly string[];
  readonly ordinary: readonly string[];
  readonly special: readonly string[];
}

export interface QuerySettings {
  readonly base: Template;
  readonly filter: Template;
  readonly scope: "base" | "one" | "sub";
  readonly attributes: ResultAttributes;
  readonly recursionLimit: number;
  readonly sizeLimit: number;
  /** The operator counts on answers that we do not fetch. */
  readonly needsReferrals: boolean;
}

/** Throws `ConfigError`. `warn` hears of what is accepted and does nothing. */
export function readConnectionSettings(
  parameters: DatabaseParameters,
  directory: string,
  warn: (message: string) => void,
): ConnectionSettings {
  const port = parameters.integer("server_port", 389, { min: 1, max: 65_535 });
  const words = parameters.list("server_host");
  const servers = readServers(words.length === 0 ? ["localhost"] : words, port, `table ${parameters.label}`);
  const timeoutMs = parameters.milliseconds("timeout", 10_000);
  if (timeoutMs === 0) throw parameters.mistake("timeout", "nothing answers in no time");
  // There is but one protocol today; servers refuse version 2.
  parameters.integer("version", 3, { min: 2, max: 3 });
  parameters.integer("debuglevel", 0);
  const startTls = parameters.flag("start_tls", false);
  if (startTls && servers.some(({ secure }) => secure)) {
    throw parameters.mistake("start_tls", "does not go with ldaps://, which has TLS from the start");
  }
  return {
    servers,
    timeoutMs,
    bind: readBind(parameters, warn),
    dereference: (["never", "search", "find", "always"] as const)[
      parameters.integer("dereference", 0, { min: 0, max: 3 })
    ] as ConnectionSettings["dereference"],
    startTls,
    tls: readTlsSettings(parameters, directory, warn),
  };
}

function readBind(parameters: DatabaseParameters, warn: (message: string) => void): Bind {
  const word = parameters.text("bind", "yes").toLowerCase();
  const dn = parameters.text("bind_dn", "");
  const password = parameters.text("bind_pw", "");
  const mechanisms = parameters.list("sasl_mechs");
  const authorization = parameters.text("sasl_authz_id", "");
  parameters.text("sasl_realm");
  const strength = parameters.integer("sasl_minssf", 0, { min: 0, max: 4096 });
  if (["no", "none", "false"].includes(word)) return { kind: "none" };
  if (["yes", "simple", "true"].includes(word)) {
    if (dn !== "" && password === "") {
      warn(`table ${parameters.label}: bind_dn without bind_pw: most servers refuse such a bind`);
    }
    return { kind: "simple", dn, password };
  }
  if (word !== "sasl") throw parameters.mistake("bind", `expected yes, no or sasl, not "${word}"`);
  if (mechanisms.length > 0 && !mechanisms.some((name) => name.toUpperCase() === "EXTERNAL")) {
    throw parameters.mistake("sasl_mechs", "EXTERNAL is the only mechanism there is");
  }
  if (strength > 0) throw parameters.mistake("sasl_minssf", "EXTERNAL adds no layer of security of its own");
  return { kind: "external", authorization };
}

/** Throws `ConfigError`. */
export function readQuerySettings(parameters: DatabaseParameters, warn: (message: string) => void): QuerySettings {
  const { label } = parameters;
  // An empty base is a choice of the operator, none at all is a slip.
  const baseText = parameters.isEmpty("search_base") ? "" : parameters.required("search_base");
  const base = parseTemplate(baseText, label);
  if (parameters.isEmpty("query_filter")) throw parameters.mistake("query_filter", "it may not be empty");
  const filter = parseTemplate(parameters.text("query_filter", "(mailacceptinggeneralid=%s)"), label);
  checkFilter(filter, parameters);
  if (!hasFields(filter)) warn(`table ${label}: the query_filter "${filter.text}" has no key in it`);
  const scope = parameters.text("scope", "sub").toLowerCase();
  if (scope !== "base" && scope !== "one" && scope !== "sub") {
    throw parameters.mistake("scope", `expected sub, base or one, not "${scope}"`);
  }
  const needsReferrals = parameters.flag("chase_referrals", false);
  if (needsReferrals) {
    warn(`table ${label}: chase_referrals: referrals are not followed; what a server refers elsewhere is unavailable`);
  }
  for (const key of ["cache", "cache_expiry", "cache_size"]) {
    if (parameters.text(key) !== undefined) warn(`table ${label}: ${key} does nothing, as in Postfix`);
  }
  const ordinary = parameters.list("result_attribute");
  return {
    base,
    filter,
    scope,
    attributes: {
      terminal: parameters.list("terminal_result_attribute"),
      leaf: parameters.list("leaf_result_attribute"),
      ordinary: ordinary.length === 0 && !parameters.isEmpty("result_attribute") ? ["maildrop"] : ordinary,
      special: parameters.list("special_result_attribute"),
    },
    recursionLimit: parameters.integer("recursion_limit", 1000, { min: 1 }),
    sizeLimit: parameters.integer("size_limit", parameters.integer("expansion_limit", 0, { min: 0 }), { min: 0 }),
    needsReferrals,
  };
}

export function hasFields(template: Template): boolean {
  return template.pieces.some((piece) => typeof piece !== "string");
}

/** Has all the parts that a template may ask for. */
const sampleKey = "sample@a.b.c.d.e.f.g.h.i";

function checkFilter(template: Template, parameters: DatabaseParameters): void {
  try {
    parseFilter(template.expand(sampleKey, quoteForFilter) ?? "");
  } catch (error) {
    if (error instanceof SyntaxError) throw parameters.mistake("query_filter", error.message);
    throw error;
  }
}
