/**
 * The smtp transport: a kept session where there is one, else the destination's hosts in order, until every recipient has
 * its final word or the list is at its end (Postfix's smtp_connect).
 */
import {
  deferred,
  logText,
  type Clock,
  type DeliveryControls,
  type DeliveryReport,
  type DeliveryRequest,
  type Gateway,
  type Outcome,
  type PluginLog,
  type Recipient,
  type Resolver,
  type Transport,
} from "@postern/core";
import { findHosts, splitNextHops, type HostOptions } from "./hosts.ts";
import { createKeptSessions, type KeptSessions } from "./kept-sessions.ts";
import type { SmtpOptions } from "./options.ts";
import { formatRemote, HandshakeFailed, openSession, type Endpoint, type OutboundSession } from "./outbound-session.ts";
import { refusal, softened } from "./outcomes.ts";
import { runTransaction } from "./transaction.ts";

export interface SmtpScope {
  readonly name: string;
  readonly hostname: string;
  readonly clock: Clock;
  readonly dns: Resolver;
  readonly log: Pick<PluginLog, "debug">;
  readonly random: () => number;
  readonly routing: Gateway["routing"];
}

export function createSmtpTransport(options: SmtpOptions, scope: SmtpScope): Transport {
  const kept = createKeptSessions(options.keep, scope.clock);
  const hosts: HostOptions = {
    dns: scope.dns,
    random: scope.random,
    port: options.port,
    hostname: scope.hostname,
    isOwnAddress: (address) => scope.routing.isOwnAddress(address),
    isOwnEndpoint: (address, port) => scope.routing.isOwnEndpoint(address, port),
  };
  return {
    name: scope.name,
    description: "Delivers to the next hop by SMTP.",
    outbound: true,
    maxRecipients: options.maxRecipients,
    maxConcurrency: options.maxConcurrency,
    deliver: (request, controls) => new Attempt(options, scope, hosts, kept, request, controls).run(),
    async close() {
      kept.close();
    },
  };
}

/** One delivery. */
class Attempt {
  readonly #options: SmtpOptions;
  readonly #scope: SmtpScope;
  readonly #hosts: HostOptions;
  readonly #kept: KeptSessions;
  readonly #request: DeliveryRequest;
  readonly #controls: DeliveryControls;
  /** What stands against each recipient that has no final word. */
  #left: ReadonlyMap<Recipient, Outcome | undefined>;
  #elsewhere = true;
  #busy = false;
  /** A session answered: the destination lives, whatever it said. */
  #reached = false;
  /** The last host that let us down before a transaction. */
  #failure: Outcome | undefined;

  constructor(
    options: SmtpOptions,
    scope: SmtpScope,
    hosts: HostOptions,
    kept: KeptSessions,
    request: DeliveryRequest,
    controls: DeliveryControls,
  ) {
    this.#options = options;
    this.#scope = scope;
    this.#hosts = hosts;
    this.#kept = kept;
    this.#request = request;
    this.#controls = controls;
    this.#left = new Map(request.recipients.map((recipient) => [recipient, undefined]));
  }

