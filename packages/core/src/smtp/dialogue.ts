/**
 * One SMTP conversation: its state, its session and transaction, and the dispatch of commands over the transition table. It
 * speaks through a wire and never touches a socket. Whatever goes wrong in a command becomes a reply here and nowhere else.
 */
import {
  after,
  isPromise,
  reply,
  wireReply,
  type MaybePromise,
  type Objection,
  type Reply,
  type Session,
} from "../model/index.ts";
import { findUnmetDemand } from "./demands.ts";
import { commands, unknown, type Command } from "./commands/index.ts";
import type { Reader, Receiver } from "./command-stream.ts";
import { ErrorCount, junk } from "./error-count.ts";
import { replyForError } from "./failure.ts";
import type { SessionGeneration, SmtpHost } from "./front.ts";
import { lineFaults, type LineFault } from "./line-faults.ts";
import { offersAuth } from "./offers.ts";
import { startPause, type Pause } from "./pause.ts";
import { isImproperlyPipelined } from "./pipelining.ts";
import type { Place } from "./place.ts";
import { refuseByRule, reportObjection, type Occasion } from "./refusals.ts";
import type { SessionPolicy } from "./session-policy.ts";
import { findMisplacement, type State, type Verb } from "./transitions.ts";
import { longestSaslLine } from "./sasl.ts";
import { OpenTransaction } from "./open-transaction.ts";
import { Watchdog, type Expiry } from "./watchdog.ts";
import type { Wire } from "./wire.ts";

const tooManyErrors = reply(421, "4.7.0", "Too many errors, closing connection");
const tooEarly = reply(554, "5.5.0", "Client spoke before the greeting");
const timedOut = reply(421, "4.4.2", "Timeout, closing connection");
const shuttingDown = reply(421, "4.3.2", "Server is shutting down, try again later");

const nonAscii = /[^\u0000-\u007f]/;

export class Dialogue implements Reader {
  readonly host: SmtpHost;
  readonly generation: SessionGeneration;
  readonly place: Place;
  readonly wire: Wire;
  readonly watchdog: Watchdog;
  policy: SessionPolicy;
  session: Session;
  /** Address of the connection or of its PROXY header: what XCLIENT may be used from, whatever XCLIENT says. */
  readonly peerAddress: string;
  state: State = "start";
  transaction: OpenTransaction | undefined;
  /** After a hook refused TLS: the answer to everything but QUIT. */
  refusal: Reply | undefined;
  greeted = false;
  /** The session has ended: nothing may be said or begun any more. */
  over = false;
  /** Called once should the session end: what is under way is to be given up. */
  onEnd: (() => void) | undefined;
  messages = 0;
  commands = 0;
  readonly #errors = new ErrorCount();
  #pause: Pause | undefined;
  /** Calls under way; the generation is let go when none is. */
  #busy = 0;
  #released = false;
  /** The client has closed its side. */
  #closing = false;
  /** The server is going down. */
  #draining = false;

