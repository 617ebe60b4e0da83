/** One question, answered: a session in process over one generation, then the rewriting and the routes of what it accepted. */
import { tmpdir } from "node:os";
import type { ResolvedConfig } from "../config/index.ts";
import { ConfigError } from "../errors.ts";
import type { Generation, MailGeneration } from "../generation-contract.ts";
import { createHooks } from "../hooks/index.ts";
import { createMemoryBlob, createNamelessFiles, createSpooler, type Blob } from "../message/index.ts";
import {
  after,
  createIdSource,
  logText,
  type Clock,
  type Envelope,
  type QueuedMessage,
  type Session,
  type TlsInfo,
  type Transaction,
} from "../model/index.ts";
import { isMessageEffect, type MessageEffect } from "../policy/index.ts";
import type { ScanOutcome } from "../scanning/index.ts";
import {
  addBlindCopies,
  connectInProcess,
  createSmtpListener,
  formatSmtpEvent,
  describeEffects,
  redirectEnvelope,
  type SessionGeneration,
  type SmtpHost,
  type SmtpListener,
} from "../smtp/index.ts";
import { codeOf, verdictOf, worst, type Asked } from "./asked.ts";
import { asContent, ExplainClient } from "./client.ts";
import type {
  Explained,
  ExplainedCommand,
  ExplainedRecipient,
  ExplainedRoute,
  ExplainedStep,
  Question,
} from "./explained.ts";
import { originOf, type FilterOrigin } from "./filter-origin.ts";
import { listsOf } from "./lists.ts";
import { namedResolver } from "./named-resolver.ts";
import { describeQuestion } from "./question.ts";
import { explainRoute } from "./routes.ts";
import type { AskedWord, Tracing } from "./tracing.ts";

export interface ExplanationParts {
  readonly config: ResolvedConfig;
  readonly generation: Generation;
  readonly tracing: Tracing;
  readonly clock: Clock;
  /** Scanners that talk to services are asked too. */
  readonly live: boolean;
  /** What the policy remarks meanwhile; what the front remarks is added. */
  readonly notes: string[];
}

/** For one reply: longer than any word may take. */
const replyWithinMs = 120_000;
const assumedTls: TlsInfo = Object.freeze({
  protocol: "TLSv1.3",
  cipher: "TLS_AES_256_GCM_SHA384",
  bits: 256,
  servername: undefined,
});

export class Explanation {
  readonly #parts: ExplanationParts;
  readonly #question: Question;
  readonly #commands: Asked[] = [];
  readonly #steps: ExplainedStep[] = [];
  #session: Session | undefined;
  #transaction: Transaction | undefined;
  #queued: QueuedMessage | undefined;
  #content: Blob | undefined;
  #client: ExplainClient | undefined;
  /** What the scanners said. */
  #scanned: ScanOutcome | undefined;
  /** A handover named the content filter. */
  #filtered = false;
  readonly #effects: string[] = [];

  /** The question is one that `checkQuestion` let pass. */
  constructor(question: Question, parts: ExplanationParts) {
    this.#question = question;
    this.#parts = parts;
  }

