/**
 * A session that another mail server has, asked here: the same hooks, lists, scanners and modifiers as on a listener of ours, in the same
 * order and with the same replies, since it is the same dialogue. Only what belongs to the one who took the mail is left out: who may
 * relay, who exists, rewriting, limits on clients, Received. One question at a time: an answer is waited for before the next question.
 */
import { createNetworkList, parsePath, takePath } from "../address/index.ts";
import { header, prependFields, type FieldText, type Message } from "../message/index.ts";
import {
  after,
  internalError,
  reply,
  wireReply,
  type MaybePromise,
  type Recipient,
  type Session,
} from "../model/index.ts";
import type { MessageEffect } from "../policy/index.ts";
import { applyEnvelopeEdits } from "../rewrite/index.ts";
import { acceptMessage } from "../smtp/acceptance.ts";
import { askData, beginContent } from "../smtp/commands/data.ts";
import { askHelo } from "../smtp/commands/helo.ts";
import { askMail } from "../smtp/commands/mail.ts";
import { askRecipient } from "../smtp/commands/rcpt.ts";
import { askTls } from "../smtp/commands/starttls.ts";
import { askUnknown } from "../smtp/commands/unknown.ts";
import { Dialogue } from "../smtp/dialogue.ts";
import { edit, refuse, type Judged } from "../smtp/disposition.ts";
import { addBlindCopies, lastEffect, redirectEnvelope } from "../smtp/effects.ts";
import type { SessionGeneration, SmtpHost } from "../smtp/index.ts";
import { askConnect } from "../smtp/greeting.ts";
import type { OpenTransaction } from "../smtp/open-transaction.ts";
import { askNetworks } from "../smtp/own-clients.ts";
import type { Place } from "../smtp/place.ts";
import type { Wire } from "../smtp/wire.ts";
import { settingsOf, withoutLimits } from "./borrowed-session.ts";
import { changesOf } from "./changes.ts";
import { knownMailParameters, knownRcptParameters } from "./parameters.ts";
import type { Changes, Refusal, Disposal } from "./disposal.ts";
import type { ToldSession, ToldState } from "./told.ts";

const noFilter = reply(451, "4.3.5", "Server configuration problem");
const noRecipients = reply(554, "5.5.1", "No recipients left");
const unasked: Refusal = wireReply(internalError).trimEnd();
const unrecognized = reply(500, "5.5.1", "Command not recognized");

export class Conversation {
  readonly #host: SmtpHost;
  readonly #dialogue: Dialogue;
  #said = "";
  #disposal: Disposal | undefined;
  /** After a refusal that ends the session: the answer to everything. */
  #last: Refusal | undefined;
  /** A question is under way. */
  #asking = false;
  /** Recipients of the message under way that the client named more than once, each way it did. */
  readonly #namedAgain: Recipient[] = [];

