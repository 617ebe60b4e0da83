/**
 * `@postern/core`: what configs, plugins, the command line and the testkit import. All types, and of the code what one of them
 * needs; the inside of the gateway (sessions, stores, scheduler, compilers) is reached by `createRuntime` alone.
 */

// Words of the field, for everybody: errors, replies, verdicts, outcomes, addresses. They do no I/O.
export * from "./address/index.ts";
export * from "./errors.ts";
export * from "./model/index.ts";

// For configs and plugins.
export {
  addressList,
  cidr,
  clientList,
  defineConfig,
  domain,
  duration,
  nextHop,
  onError,
  parseDuration,
  Secret,
  secret,
  serviceAddress,
  serviceAddresses,
  size,
  tableSpec,
} from "./config/index.ts";
export {
  applyEdits,
  createFileBlob,
  createMemoryBlob,
  createMessage,
  decodeWords,
  defaultMimeLimits,
  formatDate,
  header,
  headerOctets,
  MimeAmbiguity,
  MimeLimit,
  openMessage,
  parseStructured,
  partsInMemory,
  receivedHeader,
  receivedProtocol,
  walkParts,
  tagSubject,
} from "./message/index.ts";
export { definePlugin, listenOn, smtpHandOver, SmtpNotHanded } from "./plugin/index.ts";
export { Breaker, policyFor } from "./guard/index.ts";
export {
  EngineServers,
  infected,
  infectedTreatments,
  namePattern,
  NoSlot,
  reachAtStart,
  Slots,
  unscannedHeader,
  warnOfLargeMessages,
} from "./scanning/index.ts";
export { createRemoteStateStore } from "./state/index.ts";
export { AccessTable, fitEnhanced, readAccessRule, rejectUnlisted, relayDenied, subjectOf } from "./policy/index.ts";
export {
  accessAddressKeys,
  addressForms,
  addressKeys,
  checkEntries,
  createMemoryTable,
  describeEntry,
  domainKeys,
  EntryMap,
  findFirst,
  foldKey,
  hostOf,
  isGrouped,
  logicalLines,
  longestAnswer,
  networkKeys,
  parseTemplate,
  readAnswerRules,
  readSqlQuery,
  readTableFile,
  readTableParameters,
  searchOrders,
  senderKeys,
  Shared,
  splitWords,
  unmatchedExtension,
  withExtension,
  withoutBraces,
} from "./tables/index.ts";

// For the command line and those who embed a gateway.
export {
  checkFolderOwners,
  checkFolders,
  checkStateOwner,
  ConfigProblems,
  configNames,
  configSchema,
  describeConfig,
  explainIssues,
  findConfig,
  listSchemaOptions,
  loadConfig,
  resolveConfig,
} from "./config/index.ts";
export { askControl } from "./control/index.ts";
export {
  createPluginHost,
  createTableProvider,
  findTablePackages,
  hostOptions,
  importPlugin,
  resolvePlugin,
} from "./plugin/index.ts";
export { salvageQueue, verifyQueue } from "./queue/index.ts";
export { checkConfig } from "./config-check.ts";
export { createConversations } from "./conversation/index.ts";
export { createExplainer, proveConfig } from "./explain/index.ts";
export { parseRefusalLine } from "./smtp/index.ts";
export { createRuntime } from "./runtime.ts";

// For tests: the parts that can be tried alone, and their stand-ins in memory.
export { createResolver, createStaticResolver } from "./dns/index.ts";
export { createGuard, defaultDeadlineMs, Failed, InvalidAnswer } from "./guard/index.ts";
export { createHooks, listHooks } from "./hooks/index.ts";
export { createRegistrations, setUpPlugins } from "./plugin/index.ts";
export {
  checkAnswer,
  compilePolicy,
  createVocabulary,
  describeSubject,
  knownWords,
  rejectedText,
  stages,
} from "./policy/index.ts";
export { createNamelessFiles, createSoundSpool, createSpooler } from "./message/index.ts";
export { createMemoryStore, createSegmentStore } from "./queue/index.ts";
export { createAddressBook, createOwnEndpoints } from "./routing/index.ts";
export { checkFinding } from "./scanning/index.ts";
export { connectInProcess } from "./smtp/index.ts";
export { createMemoryStateStore } from "./state/index.ts";
export { createTableRegistry } from "./tables/index.ts";

export type * from "./authentication/index.ts";
export type * from "./config/index.ts";
export type * from "./control/index.ts";
export type * from "./conversation/index.ts";
export type * from "./delivery/index.ts";
export type * from "./dns/index.ts";
export type * from "./explain/index.ts";
export type * from "./generation-contract.ts";
export type * from "./guard/index.ts";
export type * from "./hooks/index.ts";
export type * from "./message/index.ts";
export type * from "./plugin/index.ts";
export type * from "./quarantine/index.ts";
export type * from "./policy/index.ts";
export type * from "./queue/index.ts";
export type * from "./rewrite/index.ts";
export type * from "./routing/index.ts";
export type * from "./runtime-contract.ts";
export type * from "./scanning/index.ts";
export type * from "./smtp/index.ts";
export type * from "./state/index.ts";
export type * from "./tables/index.ts";