  async run(): Promise<Explained> {
    this.#parts.tracing.resetState();
    const listener = this.#listener();
    try {
      await this.#converse(listener);
      const recipients = this.#recipients();
      const verdict = worst(recipients.map((one) => one.verdict));
      // What became of the message says nothing of the listener: its rewriting and routes are asked when it is at an end.
      const routes = await this.#routes(recipients);
      const session = this.#session;
      return {
        question: describeQuestion(this.#question, listener.settings.name),
        client: session && {
          address: session.client.address,
          name: session.client.name,
          reverseName: session.client.reverseName,
          inNetworks: session.client.inNetworks,
        },
        verdict,
        recipients,
        commands: this.#commands.map((asked) => this.#describe(asked, listener.settings.name)),
        rewriting: this.#steps,
        routes,
        effects: [...new Set(this.#effects)],
        notes: this.#parts.notes,
      };
    } finally {
      this.#client?.close();
      await listener.close(0);
    }
  }

  #listener(): SmtpListener {
    const { listener: wanted, auth, tls } = this.#question;
    const { listeners } = this.#parts.config;
    const configured = wanted === undefined ? listeners[0] : listeners.find(({ name }) => name === wanted);
    if (configured === undefined) {
      throw new ConfigError(
        `there is no listener "${wanted ?? ""}"; there are ${listeners.map(({ name }) => `"${name}"`).join(", ")}`,
      );
    }
    const secure = tls === true || configured.tls === "implicit";
    return createSmtpListener(
      // Nobody in process sends a PROXY header or XCLIENT: the question says who the client is.
      { ...configured, proxy: [], xclient: [], tls: configured.tls === "implicit" ? "off" : "starttls" },
      this.#host(),
      {
        ...(auth !== undefined && { auth: { identity: auth, mechanism: "PLAIN" } }),
        ...(secure && { tls: assumedTls }),
      },
    );
  }

  #host(): SmtpHost {
    const { clock, config, generation } = this.#parts;
    const { messageSizeBytes, headerSizeBytes } = config.limits;
    return {
      clock,
      ids: createIdSource(() => clock.now(), Math.random),
      acquire: (sessionId) => this.#traced(generation.forSession(sessionId)),
      spooler: createSpooler({
        files: createNamelessFiles(tmpdir()),
        maxSizeBytes: messageSizeBytes,
        maxHeaderBytes: headerSizeBytes,
      }),
      hasRoom: () => true,
      enqueue: async (message, content) => {
        this.#queued = message;
        this.#content = content;
      },
      quarantine: async (message, content) => {
        this.#queued = message;
        this.#content = content;
      },
      withdraw: async () => undefined,
      log: (event) => {
        if (event.kind === "rejected") {
          const asked = this.#commands.at(-1);
          if (asked === undefined) return;
          asked.by = event.decision.by;
          asked.refused = true;
        } else if (event.kind === "noted" || event.kind === "failed" || event.kind === "turnedAway") {
          this.#parts.notes.push(formatSmtpEvent(event));
        } else if (event.kind === "received") {
          this.#effects.push(...describeEffects(event.effects));
        } else if (event.kind === "discarded") {
          this.#effects.push(`discard: ${logText(event.text)}`);
        } else if (event.kind === "quarantined") {
          this.#effects.push(`quarantine: ${logText(event.reason)}`);
        } else if (event.kind === "handedOver") {
          this.#effects.push(`handed over: ${logText(event.reply.text)}`);
        }
      },
    };
  }

  /** The generation as this session is to see it. */
  #traced(real: SessionGeneration): SessionGeneration {
    const { clientName, client } = this.#question;
    const silent = createHooks(this.#parts.tracing.guard).smtp;
    const { hooks, rewriter } = real;
    const { reset, rejected, closed } = silent;
    const trace = (step: ExplainedStep): void => void this.#steps.push(step);
    return {
      ...real,
      hooks: { ...hooks, smtp: { ...hooks.smtp, reset, rejected, closed } },
      resolver: clientName === undefined ? real.resolver : namedResolver(client, clientName),
      startPolicy: (listener) => {
        const judge = real.startPolicy(listener);
        return {
          ask: (stage, asked) => {
            this.#saw(asked);
            return judge.ask(stage, asked);
          },
          judge: (asked, scanned) => {
            this.#saw(asked);
            return judge.judge(asked, scanned);
          },
          resetTransaction: () => judge.resetTransaction(),
          get decision() {
            return judge.decision;
          },
        };
      },
      rewriter: rewriter && {
        rewrite: (envelope, ask) => rewriter.rewrite(envelope, { ...ask, trace }),
        rewriteHeader:
          rewriter.rewriteHeader && ((message, ask) => rewriter.rewriteHeader?.(message, { ...ask, trace }) ?? message),
      },
      scan:
        real.scan &&
        ((request) =>
          after(real.scan?.({ ...request, withoutServices: !this.#parts.live }), (outcome) => {
            this.#scanned = outcome;
            return outcome;
          })),
      handOver:
        real.handOver &&
        ((asked, controller) =>
          after(real.handOver?.(asked, controller), (answer) => {
            this.#filtered = answer?.kind === "filter";
            return answer;
          })),
    };
  }

  #saw({ session, transaction }: { readonly session: Session; readonly transaction?: Transaction | undefined }): void {
    this.#session = session;
    if (transaction !== undefined) this.#transaction = transaction;
  }

  async #converse(listener: SmtpListener): Promise<void> {
    const { client, helo, from, to, message } = this.#question;
    this.#begin("CONNECT", "");
    this.#client = new ExplainClient(connectInProcess(listener, { remoteAddress: client }));
    if (!(await this.#answered(220))) return;
    if (!(await this.#say("HELO", `EHLO ${helo}`, 250))) return;
    const utf8 = [from, ...to].some((address) => /[^\u0000-\u007f]/.test(address)) ? " SMTPUTF8" : "";
    if (!(await this.#say("MAIL", `MAIL FROM:${asPath(from)}${utf8}`, 250))) return;
    let taken = 0;
    for (const recipient of to) if (await this.#say("RCPT", `RCPT TO:${asPath(recipient)}`, 250)) taken += 1;
    if (taken === 0 || !(await this.#say("DATA", "DATA", 354)) || message === undefined) return;
    this.#begin("MESSAGE", "");
    this.#client.write(asContent(message));
    await this.#answered(250);
    this.#client.write("QUIT\r\n");
    this.#parts.tracing.begin();
    await this.#client.reply(replyWithinMs);
  }

  #begin(command: string, said: string): void {
    const frame = this.#parts.tracing.begin();
    this.#commands.push({ command, said, frame, replies: [], by: undefined, refused: false });
  }

  #say(command: string, said: string, wanted: number): Promise<boolean> {
    this.#begin(command, said);
    this.#client?.write(`${said}\r\n`);
    return this.#answered(wanted);
  }

  async #answered(wanted: number): Promise<boolean> {
    const asked = this.#commands.at(-1) as Asked;
    asked.replies = (await this.#client?.reply(replyWithinMs)) ?? [];
    return codeOf(asked.replies) === wanted;
  }

  #describe(asked: Asked, listener: string): ExplainedCommand {
    const { command, said, replies, by, frame } = asked;
    const { tables, dns } = frame;
    const lists = listsOf(asked, {
      lists: this.#parts.generation.listing.lists(listener),
      scanners: this.#parts.generation.listing.scanners,
      live: this.#parts.live,
      findings: this.#scanned?.findings,
    });
    return { command, said, replies, by, lists, tables, dns };
  }

  #recipients(): readonly ExplainedRecipient[] {
    const rcpts = this.#commands.filter(({ command }) => command === "RCPT");
    const last = this.#commands.at(-1) as Asked;
    return this.#question.to.map((address, index) => {
      const own = rcpts[index];
      // Refused before it was named, by itself, or with the whole message.
      const isWhole = last.command !== "RCPT" && verdictOf(last) !== "accepted";
      const said = own === undefined || (verdictOf(own) === "accepted" && isWhole) ? last : own;
      return { address, verdict: verdictOf(said), reply: said.replies.at(-1) ?? "", by: said.by };
    });
  }

  async #routes(recipients: readonly ExplainedRecipient[]): Promise<readonly ExplainedRoute[]> {
    const envelope = this.#queued?.envelope ?? (await this.#rewritten(recipients));
    if (envelope === undefined) return [];
    const held = this.#parts.generation.forDelivery();
    try {
      const routes: ExplainedRoute[] = [];
      for (const recipient of envelope.recipients) {
        const frame = this.#parts.tracing.begin();
        const message = this.#queued;
        const scope = { frame, config: this.#parts.config, filter: this.#filter(), message };
        routes.push(await explainRoute(held, recipient, envelope.sender, scope));
      }
      await this.#leave(held, envelope, routes);
      return routes;
    } finally {
      held.release();
    }
  }

  #filter(): FilterOrigin | undefined {
    const destination = this.#queued?.filter;
    if (destination === undefined) return undefined;
    return originOf(destination, {
      handover: this.#filtered ? this.#parts.generation.listing.handover : undefined,
      findings: this.#scanned?.findings,
      words: this.#commands.flatMap(({ frame }) => frame.words),
    });
  }

  /** What is rewritten on its way out. */
  async #leave(held: MailGeneration, envelope: Envelope, routes: readonly ExplainedRoute[]): Promise<void> {
    const leaves = ({ route }: ExplainedRoute): boolean =>
      route !== undefined && held.transport(route.transport)?.value.outbound === true;
    const recipients = envelope.recipients.filter((_, at) => routes[at] !== undefined && leaves(routes[at]));
    if (held.rewriteOutbound === undefined || recipients.length === 0) return;
    this.#parts.tracing.begin();
    try {
      const mail = { envelope, recipients, content: this.#content ?? createMemoryBlob([]) };
      await held.rewriteOutbound(mail, (step) => void this.#steps.push(step));
    } catch (error) {
      this.#parts.notes.push(`rewriting on the way out: ${logText((error as Error).message)}`);
    }
  }

  /** Without a message: what its envelope would become. */
  async #rewritten(recipients: readonly ExplainedRecipient[]): Promise<Transaction | undefined> {
    const session = this.#session;
    const transaction = this.#transaction;
    const isTaken = recipients.some(({ verdict }) => verdict === "accepted");
    if (!isTaken || this.#question.message !== undefined || session === undefined || transaction === undefined) return;
    const effects = this.#gathered();
    this.#effects.push(...describeEffects(effects));
    if (effects.some(({ kind }) => kind === "discard")) return;
    this.#parts.tracing.begin();
    const generation = this.#traced(this.#parts.generation.forSession());
    try {
      const copied = addBlindCopies(transaction, effects);
      const rewritten = await generation.rewriter?.rewrite(copied, { session });
      return redirectEnvelope(rewritten ?? copied, effects);
    } catch (error) {
      this.#parts.notes.push(`rewriting: ${logText((error as Error).message)}`);
      return undefined;
    } finally {
      generation.release();
    }
  }

  #gathered(): readonly MessageEffect[] {
    const words: AskedWord[] = this.#commands
      .filter((asked) => verdictOf(asked) === "accepted")
      .flatMap(({ frame }) => frame.words);
    return words.flatMap(({ parts }) => parts).filter(isMessageEffect);
  }
}

const asPath = (address: string): string => (address.startsWith("<") ? address : `<${address}>`);
