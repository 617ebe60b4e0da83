/** The milters in front of this gateway's mail: every stage of a session is told to them, and the message when it is complete. */
import {
  after,
  hostOf,
  isPromise,
  PluginError,
  reply,
  TableUnavailable,
  type Gateway,
  type Host,
  type MaybePromise,
  type Objection,
  type Recipient,
  type ScanAnswer,
  type ScanAsk,
  type Session,
  type Transaction,
  type UsedMatchList,
} from "@postern/core";
import { parseAddress } from "./address.ts";
import { Chain } from "./chain.ts";
import type { ConversationHost } from "./conversation.ts";
import { connectCommand, mailCommand, recipientCommand } from "./esmtp.ts";
import { MacroBook, type MacroScope, type Occasion } from "./macros.ts";
import { Milter } from "./milter.ts";
import { nameOf, type MilterOptions } from "./options.ts";
import type { Step } from "./step.ts";
import { toOctets } from "../protocol/index.ts";

const lookupFailed: Objection = { kind: "defer", reply: reply(451, "4.3.0", "Temporary lookup failure") };
const misconfigured: Objection = { kind: "defer", reply: reply(451, "4.3.5", "Server configuration problem") };

/** A session that was not heard of for so long is over, even if nobody said so. */
const forgottenMs = 2 * 60 * 60_000;
/** Above all timeouts of the milters, which answer by themselves. */
const spareMs = 10_000;

interface Guarded {
  readonly milter: Milter;
  readonly skip: UsedMatchList<Host> | undefined;
}

export interface FrontOptions {
  readonly milters: readonly MilterOptions[];
  readonly clients?: Parameters<Gateway["tables"]["use"]>[0] | undefined;
}

export function askMilters(gateway: Gateway, options: FrontOptions): void {
  if (options.milters.length === 0) return;
  const front = new Front(gateway, options);
  const { smtp } = gateway.hooks;
  const timeouts = options.milters.map((each) => each.connectTimeout + 4 * each.commandTimeout);
  const deadline = { deadlineMs: timeouts.reduce((sum, each) => sum + each, spareMs) };
  /** Recipients whom the milters were asked about. */
  const asked = new WeakSet<Recipient>();
  smtp.connect.tap(deadline, (session) => front.connect(session));
  smtp.helo.tap(deadline, (name, session) => {
    const step: Step = { kind: "helo", command: { kind: "helo", name: toOctets(name) }, occasion: { session } };
    return after(front.ask(session, step), onlyIfEnding);
  });
  smtp.mail.tap(deadline, (_, transaction, session) =>
    front.ask(session, { kind: "mail", command: mailCommand(transaction), occasion: { session, transaction } }),
  );
  smtp.recipient.tap(deadline, (recipient, transaction, session) => {
    asked.add(recipient);
    return front.ask(session, recipientStep({ session, transaction, recipient }));
  });
  smtp.recipientRefused.tap(deadline, (recipient, { reply: refusal }, transaction, session) => {
    // By a milter itself, or by another plugin behind them.
    if (asked.has(recipient)) return;
    return after(front.ask(session, recipientStep({ session, transaction, recipient, refusal })), () => undefined);
  });
  smtp.data.tap(deadline, (transaction, session) =>
    front.ask(session, { kind: "data", command: { kind: "data" }, occasion: { session, transaction } }),
  );
  smtp.unknown.tap(deadline, async (line, session) => {
    // The end of a message is reported a moment later, and milters hear of it first.
    await new Promise((resolve) => setImmediate(resolve));
    const command = { kind: "unknown", line: toOctets(line) } as const;
    return front.ask(session, { kind: "unknown", command, occasion: { session } });
  });
  smtp.reset.tap((transaction, session) => front.abort(transaction, session));
  smtp.closed.tap((session) => front.close(session));
  const content = options.milters.map((each) => each.connectTimeout + Math.max(each.contentTimeout * 3, 660_000));
  gateway.scanner({
    name: gateway.name,
    description: `milters: ${options.milters.map(nameOf).join(", ")}`,
    // Every milter has one of its own; this one is for what nobody foresaw.
    onError: "defer",
    deadlineMs: gateway.deadlineMs ?? content.reduce((sum, each) => sum + each, spareMs),
    scan: (ask) => front.inspect(ask),
  });
  gateway.onClose(() => front.end());
}

