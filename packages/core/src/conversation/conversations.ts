/** A config's generation put to work for another mail server: no listener, no queue, nothing is delivered from here. */
import { tmpdir } from "node:os";
import { loadInstances } from "../config-check.ts";
import type { ResolvedConfig } from "../config/index.ts";
import { createResolver } from "../dns/index.ts";
import type { Generation, GenerationListing } from "../generation-contract.ts";
import { buildGeneration } from "../generation.ts";
import { createFailureLog, createGuard } from "../guard/index.ts";
import { createNamelessFiles, createSpooler } from "../message/index.ts";
import { createIdSource, logText, systemClock } from "../model/index.ts";
import type { LogLevel, RuntimeOptions } from "../runtime-contract.ts";
import { formatSmtpEvent, type SmtpEvent, type SmtpHost } from "../smtp/index.ts";
import { createMemoryStateStore, openSqliteStateStore, type StateStore } from "../state/index.ts";
import { Conversation } from "./conversation.ts";
import type { Needs, ToldSession } from "./told.ts";

const sweepEveryMs = 10 * 60_000;
/** For calls of sessions that are over. */
const lastCallsMs = 1_000;

export type ConversationsOptions = Pick<
  RuntimeOptions,
  "searchFrom" | "instances" | "clock" | "random" | "resolver" | "stateStore" | "spoolDirectory" | "log" | "onEvent"
>;

export interface Conversations {
  readonly listing: GenerationListing;
  /** For sessions of this listener. */
  needs(listener: string): Needs;
  begin(told: ToldSession): Conversation;
  /** Closes plugins and state when the conversations are over, which their owner sees to; a second later whatever is under way. */
  close(): Promise<void>;
}

/** Rejects as a start would, and leaves nothing open then. */
export async function createConversations(
  config: ResolvedConfig,
  options: ConversationsOptions = {},
): Promise<Conversations> {
  const { clock = systemClock, random = Math.random, searchFrom = [] } = options;
  const tell = (level: LogLevel, line: string): void => options.log?.(level, line);
  const failures = createFailureLog(clock, (owner, text) => tell("warn", `plugin ${owner}: ${text}`));
  const guard = createGuard(clock, (failed) => failures.report(failed));
  const log = (event: SmtpEvent): void => {
    options.onEvent?.(event);
    if (options.log !== undefined) tell(event.kind === "failed" ? "warn" : "info", formatSmtpEvent(event));
  };
  await using closers = new AsyncDisposableStack();
  let state: StateStore | undefined;
  closers.defer(() => state?.close());
  const ownState = (): StateStore => (state ??= options.stateStore ?? openState(config, { clock, tell }));
  const generation = await buildGeneration(config, await loadInstances(config, options), {
    clock,
    guard,
    resolver: options.resolver ?? createResolver({ ...config.dns, clock }),
    space: (name, spaceOptions) => ownState().space(name, spaceOptions),
    log: (level, plugin, text) => tell(level, plugin === "core" ? text : `plugin ${plugin}: ${text}`),
    note: (note) => log({ kind: "remarked", ...note }),
    searchFrom,
    lookUpClients: false,
    listening: () => [],
    foreign: true,
  });
  closers.defer(() => retire(generation));
  const sweeping = sweepNowAndThen();
  closers.defer(() => sweeping.cancel());

  const { messageSizeBytes, headerSizeBytes } = config.limits;
  const host: SmtpHost = {
    clock,
    ids: createIdSource(() => clock.now(), random),
    acquire: (sessionId) => generation.forSession(sessionId),
    spooler: createSpooler({
      files: createNamelessFiles(options.spoolDirectory ?? tmpdir()),
      maxSizeBytes: messageSizeBytes,
      maxHeaderBytes: headerSizeBytes,
    }),
    hasRoom: () => true,
    enqueue: () => Promise.reject(new Error("there is no queue here")),
    quarantine: () => Promise.reject(new Error("there is no quarantine here")),
    withdraw: () => Promise.reject(new Error("there is no quarantine here")),
    log,
  };
  const held = closers.move();
  return {
    listing: generation.listing,
    needs: (listener) => needsOf(generation, config.policy.delayReject, listener),
    begin(told) {
      const id = host.ids();
      return new Conversation(host, host.acquire(id), told, id);
    },
    close: () => held.disposeAsync(),
  };

  function sweepNowAndThen(): { cancel(): void } {
    let over = false;
    const sweep = async (): Promise<void> => {
      try {
        await (generation.stateStore ?? state)?.sweep();
      } catch (error) {
        tell("warn", `state: ${logText((error as Error).message)}`);
      }
      if (!over) timer = clock.setTimer(() => void sweep(), sweepEveryMs);
    };
    let timer = clock.setTimer(() => void sweep(), sweepEveryMs);
    return {
      cancel() {
        over = true;
        timer.cancel();
      },
    };
  }

  async function retire(built: Generation): Promise<void> {
    const late = clock.setTimer(() => built.abandon(), lastCallsMs);
    await built.retire();
    late.cancel();
  }
}

function openState(
  { state: { store, directory } }: ResolvedConfig,
  { clock, tell }: { clock: NonNullable<RuntimeOptions["clock"]>; tell: (level: LogLevel, line: string) => void },
): StateStore {
  if (store === "memory") return createMemoryStateStore({ clock });
  return openSqliteStateStore({ directory, clock, warn: (text) => tell("warn", text) });
}

function needsOf({ hooks: { smtp }, listing }: Generation, delayReject: boolean, listener: string): Needs {
  const lists = listing.lists(listener);
  const early = (stage: "connect" | "helo" | "mail"): boolean => !delayReject && lists[stage].words.length > 0;
  return {
    connect: smtp.connect.tapped || early("connect"),
    helo: smtp.helo.tapped || smtp.tls.tapped || early("helo"),
    mail: smtp.mail.tapped || smtp.auth.tapped || smtp.tls.tapped || early("mail"),
    rcpt:
      smtp.rcpt.tapped ||
      smtp.recipient.tapped ||
      smtp.recipientRefused.tapped ||
      (["connect", "helo", "mail", "relay", "rcpt"] as const).some((stage) => lists[stage].words.length > 0),
    data: smtp.data.tapped || lists.data.words.length > 0,
    content:
      listing.scanners.length > 0 ||
      lists.message.words.length > 0 ||
      [smtp.headers, smtp.message, smtp.modify].some(({ tapped }) => tapped),
    unknown: smtp.unknown.tapped,
  };
}
