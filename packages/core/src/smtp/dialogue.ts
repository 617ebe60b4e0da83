/**
 * One SMTP conversation: its state, its session and transaction, and the dispatch of commands over the transition table. It
 * speaks through a wire and never touches a socket. Whatever goes wrong in a command becomes a reply here and nowhere else.
 */
import type { NetworkList } from "../address/index.ts";
import {
  after,
  formatReply,
  isPromise,
  reply,
  type MaybePromise,
  type Objection,
  type Recipient,
  type Reply,
  type Session,
} from "../model/index.ts";
import { deciderOf } from "../hooks/index.ts";
import { findUnmetDemand } from "./demands.ts";
import { commands, unavailable, type Command } from "./commands/index.ts";
import type { LineFault, Reader, Receiver } from "./command-stream.ts";
import type { Decider, SmtpEvent } from "./events.ts";
import { replyForError } from "./failure.ts";
import type { ListenerSettings, SessionGeneration, SmtpHost } from "./front.ts";
import type { SessionPolicy } from "./session-policy.ts";
import { findMisplacement, type State, type Verb } from "./transitions.ts";
import { longestSaslLine } from "./sasl.ts";
import { OpenTransaction } from "./open-transaction.ts";
import { Watchdog, type Expiry } from "./watchdog.ts";

/** The way to the client. Replies gather until `flush`. */
export interface Wire {
  write(text: string): void;
  /** A promise asks to wait: the client does not read. */
  flush(): MaybePromise<void>;
  /** Sends what has gathered and ends the connection; takes in for a while what the client still sends, so that it can read why. */
  hangUp(): void;
  /** As `hangUp`, for a client that has said QUIT: nothing more is to come, and nothing is waited for. */
  part(): void;
  /** The next octets are a message's. */
  receive(receiver: Receiver): void;
  /** Sends what has gathered, drops what the client has sent, and begins TLS; `begun` when the handshake is done. */
  startTls(begun: (tls: Session["tls"]) => MaybePromise<void>): void;
}

/** Where an objection was raised. */
export interface Occasion {
  readonly stage: string;
  /** As in the log: "CONNECT", "RCPT", "END-OF-MESSAGE". */
  readonly command: string;
  readonly recipient?: Recipient;
  /** Of a MAIL that is refused. */
  readonly sender?: string;
  /** As it would have been, when HELO is refused. */
  readonly session?: Session;
  /** The session ends with the reply. */
  readonly ends?: boolean;
}

/** What a dialogue gets from its listener. */
export interface Place {
  readonly settings: ListenerSettings;
  readonly xclient: NetworkList;
  /** There is a key. */
  readonly tlsAvailable: boolean;
  /** Explaining: what a session has from its start without having done it. */
  readonly assumed: Partial<Pick<Session, "auth" | "tls">>;
}

const tooManyErrors = reply(421, "4.7.0", "Too many errors, closing connection");
/** After a pipelined group whose recipients were all refused (RFC 2920 §3.1, RFC 5321 §3.3). */
const noValidRecipients = reply(554, "5.5.1", "No valid recipients");
const unknownCommand = reply(500, "5.5.1", "Command not recognized");
const notSmtp = reply(421, "4.7.0", "This is SMTP, closing connection");
const tooEarly = reply(554, "5.5.0", "Client spoke before the greeting");
const timedOut = reply(421, "4.4.2", "Timeout, closing connection");
const shuttingDown = reply(421, "4.3.2", "Server is shutting down, try again later");

const lineFaults: Readonly<Record<LineFault, Reply>> = {
  tooLong: reply(500, "5.5.2", "Command line too long"),
  bareLf: reply(500, "5.5.2", "Line ends in LF without CR"),
  bareCr: reply(500, "5.5.2", "CR without LF in command"),
  nul: reply(500, "5.5.2", "NUL in command"),
};

/** Commands whose reply a client has to hear before it goes on (RFC 2920 §3.1), as Postfix has them. */
const lastOfGroup: ReadonlySet<Verb> = new Set(["HELO", "EHLO", "DATA", "NOOP", "VRFY"]);

/** Commands that lead nowhere; too many between two messages count as errors. */
const junk: ReadonlySet<Verb> = new Set(["HELO", "EHLO", "RSET", "NOOP", "VRFY", "STARTTLS", "XCLIENT"]);