  async run(): Promise<DeliveryReport> {
    const tried = await this.#useKept();
    const { nextHop } = this.#request.route;
    for (const hop of splitNextHops(nextHop)) {
      if (!this.#wanted) break;
      const list = await findHosts(hop, this.#hosts);
      if (list.kind === "endpoints") await this.#useHosts(list.endpoints, tried);
      else this.#blame(list.outcome);
      if (list.final === true) break;
    }
    // What is wrong with the relayhost is the operator's to mend (Postfix's smtp_connect): the mail waits.
    if (this.#failure !== undefined && nextHop === this.#scope.routing.relayhost) {
      this.#failure = softened(this.#failure, "4.3.5");
    }
    return this.#finish();
  }

  /** A host that may be found or reached later is worth waiting for. */
  #blame(outcome: Outcome): void {
    if (this.#failure?.status !== "deferred" || outcome.status === "deferred") this.#failure = outcome;
  }

  get #wanted(): boolean {
    return this.#left.size > 0 && this.#elsewhere && !this.#controls.signal.aborted;
  }

  /** Answers the endpoints that had their turn. A session that died of old age before a word was said does not count. */
  async #useKept(): Promise<readonly Endpoint[]> {
    const { nextHop } = this.#request.route;
    for (let session = this.#kept.take(nextHop); session !== undefined; session = this.#kept.take(nextHop)) {
      if (await this.#use(session, true)) return [session.endpoint];
      if (this.#controls.signal.aborted) break;
    }
    return [];
  }

  async #useHosts(endpoints: readonly Endpoint[], tried: readonly Endpoint[]): Promise<void> {
    let sessions = tried.length;
    for (const endpoint of endpoints.slice(0, this.#options.maxHosts)) {
      if (!this.#wanted || sessions >= this.#options.maxSessions) return;
      if (tried.some(({ address, port }) => address === endpoint.address && port === endpoint.port)) continue;
      const session = await this.#open(endpoint);
      if (session === undefined) continue;
      sessions += 1;
      await this.#use(session, false);
    }
  }

  async #open(endpoint: Endpoint): Promise<OutboundSession | undefined> {
    const { clock, hostname, log } = this.#scope;
    const { helo = hostname, localAddress, timeouts } = this.#options;
    const open = (tls: boolean): Promise<OutboundSession> =>
      openSession(endpoint, { helo, tls, localAddress, timeouts, clock, signal: this.#controls.signal });
    try {
      return await open(this.#options.tls === "may").catch((error: unknown) => {
        // Opportunistic: encryption that does not work is no worse than none (RFC 7435).
        if (!(error instanceof HandshakeFailed) || error.phase !== "tls" || this.#controls.signal.aborted) throw error;
        log.debug(`${formatRemote(endpoint)}: TLS failed, trying in clear: ${error.message}`);
        return open(false);
      });
    } catch (error) {
      this.#failure = handshakeOutcome(endpoint, error);
      if (error instanceof HandshakeFailed && error.reply !== undefined && error.reply.code < 500) this.#busy = true;
      return undefined;
    }
  }

  /** Answers false when a kept session turned out to be dead before anything was said: then nothing has happened. */
  async #use(session: OutboundSession, wasKept: boolean): Promise<boolean> {
    const { signal } = this.#controls;
    const abort = (): void => session.conversation.abort();
    signal.addEventListener("abort", abort, { once: true });
    const result = await runTransaction(session, this.#request, [...this.#left.keys()], {
      timeouts: this.#options.timeouts,
      settle: (recipient, outcome) => this.#controls.settle(recipient, outcome),
      committing: () => signal.removeEventListener("abort", abort),
    });
    signal.removeEventListener("abort", abort);
    if (wasKept && !result.acknowledged && result.left.size > 0 && !result.reusable) return false;
    this.#left = result.left;
    this.#elsewhere = result.elsewhere;
    this.#reached ||= result.acknowledged;
    this.#busy = result.busy;
    if (result.reusable) this.#kept.keep(this.#request.route.nextHop, session);
    return true;
  }

  #finish(): DeliveryReport {
    let reason: string | undefined;
    for (const [recipient, own] of this.#left) {
      const outcome = own ?? this.#failure ?? deferred("the delivery was aborted", { enhanced: "4.3.2" });
      reason = outcome.text;
      this.#controls.settle(recipient, outcome);
    }
    const said = reason === undefined ? {} : { reason };
    if (this.#busy) return { destination: "throttled", ...said };
    const unreachable = !this.#reached && this.#failure?.status === "deferred";
    return { destination: unreachable ? "dead" : "alive", ...said };
  }
}

/**
 * A greeting of 5yz is another server's chance and, at the end of the list, a deferral (Postfix's smtp_skip_5xx_greeting); EHLO and
 * HELO refused for good is for good.
 */
function handshakeOutcome(endpoint: Endpoint, error: unknown): Outcome {
  const remote = formatRemote(endpoint);
  if (!(error instanceof HandshakeFailed))
    return deferred(`connection to ${remote} failed`, { enhanced: "4.3.0", remote });
  if (error.reply !== undefined && error.reply.code >= 400) {
    const outcome = refusal(error.reply, error.phase === "greeting" ? "connection" : "EHLO", { remote });
    return error.phase === "helo" ? outcome : softened(outcome);
  }
  switch (error.phase) {
    case "connect":
      return deferred(logText(`connect to ${remote}: ${error.message}`), { enhanced: "4.4.1", remote });
    case "greeting":
      return deferred(`lost connection with ${remote} while receiving the initial server greeting`, {
        enhanced: "4.4.2",
        remote,
      });
    default:
      return deferred(`lost connection with ${remote} while performing the ${error.phase.toUpperCase()} handshake`, {
        enhanced: "4.4.2",
        remote,
      });
  }
}
