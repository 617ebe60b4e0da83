/** Imports a plugin's file and takes the definition out of it. */
import { dirname } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { ConfigError } from "../errors.ts";
import { importAsModules } from "../config/modules.ts";
import { findDistrust, type TrustScope } from "../config/trust.ts";
import { apiVersion, isPluginDefinition, type PluginDefinition } from "./definition.ts";

/** Throws `ConfigError` with one sentence. `isLocal`: named by a path, not a package. */
export async function importPlugin(file: string, isLocal: boolean, trust: TrustScope): Promise<PluginDefinition> {
  const distrust = findDistrust(file, trust);
  // Whoever may write our own code needs no plugin to become root.
  if (distrust !== undefined && (isLocal || findDistrust(fileURLToPath(import.meta.url), trust) === undefined)) {
    throw new ConfigError(`${file}: ${distrust}`);
  }
  if (isLocal) importAsModules(dirname(file));
  let module: unknown;
  try {
    module = await import(pathToFileURL(file).href);
  } catch (error) {
    throw new ConfigError(importFault(file, error), { cause: error });
  }
  return checkDefinition(definitionOf(module), file);
}

function importFault(file: string, error: unknown): string {
  const { code, message } = error as Partial<NodeJS.ErrnoException>;
  if (code === "ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING") {
    return `${file} is TypeScript, which Node does not run below node_modules: the package must publish JavaScript`;
  }
  if (code === "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX") {
    return `${file} uses TypeScript that cannot be erased (enum, namespace, parameter property)`;
  }
  return `${file} cannot be imported: ${(message ?? String(error)).split("\n")[0]}`;
}

/** The default export; one level deeper when a CommonJS build wraps it. */
function definitionOf(module: unknown): unknown {
  const exported = (module as { default?: unknown }).default;
  const inner = (exported as { default?: unknown } | undefined)?.default;
  return !isPluginDefinition(exported) && isPluginDefinition(inner) ? inner : exported;
}

function checkDefinition(found: unknown, file: string): PluginDefinition {
  if (!isPluginDefinition(found)) {
    throw new ConfigError(`${file} has no plugin as its default export; write export default definePlugin({ … })`);
  }
  const { name } = found;
  if (typeof name !== "string" || !/^[a-z][a-z0-9-]*$/.test(name)) {
    throw new ConfigError(`${file}: a plugin's name is lower case, digits and hyphens, not ${JSON.stringify(name)}`);
  }
  if (found.apiVersion !== apiVersion) {
    const advice = found.apiVersion > apiVersion ? "update Postern" : "update the plugin";
    throw new ConfigError(
      `plugin ${name} was written for plugin API ${String(found.apiVersion)} and this Postern has ${apiVersion}; ${advice}`,
    );
  }
  if (typeof found.options?.safeParseAsync !== "function") {
    throw new ConfigError(`plugin ${name} has no schema as its "options"; write options: z.strictObject({})`);
  }
  if (typeof found.setup !== "function") throw new ConfigError(`plugin ${name} has no function "setup"`);
  return found;
}