// A browser made to speak to a mail server.
const foreign = /^(?:GET|POST|PUT|HEAD|OPTIONS|CONNECT|DELETE) \S+ HTTP\//i;
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
  #commands = 0;
  #errors = 0;
  /** Of those, whom the tarpit has heard of. */
  #errorsTold = 0;
  #junk = 0;
  #endPause: (() => void) | undefined;
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

  get offersTls(): boolean {
    return this.place.tlsAvailable && this.session.tls === undefined;
  }

  /** The listener takes logins, and somebody knows passwords. */
  get offersAuth(): boolean {
    const { auth = "off" } = this.place.settings;
    return auth !== "off" && this.generation.authenticate !== undefined;
  }

  /** A password may be sent now. */
  get mayAuthenticate(): boolean {
    return this.offersAuth && (this.session.tls !== undefined || this.place.settings.authWithoutTls === true);
  }

  get mayUseXclient(): boolean {
    return this.place.xclient.contains(this.peerAddress);
  }

  // Reader

  command(line: string, ahead = false): MaybePromise<void> {
    this.#commands += 1;
    const blank = line.indexOf(" ");
    const verb = (blank < 0 ? line : line.slice(0, blank)).toUpperCase();
    const argument = blank < 0 ? "" : line.slice(blank + 1).trim();
    const command = Object.hasOwn(commands, verb) ? commands[verb as Verb] : undefined;
    if (command === undefined) return this.#unknown(line, verb);
    if (ahead) this.#noticePipelining(verb as Verb);
    if (this.refusal !== undefined && verb !== "QUIT") return this.say(this.refusal);
    if (verb !== "AUTH" && this.#isTooLong(line)) return this.malformed("tooLong");
    const unmet = findUnmetDemand(verb as Verb, this.session, this.place.settings);
    if (unmet !== undefined) return this.say(unmet);
    if (junk.has(verb as Verb)) this.#countJunk();
    const misplaced = this.#findMisplacement(verb as Verb);
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
    const unknown = { id: undefined, sender: undefined, recipient: undefined };
    const id = this.logRefusal(tooEarly, undefined, { session, command: "CONNECT", ...unknown });
    const { rejected } = this.generation.hooks.smtp;
    if (rejected.tapped) rejected.call({ kind: "reject", reply: tooEarly }, "connect", session);
    this.bye(this.withDecision(tooEarly, id));
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
    return this.offersAuth ? Math.max(commandLineBytes, longestSaslLine) : commandLineBytes;
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
    this.wire.write(`${this.#printable(formatReply(said))}\r\n`);
    if (said.code >= 500) this.countError();
    else if (said.code === 421) this.#hangUp();
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
    this.wire.write(`${this.#printable(formatReply(said))}\r\n`);
    this.#hangUp();
  }

  /** The answer to QUIT. */
  part(said: Reply): void {
    if (this.over) return;
    this.wire.write(`${formatReply(said)}\r\n`);
    this.wire.part();
    this.end();
  }

  /** An objection of a hook, a list, the relay guard or a scanner: logged, told to the hooks, said. */
  object(objection: Objection, occasion: Occasion): void {
    const id = this.report(objection, occasion);
    const said = this.withDecision(objection.reply, id);
    // 521 promises that nothing else will be taken (RFC 7504), 421 that the connection ends.
    if (occasion.ends === true || objection.reply.code === 521) this.bye(said);
    else this.say(said);
  }

  /** Logged and told to the hooks, not said. Gives the decision's id. */
  report(objection: Objection, { stage, command, recipient, sender, session = this.session }: Occasion): string {
    const id = this.logRefusal(objection.reply, this.#deciderOf(objection), {
      session,
      command,
      id: command === "END-OF-MESSAGE" ? this.transaction?.plain.id : undefined,
      sender: sender ?? this.transaction?.plain.sender,
      recipient: recipient?.address,
    });
    const { rejected } = this.generation.hooks.smtp;
    if (rejected.tapped) rejected.call(objection, stage, session);
    return id;
  }

  /** Gives the decision's id. */
  logRefusal(
    refusal: Reply,
    by: Decider | undefined,
    event: Omit<Extract<SmtpEvent, { kind: "rejected" }>, "kind" | "reply" | "decision">,
  ): string {
    const id = this.host.ids();
    this.host.log({ kind: "rejected", reply: refusal, decision: { id, by }, ...event });
    return id;
  }

  /** As the client hears it: with the id when the config says so. */
  withDecision(refusal: Reply, id: string): Reply {
    if (this.generation.settings.showDecision !== true) return refusal;
    return reply(refusal.code, refusal.enhanced, `${refusal.text} [d=${id}]`);
  }

  #deciderOf(objection: Objection): Decider | undefined {
    const tap = deciderOf(objection);
    if (tap === undefined) return this.policy.decision;
    return { list: "hook", path: tap.hook, word: "hook", plugin: tap.plugin };
  }

  /** The next octets are the transaction's content. */
  receive(receiver: Receiver & { readonly octets: number }, withinMs: number, minRateBytesPerSecond: number): void {
    if (this.transaction !== undefined) this.transaction.receiving = true;
    this.watchdog.expectTransfer(withinMs, minRateBytesPerSecond, () => receiver.octets);
    this.wire.receive(receiver);
  }

  /** TLS is active: an objection answers every later command but QUIT. */
  askTls(): MaybePromise<void> {
    const { tls: hook } = this.generation.hooks.smtp;
    if (!hook.tapped) return;
    return this.proceed(hook.call(this.session), (objection) => {
      if (objection === undefined) return;
      this.refusal = objection.reply;
      this.report(objection, { stage: "tls", command: "STARTTLS" });
    });
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
    this.#errors += 1;
    if (this.#errors <= this.limits.errors || this.over) return;
    this.note("too many errors");
    this.bye(tooManyErrors);
  }

  /** Before a refusal leaves: as long as the taps say. The session's end ends it. */
  #tarpit(): MaybePromise<void> {
    const { tarpit } = this.generation.hooks.smtp;
    if (!tarpit.tapped || this.#errors === this.#errorsTold || this.over) return undefined;
    this.#errorsTold = this.#errors;
    return after(tarpit.call(this.#errors, this.session), (waitMs) => {
      if (waitMs !== undefined && waitMs > 0 && !this.over) return this.#pause(waitMs);
    });
  }

  async #pause(waitMs: number): Promise<void> {
    this.#busy += 1;
    // The deadline of a message stands: DATA may have come behind the error.
    if (this.transaction?.receiving !== true) this.watchdog.suspend();
    await new Promise<void>((resolve) => {
      const timer = this.host.clock.setTimer(resolve, waitMs);
      this.#endPause = () => {
        timer.cancel();
        resolve();
      };
    });
    this.#endPause = undefined;
    this.#busy -= 1;
    if (this.over) return this.#releaseWhenIdle();
    if (this.transaction?.receiving !== true) this.watchdog.expectCommand(this.limits.commandTimeoutMs);
    if (this.#draining) this.shutDown();
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
    transaction.dispose();
    if (delivered) {
      this.messages += 1;
      this.#errors = 0;
      this.#errorsTold = 0;
      this.#junk = 0;
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
    this.#endPause?.();
    this.onEnd?.();
    // What is being judged or queued still reads its content: that transaction ends with the call.
    if (this.transaction?.received !== true) this.endTransaction(false);
    this.host.log({
      kind: "disconnected",
      session: this.session,
      messages: this.messages,
      commands: this.#commands,
    });
    const { closed } = this.generation.hooks.smtp;
    if (closed.tapped) closed.call(this.session);
    this.#releaseWhenIdle();
  }

  /** No more: at once before the greeting and between transactions, else when this one is over. */
  shutDown(): void {
    this.#draining = true;
    this.#endPause?.();
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
    this.#busy -= 1;
    if (this.over) return this.#releaseWhenIdle();
    if (this.#closing && this.#busy === 0) return this.wire.hangUp();
    if (this.transaction?.receiving !== true) this.watchdog.expectCommand(this.limits.commandTimeoutMs);
    if (this.#draining) this.shutDown();
  }

  /** Where AUTH may have long lines, the other commands may not. */
  #isTooLong(line: string): boolean {
    const longest = this.limits.commandLineBytes - 2;
    return line.length * 3 > longest && this.offersAuth && Buffer.byteLength(line) > longest;
  }

  #unknown(line: string, verb: string): void {
    if (this.#isTooLong(line)) return this.malformed("tooLong");
    if (foreign.test(line)) {
      this.note("spoke HTTP");
      return this.bye(notSmtp);
    }
    if (this.refusal !== undefined) return this.say(this.refusal);
    this.say(unavailable.get(verb) ?? unknownCommand);
  }

  #findMisplacement(verb: Verb): Reply | undefined {
    const misplaced = findMisplacement(verb, this.state);
    const refusedAll = this.state === "mail" && (this.transaction?.attempts ?? 0) > 0;
    return misplaced !== undefined && refusedAll && (verb === "DATA" || verb === "BDAT")
      ? noValidRecipients
      : misplaced;
  }

  /** As Postfix's reject_unauth_pipelining sees it. What is still on its way here is not seen. */
  #noticePipelining(verb: Verb): void {
    if (this.session.pipelinedEarly === true) return;
    if (this.session.helo?.verb === "EHLO" && !lastOfGroup.has(verb)) return;
    this.session = { ...this.session, pipelinedEarly: true };
    this.note(`improper command pipelining after ${verb}`);
  }

  #countJunk(): void {
    this.#junk += 1;
    if (this.#junk > this.limits.junkCommands) this.countError();
  }

  /** UTF-8 in replies only to a client that asked for it (RFC 6531 §3.5). */
  #printable(line: string): string {
    return nonAscii.test(line) && this.transaction?.plain.smtputf8 !== true
      ? line.replace(/[^\u0000-\u007f]/gu, "?")
      : line;
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