  /** `generation` is let go at the end. */
  constructor(host: SmtpHost, generation: SessionGeneration, told: ToldSession, id: string) {
    this.#host = host;
    const session: Session = {
      id,
      listener: told.listener,
      startedAt: host.clock.now(),
      client: { ...told.client, inNetworks: false },
      server: told.server,
      helo: undefined,
      tls: undefined,
      auth: undefined,
    };
    const place: Place = {
      settings: settingsOf(told.listener),
      xclient: createNetworkList([]),
      tlsAvailable: false,
      assumed: {},
      ending: (dialogue, transaction, judged) => this.#end(dialogue, transaction, judged),
    };
    this.#dialogue = new Dialogue(
      host,
      withoutLimits(generation),
      place,
      this.#wire(),
      session,
      told.client.address ?? "",
    );
  }

  /** Nothing more will be answered. */
  get over(): boolean {
    return this.#dialogue.over;
  }

  /** A refusal is meant for the whole session. */
  connect(): MaybePromise<Refusal | undefined> {
    const dialogue = this.#dialogue;
    return this.#ask("CONNECT", () => {
      const { client } = dialogue.session;
      return dialogue.proceed(askNetworks(dialogue.generation.networks, client.address), (own) => {
        dialogue.session = { ...dialogue.session, client: { ...client, ...own } };
        this.#host.log({ kind: "connected", session: dialogue.session });
        return askConnect(dialogue, () => undefined);
      });
    });
  }

  /** Each time the client says it. */
  helo(name: string, told: ToldState = {}): MaybePromise<Refusal | undefined> {
    const dialogue = this.#dialogue;
    return this.#ask("HELO", () =>
      dialogue.proceed(this.#learn(told), () => {
        // Refused by the hook that heard of TLS.
        if (this.#said !== "") return undefined;
        return askHelo(dialogue, { ...dialogue.session, helo: { verb: "EHLO", name } }, () => undefined);
      }),
    );
  }

  /** `path`: in brackets, as the client wrote it. Parameters that are not known are the mail server's matter. */
  mail(path: string, parameters: readonly string[], told: ToldState = {}): MaybePromise<Refusal | undefined> {
    const dialogue = this.#dialogue;
    this.reset();
    return this.#ask("MAIL", () =>
      dialogue.proceed(this.#learn(told), () => {
        // Refused by the hook that heard of the login.
        if (this.#said !== "") return undefined;
        return askMail(dialogue, this.#addressOf(path, true), knownMailParameters(parameters));
      }),
    );
  }

  recipient(path: string, parameters: readonly string[]): MaybePromise<Refusal | undefined> {
    const dialogue = this.#dialogue;
    return this.#ask("RCPT", () => {
      const { transaction } = dialogue;
      if (transaction === undefined) return undefined;
      const recipient: Recipient = {
        address: this.#addressOf(path, false),
        original: bare(path),
        ...knownRcptParameters(parameters),
      };
      const { recipients } = transaction.plain;
      const known = recipients.length;
      return after(askRecipient(dialogue, transaction, recipient), () => {
        // It is one for us, and may be two for the mail server.
        if (recipients.length === known && this.#said.startsWith("2")) this.#namedAgain.push(recipient);
      });
    });
  }

  data(): MaybePromise<Refusal | undefined> {
    return this.#ask("DATA", () => askData(this.#dialogue, "DATA", () => undefined));
  }

  /** A command that the mail server does not know: a refusal in place of its own. */
  unknown(line: string): MaybePromise<Refusal | undefined> {
    const dialogue = this.#dialogue;
    const verb = /^[A-Za-z]{1,20}/.exec(line)?.[0].toUpperCase() ?? "UNKNOWN";
    const own = wireReply(unrecognized).trimEnd();
    return after(
      this.#ask("UNKNOWN", () => askUnknown(dialogue, line, verb, unrecognized)),
      (refusal) => (refusal === own ? undefined : refusal),
    );
  }

  /** The message's octets as they stand in it, CRLF line ends, in order. A promise asks to wait. Not to be written to any more. */
  write(parts: readonly Buffer[]): MaybePromise<void> {
    const { transaction } = this.#dialogue;
    if (transaction === undefined) return undefined;
    const content = transaction.content ?? beginContent(this.#dialogue, transaction);
    content.add(parts);
    return content.pressure;
  }

  /** No more octets need to come: the message is too large. */
  get hasEnough(): boolean {
    return this.#dialogue.transaction?.content?.tooLarge ?? false;
  }

  /** The message is complete. `id`: what the mail server calls it. What the disposal holds can be read until the next question. */
  endOfMessage(id?: string): MaybePromise<Disposal> {
    const dialogue = this.#dialogue;
    const { transaction } = dialogue;
    // Its beginning was refused, or could not be asked about: nothing passes because somebody went on all the same.
    if (transaction === undefined) return { kind: "refused", refusal: this.#last ?? unasked };
    if (transaction.content === undefined) beginContent(dialogue, transaction);
    if (id !== undefined && id !== "") dialogue.note(`the mail server's id is ${id}`);
    this.#disposal = undefined;
    return after(
      this.#ask("END-OF-MESSAGE", () => acceptMessage(dialogue)),
      (refusal): Disposal => {
        const disposal = this.#disposal;
        this.#disposal = undefined;
        if (refusal !== undefined) return { kind: "refused", refusal };
        // The session ended meanwhile; nobody hears it.
        return disposal ?? { kind: "refused", refusal: unasked };
      },
    );
  }

  /** The message under way is given up, or is the mail server's now. */
  reset(): void {
    this.#namedAgain.length = 0;
    this.#dialogue.endTransaction(this.#dialogue.transaction?.received === true);
  }

  /** The session is over, whatever is under way. */
  close(): void {
    // What is being judged still reads its content: that transaction ends with the question.
    if (!this.#asking) this.reset();
    this.#dialogue.end();
  }

  /** Replies gather, and are read when a question is answered. */
  #wire(): Wire {
    const nothing = (): void => undefined;
    return {
      write: (text) => void (this.#said += text),
      hangUp: () => void (this.#last = refusalIn(this.#said)),
      flush: nothing,
      part: nothing,
      receive: nothing,
      startTls: nothing,
    };
  }

  #ask(where: string, call: () => MaybePromise<void>): MaybePromise<Refusal | undefined> {
    const dialogue = this.#dialogue;
    if (dialogue.over) return this.#last;
    this.#said = "";
    if (where !== "CONNECT") dialogue.commands += 1;
    if (dialogue.refusal !== undefined) dialogue.say(dialogue.refusal);
    this.#asking = true;
    const pending = dialogue.refusal === undefined ? dialogue.guarded(where, call, "") : undefined;
    return after(pending, () => {
      this.#asking = false;
      return refusalIn(this.#said);
    });
  }

  /** What the client has done since it was last told of: TLS, a login. */
  #learn({ tls, auth }: ToldState): MaybePromise<void> {
    const dialogue = this.#dialogue;
    if (tls !== undefined && dialogue.session.tls === undefined) {
      // What was said in clear is not known any more (RFC 3207 §4.2).
      dialogue.session = { ...dialogue.session, tls, auth: undefined };
      return dialogue.proceed(askTls(dialogue), () => {
        if (dialogue.refusal !== undefined) return dialogue.say(dialogue.refusal);
        return this.#learn({ auth });
      });
    }
    if (auth === undefined || auth.identity === dialogue.session.auth?.identity) return undefined;
    const session = { ...dialogue.session, auth };
    const { auth: hook } = dialogue.generation.hooks.smtp;
    const asked = hook.tapped ? hook.call(auth.identity, auth.mechanism, session) : undefined;
    return dialogue.proceed(asked, (objection) => {
      if (objection !== undefined) return dialogue.object(objection, { stage: "auth", command: "AUTH", session });
      dialogue.session = session;
    });
  }

  /** The mail server has taken it: what we would write otherwise is made ours as far as it can be, and is never refused. */
  #addressOf(path: string, isSender: boolean): string {
    const text = bare(path);
    const options = { allowNull: isSender, allowPostmaster: !isSender, smtputf8: true, maxLocalPartOctets: 254 };
    const parsed = parsePath(text, options);
    if (parsed.ok) return parsed.address;
    if (parsed.reason === "noDomain") {
      const qualified = parsePath(`${text}@${this.#dialogue.generation.settings.origin}`, options);
      if (qualified.ok) return qualified.address;
    }
    return text.replace(/[\u0000-\u0020\u007f-\u009f]/g, "?").slice(0, 512);
  }

  /** Judged and accepted: in place of the queue. */
  #end(dialogue: Dialogue, transaction: OpenTransaction, judged: Judged): MaybePromise<void> {
    const { message, ruling } = judged;
    const { plain } = transaction;
    const { effects } = ruling;
    const discard = lastEffect(effects, "discard");
    if (discard !== undefined) {
      const reason = discard.text ?? "discarded";
      const { id, sender, recipients } = plain;
      const { session } = dialogue;
      this.#host.log({ kind: "discarded", session, id, sender, recipients: recipients.length, text: reason });
      this.#disposal = { kind: "discarded", reason };
      return undefined;
    }
    const filter = lastEffect(effects, "filter");
    if (filter !== undefined && lastEffect(effects, "redirect") === undefined) {
      dialogue.note(`filter ${filter.destination}: a mail server that asks has no transports of ours`);
      return refuse(dialogue, transaction, noFilter);
    }
    // One message has one fate here: what is to be put aside for some is put aside for all, and nobody's is lost.
    const meant = [...ruling.recipients, ...ruling.quarantined];
    const accepted = addBlindCopies({ ...plain, recipients: meant }, effects);
    return dialogue.proceed(edit(dialogue, accepted, judged), (result) => {
      const envelope = redirectEnvelope(applyEnvelopeEdits(accepted, result.envelope), effects);
      if (envelope.recipients.length === 0) return refuse(dialogue, transaction, noRecipients);
      const finished = withFields(result.message, effects, plain.smtputf8);
      const told = { sender: plain.sender, recipients: [...plain.recipients, ...this.#namedAgain], message };
      return dialogue.proceed(changesOf(told, { envelope, message: finished }), (changes) => {
        this.#take(dialogue, transaction, changes, quarantineReason(effects, ruling.quarantined.length > 0));
      });
    });
  }

  #take(dialogue: Dialogue, transaction: OpenTransaction, changes: Changes, quarantine: string | undefined): void {
    const { session } = dialogue;
    const { plain, content } = transaction;
    const { id, sender, recipients } = plain;
    // Nobody wanted to see it: all that is known is what the client said.
    const sizeBytes =
      content === undefined || content.sizeBytes === 0 ? (plain.declaredSizeBytes ?? 0) : content.sizeBytes;
    const about = { session, id, sender, recipients: recipients.length, sizeBytes };
    if (quarantine === undefined) this.#host.log({ kind: "received", ...about, effects: [] });
    else this.#host.log({ kind: "quarantined", ...about, reason: quarantine });
    this.#disposal = { kind: "taken", changes, quarantine };
  }
}

const refusal = /^[45]\d\d(?:-[^\r\n]*\r\n[45]\d\d)*(?: [^\r\n]*)?$/m;

/** What was said may be several replies, one after the other: the first refusal stands, alone. */
function refusalIn(said: string): Refusal | undefined {
  return refusal.exec(said)?.[0];
}

function bare(path: string): string {
  const taken = takePath(path);
  return taken.ok ? taken.path : path.replace(/^<(.*)>$/s, "$1");
}

function withFields(message: Message, effects: readonly MessageEffect[], utf8: boolean): Message {
  const fields: FieldText[] = [];
  for (const effect of effects) if (effect.kind === "prepend") fields.push(header(effect.name, effect.value, { utf8 }));
  return fields.length === 0 ? message : prependFields(message, ...fields);
}

function quarantineReason(effects: readonly MessageEffect[], isMixed: boolean): string | undefined {
  const aside = lastEffect(effects, "quarantine") ?? lastEffect(effects, "hold");
  if (aside !== undefined) return aside.text ?? "by the policy";
  return isMixed ? "refused for some of its recipients" : undefined;
}
