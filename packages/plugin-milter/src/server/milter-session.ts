/**
 * One connection of a mail server as a conversation: its commands in, responses out. It knows no socket; whoever feeds it waits for an
 * answer before the next command.
 */
import {
  after,
  type Blob,
  type Conversation,
  type Conversations,
  type Disposal,
  type MaybePromise,
  type Refusal,
} from "@postern/core";
import {
  fromOctets,
  ProtocolFault,
  steps,
  type Command,
  type CommandKind,
  type Macros,
  type Response,
  type Ruling,
  type Terms,
} from "../protocol/index.ts";
import { aside, Impossible, modifications, requireBody } from "./modifications.ts";
import { agree } from "./negotiation.ts";
import { macroOf, toAuth, toClient, toServer, toTls } from "./told.ts";

/** What goes out: responses in order, and where a body belongs, that body. */
export interface Answer {
  readonly responses: readonly Response[];
  /** A new body, before the last of the responses. */
  readonly body?: Blob;
}

/** The mail server has gone, or is to be let go. */
export const leave = Symbol("leave");

const nothing: Answer = Object.freeze({ responses: Object.freeze([]) });
const goOn: Answer = Object.freeze({ responses: Object.freeze([Object.freeze({ kind: "continue" })] as Response[]) });
const enough: Answer = Object.freeze({ responses: Object.freeze([Object.freeze({ kind: "skip" })] as Response[]) });
const cannot = "451 4.3.5 Server configuration problem";
const blankLine = Buffer.from("\r\n");
/** Letters of the commands whose macros are looked at; others are not kept. */
const looked: ReadonlySet<string> = new Set(["C", "H", "M", "E"]);

/** Letter of a command to the step that spares its reply. */
const repliesSpared: Readonly<Partial<Record<CommandKind, number>>> = {
  connect: steps.noReplyToConnect,
  helo: steps.noReplyToHelo,
  mail: steps.noReplyToMail,
  recipient: steps.noReplyToRecipient,
  data: steps.noReplyToData,
  unknown: steps.noReplyToUnknown,
  header: steps.noReplyToHeader,
  endOfHeaders: steps.noReplyToEndOfHeaders,
  body: steps.noReplyToBody,
};

export class MilterSession {
  readonly #conversations: Conversations;
  readonly #listener: string;
  readonly #warn: (text: string) => void;
  #terms: Terms | undefined;
  #conversation: Conversation | undefined;
  /** By the letter of the command that they came with. */
  readonly #macros = new Map<string, Macros>();
  /** Something of the message has come, so DATA was accepted, asked about or not. */
  #content: "none" | "headers" | "body" = "none";
  #askedData = false;
  /** What was said to DATA: no message passes because the mail server goes on all the same. */
  #refusedData: Refusal | undefined;
  /** Of the message under way, where its first commands told it. */
  #queueId: string | undefined;
  /** Somebody has something to say at DATA. */
  #needsData = false;
  #inTransaction = false;

  constructor(conversations: Conversations, listener: string, warn: (text: string) => void) {
    this.#conversations = conversations;
    this.#listener = listener;
    this.#warn = warn;
  }

  /** A message is under way. */
  get busy(): boolean {
    return this.#inTransaction;
  }

  /** Throws `ProtocolFault` for what is out of place. A rejection is one of the spool's. */
  handle(command: Command): MaybePromise<Answer | typeof leave> {
    switch (command.kind) {
      case "negotiate":
        return this.#negotiate(command);
      case "macros":
        if (looked.has(command.of)) this.#macros.set(command.of, command.macros);
        return nothing;
      case "quit":
        this.close();
        return leave;
      case "quitSession":
        this.close();
        return nothing;
      case "abort":
        this.#endTransaction();
        return nothing;
      case "connect":
        return this.#reply(command.kind, this.#connect(command));
      default:
        if (this.#conversation === undefined) throw new ProtocolFault(`${command.kind} before connect`);
        return this.#inSession(command, this.#conversation);
    }
  }

  /** The mail server is gone: what is under way is given up. */
  close(): void {
    this.#conversation?.close();
    this.#conversation = undefined;
    this.#endTransaction();
    this.#macros.clear();
  }

  #negotiate(offered: Terms): Answer {
    const needs = this.#conversations.needs(this.#listener);
    const agreed = agree(offered, needs);
    this.#needsData = needs.data;
    if (agreed === undefined) throw new ProtocolFault(`version ${offered.version} of the protocol`);
    this.#terms = agreed;
    return { responses: [{ kind: "negotiate", ...agreed }] };
  }

