/**
 * One milter in one SMTP session: what it was told, whether it is still asked, and what stands in its place when it is lost. Commands go
 * to it strictly one after another. Those that it does not want cost nothing, and no connection is opened for them.
 */
import { isPromise, type MaybePromise, type Message, type Objection, type ScanAsk } from "@postern/core";
import {
  commandLetters,
  encodeCommand,
  fromOctets,
  steps as protocolSteps,
  type CommandKind,
  type Ruling,
} from "../protocol/index.ts";
import type { Occasion } from "./macros.ts";
import type { Line, Milter } from "./milter.ts";
import { isModification, Modifications, type Modified, type Trace } from "./modifications.ts";
import { Outbox } from "./outbox.ts";
import { Standing, type Lost, type Wish } from "./standing.ts";
import { isKnown, isOfRefused, macrosPacket, rules, type Step } from "./step.ts";
import { tellContent, type Telling } from "./telling.ts";
import { down, invalid, late, toTrouble } from "./trouble.ts";

/** Progress may stretch the end of a message; nobody's client waits longer than RFC 5321 §4.5.3.2.6 has it wait. */
const longestProgressMs = 600_000;
/** Sixteen a second, all that time. */
const mostProgress = 10_000;

/** What became of a message at one milter. */
export interface Inspection extends Wish {
  readonly objection: Objection | undefined;
  readonly modified: Modified | undefined;
  readonly lost: Lost | undefined;
}

export interface ConversationHost {
  /** It is lost for this session, or for one message. */
  failed(milter: Milter, error: unknown): void;
  warn(text: string): void;
  readonly origin: string;
  /** The session is only explained: nobody is asked before the message is, if it is. */
  readonly dry: boolean;
}

export class Conversation {
  readonly milter: Milter;
  readonly #host: ConversationHost;
  readonly #outbox = new Outbox();
  readonly #standing: Standing;
  #hasAnswered = false;
  /** Steps that were not worth a connection yet. */
  #waiting: Step[] = [];
  /** Something of a message was told: an abort is due. */
  #inMessage = false;
  /** What it was told of the message, before its content. */
  #told: Step[] = [];
  /** A command is with the milter. */
  #isAsking = false;
  /** A message that nobody waits for any more is still with the milter. */
  #settling: Promise<unknown> | undefined;
  /** The milter has seen the end of the message. */
  #wasWhole = false;
  #isOver = false;

  readonly #telling: Telling;