  constructor(
    host: SmtpHost,
    generation: SessionGeneration,
    place: Place,
    wire: Wire,
    session: Session,
    peerAddress: string,
  ) {
    this.host = host;
    this.generation = generation;
    this.place = place;
    this.wire = wire;
    this.session = session;
    this.peerAddress = peerAddress;
    this.policy = generation.startPolicy(place.settings.name);
    this.watchdog = new Watchdog(host.clock, (expiry) => this.#expire(expiry));
    this.watchdog.expectCommand(generation.settings.limits.commandTimeoutMs);
  }

  get limits(): SessionGeneration["settings"]["limits"] {
    return this.generation.settings.limits;
  }

  get hostname(): string {
    return this.generation.settings.hostname;
  }

  // Reader

  command(line: string, ahead = false): MaybePromise<void> {
    this.commands += 1;
    const blank = line.indexOf(" ");
    const verb = (blank < 0 ? line : line.slice(0, blank)).toUpperCase();
    const argument = blank < 0 ? "" : line.slice(blank + 1).trim();
    const command = Object.hasOwn(commands, verb) ? commands[verb as Verb] : undefined;
    if (command === undefined) return this.#isTooLong(line) ? this.malformed("tooLong") : unknown(this, line, verb);
    if (ahead && isImproperlyPipelined(verb as Verb, this.session)) this.#notePipelining(verb);
    if (this.refusal !== undefined && verb !== "QUIT") return this.say(this.refusal);
    if (verb !== "AUTH" && this.#isTooLong(line)) return this.malformed("tooLong");
    const unmet = findUnmetDemand(verb as Verb, this.session, this.place.settings);
    if (unmet !== undefined) return this.say(unmet);
    if (junk.has(verb as Verb)) this.#countJunk();
    const misplaced = findMisplacement(verb as Verb, this.state, this.transaction?.attempts ?? 0);
    // The octets of a chunk come with their command, refused or not.
    if (misplaced !== undefined && verb !== "BDAT") return this.say(misplaced);
    return this.guarded(verb, command, argument, misplaced);
  }

  malformed(fault: LineFault): void {
    this.say(lineFaults[fault]);
  }

  tooEarly(): boolean {
    if (this.greeted || this.over) return this.over;
    const { session } = this;
    const unnamed = { id: undefined, sender: undefined, recipient: undefined };
    const said = refuseByRule(this, tooEarly, { session, command: "CONNECT", ...unnamed });
    const { rejected } = this.generation.hooks.smtp;
    if (rejected.tapped) rejected.call({ kind: "reject", reply: tooEarly }, "connect", session);
    this.bye(said);
    return true;
  }

  settled(commandCount: number): MaybePromise<void> {
    if (commandCount > 0 && this.transaction?.receiving !== true) {
      this.watchdog.expectCommand(this.limits.commandTimeoutMs);
    }
    if (this.#draining) this.shutDown();
    return after(this.#tarpit(), () => this.wire.flush());
  }

  get longestLineBytes(): number {
    const { commandLineBytes } = this.limits;
    return offersAuth(this) ? Math.max(commandLineBytes, longestSaslLine) : commandLineBytes;
  }

  broken(error: unknown): void {
    this.fail("parser", error);
    this.wire.hangUp();
  }

  inputEnded(): void {
    this.#closing = true;
    // Before its greeting nothing that it could have asked for is under way.
    if (this.#busy === 0 || !this.greeted) this.wire.hangUp();
  }

  // For commands

  /** Runs a command; whatever it throws or rejects with becomes a reply. */
  guarded(where: string, call: Command, argument: string, misplaced?: Reply): MaybePromise<void> {
    try {
      const pending = call(this, argument, misplaced);
      return isPromise(pending) ? this.#await(where, pending) : undefined;
    } catch (error) {
      this.fail(where, error);
    }
  }

  /** Goes on with an answer, now or later; not at all when the session has ended meanwhile. */
  proceed<T>(answer: MaybePromise<T>, next: (answer: T) => MaybePromise<void>): MaybePromise<void> {
    if (!isPromise(answer)) return next(answer);
    return answer.then((late) => (this.over ? undefined : next(late)));
  }

  say(said: Reply): void {
    if (this.over) return;
    this.#write(said);
    if (said.code >= 500) this.countError();
    else if (said.code === 421) this.#hangUp();
    // Of recipients a large message may have many that are put off, and RCPT has a bound of its own.
    else if (said.code >= 400 && this.transaction === undefined) this.#countJunk();
  }

  /** Several lines of one reply, all with the first one's code. */
  sayLines(lines: readonly Reply[]): void {
    if (this.over) return;
    const last = lines.length - 1;
    for (const [index, line] of lines.entries()) {
      this.wire.write(`${line.code}${index < last ? "-" : " "}${line.text}\r\n`);
    }
  }

  /** The last words. */
  bye(said: Reply): void {
    if (this.over) return;
    this.#write(said);
    this.#hangUp();
  }

  /** The answer to QUIT. */
  part(said: Reply): void {
    if (this.over) return;
    this.wire.write(wireReply(said));
    this.wire.part();
    this.end();
  }

  /** An objection of a hook, a list, the relay guard or a scanner: logged, told to the hooks, said. */
  object(objection: Objection, occasion: Occasion): void {
    this.refuse(reportObjection(this, objection, occasion), occasion.ends);
  }

  /** An objection's reply, where it is reported already. */
  refuse(said: Reply, ends = false): void {
    // 521 promises that nothing else will be taken (RFC 7504), 421 that the connection ends.
    if (ends || said.code === 521) this.bye(said);
    else this.say(said);
  }

  /** The next octets are the transaction's content. */
  receive(receiver: Receiver & { readonly octets: number }, withinMs: number, minRateBytesPerSecond: number): void {
    if (this.transaction !== undefined) this.transaction.receiving = true;
    this.watchdog.expectTransfer(withinMs, minRateBytesPerSecond, () => receiver.octets);
    this.wire.receive(receiver);
  }

  note(text: string): void {
    this.host.log({ kind: "noted", session: this.session, id: this.transaction?.plain.id, text });
  }

  fail(where: string, error: unknown): void {
    this.host.log({ kind: "failed", session: this.session, where, error });
    if (this.over) return;
    // Content that came in part can be used for nothing.
    if (this.transaction?.content !== undefined) this.endTransaction(false);
    this.say(replyForError(error));
  }

  countError(): void {
    if (this.#errors.add() <= this.limits.errors || this.over) return;
    this.note("too many errors");
    this.bye(tooManyErrors);
  }

  /** Too much between two messages counts as errors. */
  #countJunk(): void {
    if (this.#errors.addJunk() > this.limits.junkCommands) this.countError();
  }

  /** Before a refusal leaves: as long as the taps say. The session's end ends it. */
  #tarpit(): MaybePromise<void> {
    const { tarpit } = this.generation.hooks.smtp;
    if (!tarpit.tapped || this.over || !this.#errors.takeNews()) return undefined;
    return after(tarpit.call(this.#errors.total, this.session), (waitMs) => {
      if (waitMs !== undefined && waitMs > 0 && !this.over) return this.#holdBack(waitMs);
    });
  }

  async #holdBack(waitMs: number): Promise<void> {
    this.#busy += 1;
    // The deadline of a message stands: DATA may have come behind the error.
    if (this.transaction?.receiving !== true) this.watchdog.suspend();
    this.#pause = startPause(this.host.clock, waitMs);
    await this.#pause.over;
    this.#pause = undefined;
    this.#goOn();
  }

  /** Another session with the same client or another one: after TLS or XCLIENT nothing is known of it (RFC 3207 §4.2). */
  renew(session: Session, state: State): void {
    this.endTransaction(false);
    this.session = session;
    this.state = state;
    this.policy = this.generation.startPolicy(this.place.settings.name);
  }

  beginTransaction(transaction: OpenTransaction): void {
    this.transaction = transaction;
    this.state = "mail";
  }

  /** The transaction is over; `delivered`: with a message. */
  endTransaction(delivered: boolean): void {
    const { transaction } = this;
    if (transaction === undefined) return;
    this.transaction = undefined;
    this.onEnd = undefined;
    if (this.state !== "start") this.state = "ready";
    this.policy.resetTransaction();
    transaction.delivered = delivered;
    transaction.dispose();
    if (delivered) {
      this.messages += 1;
      this.#errors.reset();
      return;
    }
    const { reset } = this.generation.hooks.smtp;
    if (reset.tapped) reset.call(transaction.plain, this.session);
  }

  /** The connection is gone, by whom ever. */
  end(): void {
    if (this.over) return;
    this.over = true;
    this.watchdog.stop();
    this.#pause?.end();
    this.onEnd?.();
    // What is being judged or queued still reads its content: that transaction ends with the call.
    if (this.transaction?.received !== true) this.endTransaction(false);
    this.host.log({
      kind: "disconnected",
      session: this.session,
      messages: this.messages,
      commands: this.commands,
    });
    const { closed } = this.generation.hooks.smtp;
    if (closed.tapped) closed.call(this.session);
    this.#releaseWhenIdle();
  }

  /** No more: at once before the greeting and between transactions, else when this one is over. */
  shutDown(): void {
    this.#draining = true;
    this.#pause?.end();
    const isBetween = this.#busy === 0 && this.transaction === undefined;
    if (isBetween || !this.greeted) this.bye(shuttingDown);
  }

  /** No more, whatever it is doing. */
  cutOff(): void {
    this.bye(shuttingDown);
  }

  async #await(where: string, pending: Promise<void>): Promise<void> {
    this.#busy += 1;
    this.watchdog.suspend();
    try {
      await pending;
    } catch (error) {
      this.fail(where, error);
    }
    this.#goOn();
  }

  /** What was waited for is at its end: the client owes a command again. */
  #goOn(): void {
    this.#busy -= 1;
    if (this.over) return this.#releaseWhenIdle();
    if (this.#closing && this.#busy === 0) return this.wire.hangUp();
    if (this.transaction?.receiving !== true) this.watchdog.expectCommand(this.limits.commandTimeoutMs);
    if (this.#draining) this.shutDown();
  }

  /** Where AUTH may have long lines, the other commands may not. */
  #isTooLong(line: string): boolean {
    const longest = this.limits.commandLineBytes - 2;
    return line.length * 3 > longest && offersAuth(this) && Buffer.byteLength(line) > longest;
  }

  #notePipelining(verb: string): void {
    this.session = { ...this.session, pipelinedEarly: true };
    this.note(`improper command pipelining after ${verb}`);
  }

  /** UTF-8 in replies only to a client that asked for it (RFC 6531 §3.5). */
  #write(said: Reply): void {
    const lines = wireReply(said);
    const isForeign = nonAscii.test(lines) && this.transaction?.plain.smtputf8 !== true;
    this.wire.write(isForeign ? lines.replace(/[^\u0000-\u007f]/gu, "?") : lines);
  }

  #expire(expiry: Expiry): void {
    this.note(
      expiry === "command" ? "timeout" : expiry === "rate" ? "message comes too slowly" : "message took too long",
    );
    this.bye(timedOut);
  }

  #hangUp(): void {
    this.wire.hangUp();
    this.end();
  }

  #releaseWhenIdle(): void {
    if (this.#busy > 0 || this.#released) return;
    this.#released = true;
    this.endTransaction(false);
    this.generation.release();
  }
}
