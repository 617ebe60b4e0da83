/** Finding, loading and checking a config; units and secrets for plugins' options. Starts nothing. */
export { describeConfig, type Setting } from "./describe.ts";
export { explainIssues } from "./explain.ts";
export { onError } from "./failure.ts";
export { checkFolderOwners, checkFolders, checkStateOwner } from "./folders.ts";
export { configNames, findConfig, systemFolder, type FindOptions } from "./find.ts";
export { loadConfig, type LoadedConfig, type LoadOptions } from "./load.ts";
export { addressList, clientList, tableSpec, type MatchItem, type MatchItems } from "./match-items.ts";
export { didYouMean, findNearest } from "./nearest.ts";
export { cidr, domain, nextHop, serviceAddress, serviceAddresses } from "./network.ts";
export { ConfigProblems, type Problem } from "./problem.ts";
export {
  resolveConfig,
  type DomainClass,
  type ListenerConfig,
  type PluginEntry,
  type PolicyListEntry,
  type PolicyLists,
  type ResolvedConfig,
  type ResolveOptions,
} from "./resolve.ts";
export { configSchema, defineConfig, type Config, type ConfigExport } from "./schema.ts";
export { listSchemaOptions, type SchemaOption } from "./schema-listing.ts";
export { Secret, secret, type SecretSource } from "./secret.ts";
export { readTlsFiles, type TlsFiles } from "./tls-files.ts";
export { duration, parseDuration, parseSize, size, type UnitRange, type UnitSchema } from "./units.ts";
