/** What a milter has said so far in one session and of the message at hand, and what stands because of it. */
import {
  policyFor,
  reply,
  type FailurePolicy,
  type FailureReason,
  type Objection,
  type OnError,
  type ScannerFailure,
} from "@postern/core";
import type { CommandKind, Ruling } from "../protocol/index.ts";
import { readReplyCode } from "./reply-code.ts";
import { down, invalid } from "./trouble.ts";

const rejected: Objection = { kind: "reject", reply: reply(550, "5.7.1", "Command rejected") };
const putOff: Objection = { kind: "defer", reply: reply(451, "4.7.1", "Service unavailable - try again later") };
const refused: Objection = { kind: "reject", reply: reply(550, "5.7.1", "Service unavailable") };
const closing: Objection = { kind: "defer", reply: reply(421, "4.7.0", "Server closing connection") };

/** What it wants done with the message as a whole, said before the end of it or there. */
export interface Wish {
  readonly discard: boolean;
  readonly quarantine: string | undefined;
}
const noWish: Wish = Object.freeze({ discard: false, quarantine: undefined });

export interface Lost {
  readonly policy: FailurePolicy;
  readonly reason: FailureReason;
}

export class Standing {
  readonly #onError: OnError;
  /** It has said `accept`: for the session, or for this message. */
  #accepted: "session" | "message" | undefined;
  /** What it said at connect or helo stands for all that follows. */
  #objection: Objection | undefined;
  #lost: Lost | undefined;
  /** Lost for this message alone. */
  #isLeftOut = false;
  /** `skip`: no more of this kind until there is one of another. */
  #skipped: CommandKind | undefined;
  #wish: Wish = noWish;

  constructor(onError: OnError) {
    this.#onError = onError;
  }

  /** It is not asked any more, of this message at least. */
  get isOut(): boolean {
    return this.#accepted !== undefined || this.#lost !== undefined;
  }

  /** Nothing that it could say in this session would count. */
  get endsSession(): boolean {
    return this.#accepted === "session" || this.#objection !== undefined;
  }

  get wish(): Wish {
    return this.#wish;
  }

  get lost(): Lost | undefined {
    return this.#lost;
  }

  /** What every command is answered with. */
  get objection(): Objection | undefined {
    if (this.#objection !== undefined) return this.#objection;
    if (this.#lost?.policy === "defer") return putOff;
    return this.#lost?.policy === "reject" ? refused : undefined;
  }

  isSkipped(kind: CommandKind): boolean {
    if (this.#skipped === kind) return true;
    this.#skipped = undefined;
    return false;
  }

  putAside(reason: string): void {
    this.#wish = { ...this.#wish, quarantine: reason };
  }

  /**
   * What an answer does; an objection is the reply to the command. Of a recipient that is `isRefused` already an objection is nobody's
   * reply, and as in Postfix the message is not discarded over it. Throws `ScannerFailure`.
   */
  judge(kind: CommandKind, ruling: Ruling, isRefused = false): Objection | undefined {
    const isSession = kind === "connect" || kind === "helo";
    switch (ruling.kind) {
      case "continue":
        return undefined;
      case "skip":
        if (kind === "endOfMessage") throw invalid("it has no verdict at the end of a message");
        this.#skipped = kind;
        return undefined;
      case "accept":
        this.#accepted = isSession ? "session" : "message";
        return undefined;
      case "discard":
        // At connect and HELO it may not.
        if (isSession) return undefined;
        this.#accepted = "message";
        if (isRefused) return rejected;
        this.#wish = { ...this.#wish, discard: true };
        return undefined;
      case "reject":
        return this.#object(isSession, rejected);
      case "tempfail":
        return this.#object(isSession, putOff);
      case "shutdown":
        return this.#object(true, closing);
      case "replyCode": {
        const objection = readReplyCode(ruling.text);
        if (objection === undefined) throw invalid("its reply is no refusal with a code");
        return this.#object(isSession, objection);
      }
      case "connectionFailure":
        throw down("it wants the connection to fail");
    }
  }

  /** For the rest of the session. */
  lose({ reason }: ScannerFailure): void {
    this.#lost = { reason, policy: policyFor(this.#onError, reason) };
  }

  /** The milter is well and this message is nothing for it: what was declared stands for this message alone. */
  leaveOut(trouble: ScannerFailure): void {
    this.lose(trouble);
    this.#isLeftOut = true;
  }

  endMessage(): void {
    if (this.#accepted === "message") this.#accepted = undefined;
    if (this.#isLeftOut) this.#lost = undefined;
    this.#isLeftOut = false;
    this.#skipped = undefined;
    this.#wish = noWish;
  }

  #object(stands: boolean, objection: Objection): Objection {
    if (stands) this.#objection = objection;
    return objection;
  }
}
