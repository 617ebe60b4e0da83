/** The policy of one listener in one generation: its lists, compiled. Immutable; what a session gathers is in `SessionJudge`. */
import type { PolicyLists } from "../config/resolve.ts";
import { ConfigError } from "../errors.ts";
import type { Guard } from "../guard/guard.ts";
import type { AddressBook } from "../routing/address-book.ts";
import { ListCompiler, type PolicyScope } from "./compile.ts";
import type { CompiledList } from "./list-run.ts";
import { mixedPolicies, type MixedPolicy } from "./at-message.ts";
import { stages, type PolicyEntry, type Stage } from "./restriction.ts";
import { SessionJudge } from "./session-judge.ts";
import type { Vocabulary } from "./vocabulary.ts";

export interface PolicyConfig {
  readonly lists: PolicyLists;
  readonly classes?: Readonly<Record<string, readonly PolicyEntry[]>>;
  /** Refusals by `connect`, `helo` and `mail` are said at RCPT. Default true. */
  readonly delayReject?: boolean;
  /** "reject-all" unless said otherwise. */
  readonly mixed?: MixedPolicy;
}

/** A listener's own lists, in place of the global ones of the same stage. */
export interface ListenerPolicy {
  /** `listeners[0].policy`. */
  readonly path: string;
  readonly lists: PolicyLists;
}

export interface Policy {
  readonly lists: Readonly<Record<Stage, CompiledList>>;
  readonly delayReject: boolean;
  readonly mixed: MixedPolicy;
  readonly addresses: AddressBook;
  /** As of `PolicyScope`. */
  readonly answersForRecipients: boolean;
  readonly guard: Guard;
  readonly note: PolicyScope["note"];
  /** For one session; a new one when XCLIENT made another client of it. */
  start(): SessionJudge;
}

/** Stands when the config gives no `relay`. Words that no plugin taught are left out: then only the relay guard decides. */
const defaultRelayList = Object.freeze([
  "permit_mynetworks",
  "permit_sasl_authenticated",
  "reject_unauth_destination",
] as const);

/** Throws `ConfigError` for a mistake of the operator, `PluginError` for a word that cannot be compiled. */
export async function compilePolicy(
  config: PolicyConfig,
  vocabulary: Vocabulary,
  scope: PolicyScope,
  listener?: ListenerPolicy,
): Promise<Policy> {
  const { mixed = "reject-all" } = config;
  if (!mixedPolicies.includes(mixed)) {
    throw new ConfigError(`policy.mixed: "${String(mixed)}" is not one of ${mixedPolicies.join(", ")}`);
  }
  const { delayReject = true } = config;
  const compiler = new ListCompiler(config.classes ?? {}, vocabulary, scope, delayReject);
  const lists: Partial<Record<Stage, CompiledList>> = {};
  for (const stage of stages) {
    const { path, entries } = source(stage, config, vocabulary, listener);
    lists[stage] = { stage, words: await compiler.compile(entries, path, stage) };
  }
  const policy: Policy = Object.freeze({
    lists: Object.freeze(lists as Record<Stage, CompiledList>),
    delayReject,
    mixed,
    addresses: scope.addresses,
    answersForRecipients: scope.answersForRecipients ?? true,
    guard: scope.guard,
    note: scope.note,
    start: () => new SessionJudge(policy),
  });
  return policy;
}

/** The global policy, and one for each listener that has lists of its own; by listener's name. Throws as `compilePolicy`. */
export async function compilePolicies(
  config: PolicyConfig,
  listeners: readonly { readonly name: string; readonly policy: PolicyLists }[],
  vocabulary: Vocabulary,
  scope: PolicyScope,
): Promise<(listener: string) => Policy> {
  const global = await compilePolicy(config, vocabulary, scope);
  const own = new Map<string, Policy>();
  for (const [index, { name, policy: lists }] of listeners.entries()) {
    if (Object.keys(lists).length === 0) continue;
    const path = `listeners[${index}].policy`;
    own.set(name, await compilePolicy(config, vocabulary, scope, { path, lists }));
  }
  return (listener) => own.get(listener) ?? global;
}

function source(
  stage: Stage,
  { lists }: PolicyConfig,
  vocabulary: Vocabulary,
  listener: ListenerPolicy | undefined,
): { path: string; entries: readonly PolicyEntry[] } {
  const own = listener?.lists[stage];
  if (listener !== undefined && own !== undefined) return { path: `${listener.path}.${stage}`, entries: own };
  const global = lists[stage];
  if (global !== undefined) return { path: `policy.${stage}`, entries: global };
  const entries = stage === "relay" ? defaultRelayList.filter((word) => vocabulary.get(word) !== undefined) : [];
  return { path: `policy.${stage} (default)`, entries };
}