  constructor(milter: Milter, host: ConversationHost) {
    this.milter = milter;
    this.#host = host;
    this.#standing = new Standing(milter.settings.onError);
    this.#telling = {
      milter,
      outbox: this.#outbox,
      isOut: () => this.#standing.isOut,
      isSkipped: (kind) => this.#standing.isSkipped(kind),
      ask: async (kind) => this.#judge(kind, await this.#answer(milter.settings.contentTimeoutMs)),
    };
  }

  /** The message is to be thrown away, whatever others say of it. */
  get wantsDiscard(): boolean {
    return this.#standing.wish.discard;
  }

  /** Never rejects: a milter that is lost answers by its `onError`. */
  ask(step: Step): MaybePromise<Objection | undefined> {
    const { objection } = this.#standing;
    if (objection !== undefined || this.#standing.isOut || this.#isOver) return objection;
    if (isOfRefused(step) && !this.#wantsRefused(step)) return undefined;
    if (this.#settling !== undefined) return this.#settling.then(() => this.ask(step));
    // Whoever asked last has given up: what comes now would be taken for the answer to this.
    if (this.#isAsking) return this.#lose(late("it has not answered the command before"));
    if (rules[step.kind].ofMessage) this.#note(step);
    this.#waiting.push(step);
    if (this.#outbox.line === undefined && (this.#host.dry || !this.#isWorthConnecting(step))) return undefined;
    return this.#caught(this.#catchUp());
  }

  /**
   * The whole message; it is over for this milter then. Never rejects: a milter that is lost answers by its `onError`. When `signal` is
   * aborted the milter is brought back to its rest, which the next command waits for.
   */
  async inspect(message: Message, ask: ScanAsk, trace: Trace): Promise<Inspection> {
    if (this.#settling !== undefined) await this.#settling;
    const { objection } = this.#standing;
    if (objection !== undefined || this.#standing.isOut || this.#isOver) {
      const said = this.#report(objection);
      this.abort();
      return said;
    }
    const { signal } = ask;
    const hurry = (): void => this.#outbox.line?.connection.hurry(this.milter.settings.commandTimeoutMs);
    signal.addEventListener("abort", hurry, { once: true });
    const running = this.#scan(message, ask, trace)
      .catch((error: unknown) => this.#lose(error))
      .then((answer) => {
        signal.removeEventListener("abort", hurry);
        this.#settling = undefined;
        const said = this.#report(answer);
        if (signal.aborted || !this.#wasWhole) this.abort();
        this.#endMessage();
        return said;
      });
    this.#settling = running;
    return running;
  }

  /** The message is over before its end. */
  abort(): void {
    if (!this.#inMessage || this.#settling !== undefined) return;
    this.#endMessage();
    if (this.#outbox.line === undefined) return;
    this.#outbox.gather(encodeCommand({ kind: "abort" }));
    this.#outbox.flush();
  }

  /** The session is over. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#part(this.#inMessage ? [encodeCommand({ kind: "abort" })] : []);
  }

  /**
   * A recipient or a second DATA behind a DATA that was refused: libmilter would ignore it and never answer. The message is told it anew.
   */
  #note(step: Step): void {
    const isBehindData = this.#told.at(-1)?.kind === "data";
    const told = this.#told.filter(({ kind }) => kind !== "data");
    if (isBehindData) {
      this.abort();
      this.#waiting.push(...told);
      this.#told = told;
    }
    this.#inMessage = true;
    if (!isOfRefused(step)) this.#told.push(step);
  }

  #report(answer: Objection | Modified | undefined): Inspection {
    const isObjection = answer !== undefined && "reply" in answer;
    return {
      ...this.#standing.wish,
      objection: isObjection ? answer : undefined,
      modified: isObjection ? undefined : answer,
      lost: this.#standing.lost,
    };
  }

  #endMessage(): void {
    this.#inMessage = false;
    this.#told = [];
    this.#waiting = this.#waiting.filter(({ kind }) => !rules[kind].ofMessage);
    this.#standing.endMessage();
  }

  /** As far as its last agreement tells. */
  #isWorthConnecting({ kind }: Step): boolean {
    const { agreement } = this.milter;
    return agreement === undefined || (agreement.steps & rules[kind].no) === 0;
  }

  /** Of a recipient who was refused nothing is kept until later. */
  #wantsRefused(step: Step): boolean {
    const { line } = this.#outbox;
    const { steps } = line?.agreement ?? this.milter.agreement ?? { steps: protocolSteps.refusedRecipients };
    const isReached = line !== undefined || (!this.#host.dry && this.#isWorthConnecting(step));
    return isReached && (steps & protocolSteps.refusedRecipients) !== 0;
  }

  #caught(answer: Promise<Objection | undefined> | undefined): MaybePromise<Objection | undefined> {
    if (answer === undefined) return undefined;
    this.#isAsking = true;
    return answer.catch((error: unknown) => this.#lose(error)).finally(() => (this.#isAsking = false));
  }

  /** Tells all that it was not told yet; the first objection ends it. */
  #catchUp(): Promise<Objection | undefined> | undefined {
    if (this.#outbox.line === undefined) return this.#connect().then(() => this.#catchUp());
    for (;;) {
      const { line } = this.#outbox;
      const step = line === undefined ? undefined : this.#waiting.shift();
      if (line === undefined || step === undefined) return undefined;
      const told = this.#tell(line, step);
      if (isPromise(told)) {
        return told.then((objection) =>
          objection !== undefined || this.#standing.isOut ? objection : this.#catchUp(),
        );
      }
    }
  }

  async #connect(fresh = false): Promise<void> {
    const line = await this.milter.open(fresh);
    if (this.#isOver || this.#standing.lost !== undefined) {
      this.milter.abandoned(line.turn);
      this.milter.release(line, [], true);
      throw down("nobody waits for it any more");
    }
    this.#outbox.open(line);
  }

  #tell(line: Line, step: Step): MaybePromise<Objection | undefined> {
    const { no, noReply, macros: stage } = rules[step.kind];
    const { steps: agreed, known, macros: wanted } = line.agreement;
    if (this.#standing.isSkipped(step.kind) || !isKnown(step.kind, known)) return undefined;
    if (isOfRefused(step) && (agreed & protocolSteps.refusedRecipients) === 0) return undefined;
    const macros = stage === undefined ? undefined : this.milter.macros.at(stage, wanted, step.occasion);
    if (isPromise(macros))
      return macros.then((late) => this.#send(step, late, (agreed & no) !== 0, (agreed & noReply) !== 0));
    return this.#send(step, macros, (agreed & no) !== 0, (agreed & noReply) !== 0);
  }

  #send(
    step: Step,
    macros: Readonly<Record<string, string>> | undefined,
    isLeftOut: boolean,
    isUnanswered: boolean,
  ): MaybePromise<Objection | undefined> {
    const { kind, command } = step;
    // The macros are told even when the command is not: a later one may ask for them.
    if (macros !== undefined) this.#outbox.gather(macrosPacket(commandLetters[kind], macros));
    if (isLeftOut) return undefined;
    this.#outbox.gather(encodeCommand(command));
    if (isUnanswered) return undefined;
    return this.#ruling().then((ruling) => {
      const objection = this.#judge(kind, ruling, isOfRefused(step));
      // A recipient whom it refused is not told anew.
      if (objection !== undefined && kind === "recipient") this.#told = this.#told.filter((told) => told !== step);
      return objection;
    });
  }

  /** Sends what was gathered and waits for its answer. */
  async #ruling(): Promise<Ruling> {
    for (;;) {
      try {
        return await this.#answer(this.milter.settings.commandTimeoutMs);
      } catch (error) {
        const { line } = this.#outbox;
        const isGone = line?.isUsed === true && toTrouble(error).reason === "down" && !this.#isOver;
        if (!isGone || !this.#outbox.repeat()) throw error;
        // It had closed a connection that waited: nothing was lost with it.
        this.milter.abandoned(line.turn);
        await this.#connect(true);
      }
    }
  }

  /** Signs of life stretch nothing before the end of a message, where libmilter's filters have no use for them. */
  async #answer(timeoutMs: number): Promise<Ruling> {
    const { connection } = this.#outbox.lineInStep;
    const { clock } = this.milter;
    const until = clock.monotonic() + timeoutMs;
    let left = timeoutMs;
    this.#outbox.flush();
    for (;;) {
      const response = await connection.next(left, timeoutMs);
      this.#heard();
      if (response.kind === "quarantine") this.#standing.putAside(fromOctets(response.reason));
      else if (response.kind === "negotiate" || isModification(response.kind)) {
        throw invalid(`it answered with ${response.kind} before the end of a message`);
      } else if (response.kind !== "progress") return response as Ruling;
      left = until - clock.monotonic();
      if (left <= 0) throw late(`no answer within ${timeoutMs} ms`);
    }
  }

  #heard(): void {
    this.#outbox.heard();
    if (this.#hasAnswered) return;
    this.#hasAnswered = true;
    this.milter.answered();
  }

  #judge(kind: CommandKind, ruling: Ruling, isRefused = false): Objection | undefined {
    if (ruling.kind === "discard" && (kind === "connect" || kind === "helo")) {
      this.#host.warn(`it may not discard at ${kind}`);
    }
    const objection = this.#standing.judge(kind, ruling, isRefused);
    if (this.#standing.endsSession) this.#part();
    return objection;
  }

  /** It is not asked any more in this session. */
  #part(lastWords: readonly Uint8Array[] = []): void {
    const { line, unsent } = this.#outbox.close();
    if (line === undefined) return;
    this.milter.abandoned(line.turn);
    this.milter.release(line, [...unsent, ...lastWords], this.#settling === undefined);
  }

  #lose(error: unknown): Objection | undefined {
    const trouble = toTrouble(error);
    if (trouble.reason === "tooLarge") this.#standing.leaveOut(trouble);
    else {
      const { line } = this.#outbox.close();
      this.#waiting = [];
      if (this.#isOver || this.#standing.lost !== undefined) return this.#standing.objection;
      if (line !== undefined) {
        line.connection.destroy();
        this.milter.failed(line.turn, trouble);
      }
      this.#standing.lose(trouble);
    }
    this.#host.failed(this.milter, trouble);
    return this.#standing.objection;
  }

  // The message

  async #scan(message: Message, ask: ScanAsk, trace: Trace): Promise<Objection | Modified | undefined> {
    const { signal, session, transaction } = ask;
    this.#inMessage = true;
    this.#wasWhole = false;
    const objection = await this.#catchUp();
    if (objection !== undefined || this.#standing.isOut) return objection;
    const occasion: Occasion = { session, transaction };
    const said = await tellContent(this.#telling, message, occasion, signal);
    if (said !== undefined || this.#standing.isOut || signal.aborted) return said;
    const macros = await this.milter.macros.at("endOfMessage", this.#outbox.lineInStep.agreement.macros, occasion);
    if (macros !== undefined) this.#outbox.gather(macrosPacket(commandLetters.endOfMessage, macros));
    this.#outbox.gather(encodeCommand({ kind: "endOfMessage" }));
    return this.#endOfMessage(message, ask, trace);
  }

  async #endOfMessage(message: Message, ask: ScanAsk, trace: Trace): Promise<Objection | Modified | undefined> {
    const { connection, agreement } = this.#outbox.lineInStep;
    const { contentTimeoutMs } = this.milter.settings;
    const { clock } = this.milter;
    const until = clock.monotonic() + Math.max(contentTimeoutMs, longestProgressMs);
    let modifications: Modifications | undefined;
    let signs = 0;
    this.#outbox.flush();
    for (;;) {
      const left = until - clock.monotonic();
      if (left <= 0) throw late("it does not come to an end");
      const response = await connection.next(
        ask.signal.aborted ? Math.min(left, this.milter.settings.commandTimeoutMs) : Math.min(contentTimeoutMs, left),
      );
      this.#heard();
      const isNothing = response.kind === "replaceBody" && response.octets.length === 0;
      if ((response.kind === "progress" || isNothing) && ++signs > mostProgress) {
        throw invalid("it says without end that it is at work");
      }
      if (response.kind === "progress") continue;
      if (response.kind === "negotiate") throw invalid("it answered the end of a message with negotiate");
      if (!isModification(response.kind)) {
        this.#wasWhole = true;
        const objection = this.#judge("endOfMessage", response as Ruling);
        return objection ?? (await modifications?.finish());
      }
      modifications ??= new Modifications(agreement, message, ask, trace, this.#host.origin);
      await modifications.add(response as Parameters<Modifications["add"]>[0]);
    }
  }
}