function recipientStep(occasion: Occasion & { readonly recipient: Recipient }): Step {
  return { kind: "recipient", command: recipientCommand(occasion.recipient), occasion };
}

/** What stands when nobody could say which milters are to be asked. */
type Unknown = Objection;

class Front {
  readonly #gateway: Gateway;
  readonly #all: readonly Guarded[];
  readonly #byClient: ReturnType<Gateway["tables"]["use"]> | undefined;
  readonly #host: ConversationHost;
  readonly #chains = new Map<string, MaybePromise<Chain | Unknown>>();
  /** Whom a session was counted for: XCLIENT makes it another's. */
  readonly #counted = new Map<string, string>();
  /** Sessions of an address. */
  readonly #counts = new Map<string, number>();

  constructor(gateway: Gateway, { milters, clients }: FrontOptions) {
    const { addresses, routing, hostname, directory, log } = gateway;
    this.#gateway = gateway;
    this.#byClient = clients === undefined ? undefined : gateway.tables.use(clients);
    this.#host = {
      failed: ({ settings }, error) => gateway.failed(`milter ${settings.name}`, error),
      warn: (text) => log.warn(text),
      get origin() {
        return addresses.origin;
      },
      dry: gateway.dry,
    };
    const scope: MacroScope = {
      hostname,
      get relayhost() {
        return routing.relayhost;
      },
      classOf: (domain) => addresses.classOf(domain),
      sessionsOf: (address) => this.#counts.get(address ?? "") ?? 0,
    };
    this.#all = milters.map((options, index) => {
      const { connectTimeout, commandTimeout, contentTimeout, protocol, maxIdle, macros, macroValues, skip } = options;
      const address = parseAddress(options.address, directory);
      if (address === undefined) throw new PluginError(gateway.name, `"${options.address}" is no address of a milter`);
      const { onError, largePackets, reuse, idleConnections } = options;
      const book = new MacroBook({ names: macros, values: macroValues }, scope);
      const settings = {
        name: nameOf(options),
        address,
        onError,
        connectTimeoutMs: connectTimeout,
        commandTimeoutMs: commandTimeout,
        contentTimeoutMs: contentTimeout,
        version: protocol,
        largePackets,
        reuse,
        idleConnections,
        maxIdleMs: maxIdle,
      };
      return {
        milter: new Milter(settings, book, gateway.clock),
        skip: skip === undefined ? undefined : gateway.lists.clients(skip, `milters[${index}].skip`),
      };
    });
  }

  /** Again after XCLIENT: another client, and another session for the milters. */
  connect(session: Session): MaybePromise<Objection | undefined> {
    this.close(session);
    this.#enter(session);
    const answer = this.ask(session, { kind: "connect", command: connectCommand(session), occasion: { session } });
    return after(answer, greetingOf);
  }

  ask(session: Session, step: Step): MaybePromise<Objection | undefined> {
    return after(this.chainOf(session), (chain) => ("reply" in chain ? chain : chain.ask(step)));
  }

  inspect(ask: ScanAsk): MaybePromise<ScanAnswer> {
    const said = after(this.chainOf(ask.session), (chain): MaybePromise<ScanAnswer> =>
      "reply" in chain ? chain : chain.inspect(ask),
    );
    // Of a session that is only explained nobody says that it is over.
    return this.#gateway.dry && isPromise(said) ? said.finally(() => this.close(ask.session)) : said;
  }

  abort(transaction: Transaction, session: Session): void {
    const chain = this.#chains.get(session.id);
    if (chain instanceof Chain) chain.abort(transaction.id);
  }

  close(session: Session): void {
    const known = this.#chains.get(session.id);
    if (known === undefined) return;
    this.#leave(session.id);
    closeChain(known);
  }

  end(): void {
    for (const chain of this.#chains.values()) closeChain(chain);
    this.#chains.clear();
    for (const { milter } of this.#all) milter.close();
  }

  chainOf(session: Session): MaybePromise<Chain | Unknown> {
    const known = this.#chains.get(session.id);
    const now = this.#gateway.clock.monotonic();
    if (known instanceof Chain) known.lastUsedAt = now;
    if (known !== undefined) return known;
    this.#forget(now);
    const made = after(this.#choose(session), (chosen) => ("reply" in chosen ? chosen : this.#makeChain(chosen, now)));
    this.#chains.set(session.id, made);
    if (isPromise(made)) {
      void made.then((chain) => {
        if (this.#chains.get(session.id) === made) this.#chains.set(session.id, chain);
      });
    }
    return made;
  }

  #makeChain(milters: readonly Milter[], now: number): Chain {
    const chain = new Chain(milters, this.#host);
    chain.lastUsedAt = now;
    return chain;
  }

  #choose(session: Session): MaybePromise<readonly Milter[] | Unknown> {
    const { client } = session;
    try {
      const value = client.address === undefined ? undefined : this.#byClient?.lookup(client.address, {});
      const chosen = after(value, (known) => this.#named(known, session));
      return isPromise(chosen) ? chosen.catch(unavailable) : chosen;
    } catch (error) {
      return unavailable(error);
    }
  }

  #named(value: string | undefined, session: Session): MaybePromise<readonly Milter[] | Unknown> {
    if (value === undefined) return this.#notSkipped(session, 0, []);
    const words = value.split(/[\s,]+/).filter((word) => word !== "");
    if (words.length === 1 && words[0]?.toUpperCase() === "DISABLE") return [];
    const chosen: Milter[] = [];
    for (const word of words) {
      const found = this.#all.find(({ milter }) => milter.settings.name === word);
      if (found === undefined) {
        this.#host.warn(`clients: "${word}" is neither DISABLE nor the name of a milter`);
        return misconfigured;
      }
      chosen.push(found.milter);
    }
    return chosen;
  }

  #notSkipped(session: Session, start: number, kept: Milter[]): MaybePromise<readonly Milter[]> {
    const host = hostOf(session.client);
    for (let at = start; at < this.#all.length; at += 1) {
      const { milter, skip } = this.#all[at] as Guarded;
      const isSkipped = host === undefined || skip === undefined ? false : skip.matches(host);
      if (isPromise(isSkipped)) {
        return isSkipped.then((is) => this.#notSkipped(session, at + 1, is ? kept : [...kept, milter]));
      }
      if (!isSkipped) kept.push(milter);
    }
    return kept;
  }

  #enter({ id, client: { address = "" } }: Session): void {
    this.#counted.set(id, address);
    this.#counts.set(address, (this.#counts.get(address) ?? 0) + 1);
  }

  #leave(id: string): void {
    this.#chains.delete(id);
    const address = this.#counted.get(id);
    if (address === undefined) return;
    this.#counted.delete(id);
    const left = (this.#counts.get(address) ?? 1) - 1;
    if (left > 0) this.#counts.set(address, left);
    else this.#counts.delete(address);
  }

  /** The map keeps the order of its sessions' beginnings. */
  #forget(now: number): void {
    for (const [id, chain] of this.#chains) {
      if (!(chain instanceof Chain) || now - chain.lastUsedAt < forgottenMs) return;
      this.#leave(id);
      chain.close();
    }
  }
}

function closeChain(chain: MaybePromise<Chain | Unknown>): void {
  void after(chain, (known) => ("reply" in known ? undefined : known.close()));
}

function unavailable(error: unknown): Unknown {
  if (error instanceof TableUnavailable) return lookupFailed;
  throw error;
}

/**
 * As Sendmail and Postfix have it: what is said at connect or HELO stands for the session and is heard at MAIL; but 421, which ends it, is heard
 * at once.
 */
function onlyIfEnding(objection: Objection | undefined): Objection | undefined {
  return objection?.reply.code === 421 ? objection : undefined;
}

/** A refused client is greeted with 554 (RFC 5321 §3.1). */
function greetingOf(objection: Objection | undefined): Objection | undefined {
  if (objection?.kind !== "reject") return onlyIfEnding(objection);
  return { kind: "reject", reply: { ...objection.reply, code: 554 } };
}