  #connect({ hostname, client }: Extract<Command, { kind: "connect" }>): MaybePromise<Refusal | undefined> {
    if (this.#terms === undefined) throw new ProtocolFault("connect before the negotiation");
    const macros = this.#macros.get("C") ?? {};
    this.close();
    this.#conversation = this.#conversations.begin({
      listener: this.#listener,
      client: toClient(hostname, client, macros),
      server: toServer(macros),
    });
    return this.#conversation.connect();
  }

  #inSession(
    command: Exclude<Command, { kind: "negotiate" | "macros" | "quit" | "quitSession" | "abort" | "connect" }>,
    conversation: Conversation,
  ): MaybePromise<Answer> {
    switch (command.kind) {
      case "helo": {
        const tls = toTls(this.#macros.get("H") ?? {});
        return this.#reply(command.kind, conversation.helo(fromOctets(command.name), tls === undefined ? {} : { tls }));
      }
      case "mail":
        return this.#reply(command.kind, this.#mail(command.args, conversation));
      case "recipient": {
        const [path = "", ...parameters] = command.args.map(fromOctets);
        return this.#reply(command.kind, conversation.recipient(path, parameters));
      }
      case "data":
        return this.#reply(command.kind, this.#data(conversation));
      case "unknown":
        return this.#reply(command.kind, conversation.unknown(fromOctets(command.line)));
      case "header":
        return this.#begun(command.kind, conversation, () => this.#header(command, conversation));
      case "endOfHeaders":
        return this.#begun(command.kind, conversation, () => this.#toBody(conversation));
      case "body":
        return this.#begun(command.kind, conversation, () => this.#body(command.octets, conversation));
      case "endOfMessage":
        return this.#begun(command.kind, conversation, () => this.#endOfMessage(command.octets, conversation));
    }
  }

  #mail(args: readonly string[], conversation: Conversation): MaybePromise<Refusal | undefined> {
    const [path = "", ...parameters] = args.map(fromOctets);
    const macros = this.#macros.get("M") ?? {};
    const [tls, auth] = [toTls(macros), toAuth(macros)];
    this.#endTransaction();
    this.#inTransaction = true;
    this.#queueId = macroOf(macros, "i");
    return conversation.mail(path, parameters, { ...(tls && { tls }), ...(auth && { auth }) });
  }

  #data(conversation: Conversation): MaybePromise<Refusal | undefined> {
    this.#askedData = true;
    return after(conversation.data(), (refusal) => (this.#refusedData = refusal));
  }

  /**
   * Versions before 4 do not tell of DATA: it is asked about with the first part of the message. Whoever does not wait for the answer to
   * that part hears it at the next one that is answered.
   */
  #begun(kind: CommandKind, conversation: Conversation, next: () => MaybePromise<Answer | void>): MaybePromise<Answer> {
    if (!this.#inTransaction) throw new ProtocolFault(`${kind} outside of a message`);
    const asked = this.#askedData || !this.#needsData ? this.#refusedData : this.#data(conversation);
    return after(asked, (refusal) => {
      if (refusal === undefined) return after(next(), (answer) => answer ?? this.#answer(kind, undefined));
      if (kind === "endOfMessage") this.#endTransaction();
      return this.#answer(kind, refusal);
    });
  }

  #header({ name, value }: Extract<Command, { kind: "header" }>, conversation: Conversation): MaybePromise<void> {
    this.#content = "headers";
    const spaced = (this.#agreed() & steps.leadingSpace) !== 0 || value === "" ? "" : " ";
    const text = `${name}:${spaced}${value.replace(/\r?\n/g, "\r\n")}\r\n`;
    return conversation.write([Buffer.from(text, "latin1")]);
  }

  #toBody(conversation: Conversation): MaybePromise<void> {
    if (this.#content === "body") return undefined;
    this.#content = "body";
    return conversation.write([blankLine]);
  }

  #body(octets: Uint8Array, conversation: Conversation): MaybePromise<Answer | void> {
    return after(this.#toBody(conversation), () =>
      after(conversation.write([bufferOf(octets)]), () => {
        const isSpared = (this.#agreed() & steps.noReplyToBody) !== 0;
        const maySkip = (this.#agreed() & steps.skip) !== 0 && !isSpared;
        return maySkip && conversation.hasEnough ? enough : undefined;
      }),
    );
  }

  #endOfMessage(octets: Uint8Array | undefined, conversation: Conversation): MaybePromise<Answer> {
    const isEmpty = octets === undefined && this.#content === "none";
    const last = isEmpty
      ? undefined
      : octets === undefined
        ? this.#toBody(conversation)
        : this.#body(octets, conversation);
    const id = macroOf(this.#macros.get("E") ?? {}, "i") ?? this.#queueId;
    return after(last, () =>
      after(conversation.endOfMessage(id), (disposal) => {
        // What the disposal holds is read before the next command.
        this.#content = "none";
        this.#inTransaction = false;
        this.#askedData = false;
        return this.#toAnswer(disposal);
      }),
    );
  }

  #toAnswer(disposal: Disposal): Answer {
    const terms = this.#terms as Terms;
    if (disposal.kind === "refused") return { responses: [refused(disposal.refusal)] };
    if (disposal.kind === "discarded") return { responses: [{ kind: "discard" }] };
    const { changes, quarantine } = disposal;
    try {
      const { body } = changes;
      if (body !== undefined) requireBody(terms);
      const told: Response[] = [...modifications(changes, terms)];
      if (quarantine !== undefined) told.push(aside(quarantine, terms));
      return { responses: [...told, { kind: "continue" }], ...(body !== undefined && { body }) };
    } catch (error) {
      if (!(error instanceof Impossible)) throw error;
      this.#warn(`a message is put off: ${error.message}`);
      return { responses: [{ kind: "replyCode", text: cannot }] };
    }
  }

  #endTransaction(): void {
    this.#conversation?.reset();
    this.#content = "none";
    this.#askedData = false;
    this.#refusedData = undefined;
    this.#queueId = undefined;
    this.#inTransaction = false;
    for (const letter of ["M", "E"]) this.#macros.delete(letter);
  }

  #agreed(): number {
    return this.#terms?.steps ?? 0;
  }

  #reply(kind: CommandKind, asked: MaybePromise<Refusal | undefined>): MaybePromise<Answer> {
    return after(asked, (refusal) => this.#answer(kind, refusal));
  }

  #answer(kind: CommandKind, refusal: Refusal | undefined): Answer {
    const spared = (this.#agreed() & (repliesSpared[kind] ?? 0)) !== 0;
    if (spared) return nothing;
    return refusal === undefined ? goOn : { responses: [refused(refusal)] };
  }
}

/**
 * Both Sendmail and Postfix want an enhanced code, and read `%` as the beginning of something unless there are two. Texts are octets by
 * then, as everything in a packet.
 */
export function refused(refusal: Refusal): Ruling {
  const lines = refusal.split("\r\n").map((line) => {
    const [, code = "451", mark = " ", text = ""] = /^(\d{3})([ -])(.*)$/s.exec(line) ?? [];
    return /^[45]\.\d/.test(text) ? line : `${code}${mark}${code[0]}.0.0 ${text}`;
  });
  return { kind: "replyCode", text: Buffer.from(lines.join("\r\n").replaceAll("%", "%%")).toString("latin1") };
}

function bufferOf(octets: Uint8Array): Buffer {
  return Buffer.isBuffer(octets) ? octets : Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
}
