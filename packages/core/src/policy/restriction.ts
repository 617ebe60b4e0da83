/** What a plugin teaches the policy language: a word. Postfix's snake_case, with Postfix's meaning. */
import type { z } from "zod";
import type { Clock, MaybePromise, Answer, Recipient, Session, Transaction } from "../model/index.ts";
import type { Message } from "../message/message.ts";
import type { AddressBook } from "../routing/address-book.ts";
import type { LookupTable, TableSpec } from "../tables/table.ts";
import type { Subject } from "./subject.ts";

/** Where a list is asked, in the order of a session. */
export const stages = Object.freeze(["connect", "helo", "mail", "relay", "rcpt", "data", "message"] as const);
export type Stage = (typeof stages)[number];

/** The question put to a compiled word. */
export interface Ask {
  /** The stage whose list is being run, whenever that happens (lists before `rcpt` are run at RCPT when rejection is delayed). */
  readonly stage: Stage;
  readonly session: Session;
  /** From MAIL on. */
  readonly transaction?: Transaction | undefined;
  /** In `relay` and `rcpt`, and in the lists before them when they are asked at RCPT; in `data` and `message` when there is but one. */
  readonly recipient?: Recipient | undefined;
  /** For words that a table named: whom the table was asked about. Absent: whom the list is about. */
  readonly subject?: Subject;
  /** In `message`. */
  readonly message?: Message | undefined;
  /** Explaining or testing: leave no trace in any state. */
  readonly dry: boolean;
}

export type Judge = (ask: Ask) => MaybePromise<Answer>;

export type { AddressBook } from "../routing/address-book.ts";

/** What a word may use while it is compiled. */
export interface CompileScope {
  readonly clock: Clock;
  /** Opens a table that lives as long as the generation. Mistakes throw `ConfigError`. */
  table(spec: TableSpec): Promise<LookupTable>;
  readonly addresses: AddressBook;
  /** The stage whose list is being compiled. */
  readonly stage: Stage;
  /**
   * Words of the language as one judge, for access tables that name restrictions. Its permit satisfies the relay guard only
   * when the word that permitted may, beside the word that asked. Throws `ConfigError`.
   */
  compile(entry: PolicyEntry): Promise<Judge>;
  /** Throws `ConfigError` for a FILTER destination that no mail could be sent to. Absent where nothing is known of transports. */
  checkFilter?(destination: string): void;
}

export interface Restriction<Args extends readonly unknown[] = readonly unknown[]> {
  readonly name: string;
  /** Stages in whose lists it may stand. */
  readonly stages: readonly Stage[];
  /** Schema of its arguments, a tuple. */
  readonly args: z.ZodType<Args>;
  /** One or two sentences for `postern words` and the reference. */
  readonly description: string;
  /** May its permit satisfy the relay guard? Stages where it may; true: `relay` and `rcpt`. */
  readonly authorizes?: boolean | readonly Stage[];
  /** It talks to a service outside, as a policy server: `postern explain` asks it with `--live` only. Tables and DNS are none. */
  readonly asksService?: boolean;
  /** In place of its plugin's deadline, milliseconds: for a word that waits by its nature and ends the wait itself. */
  readonly deadlineMs?: number;
  /** It ends every list that it is asked in, whoever asks: what stands after it is never reached, and `postern check` says so. */
  readonly always?: "permit" | "reject" | "defer";
  /** Once per use in a list. Tables open here and mistakes show here. */
  compile(args: Args, scope: CompileScope): MaybePromise<Judge>;
}

/**
 * One entry of a list as written: `"permit_mynetworks, check_client_access texthash:./clients"`, a string of words with their
 * arguments, or `["check_client_access", { "192.0.2.1": "OK" }]`, one word with arguments that are no plain words.
 */
export type PolicyEntry = string | readonly [word: string, ...args: unknown[]];
