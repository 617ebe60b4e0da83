/** What a plugin teaches the policy language: a word. Postfix's snake_case, with Postfix's meaning. */
import type { z } from "zod";
import type { Clock, MaybePromise, Answer, Recipient, Session, Transaction } from "../model/index.ts";
import type { Message } from "../message/message.ts";
import type { AddressClass } from "../model/envelope.ts";
import type { LookupTable, TableSpec } from "../tables/table.ts";

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
  /** In `relay` and `rcpt`. */
  readonly recipient?: Recipient | undefined;
  /** In `message`. */
  readonly message?: Message | undefined;
  /** Explaining or testing: leave no trace in any state. */
  readonly dry: boolean;
}

export type Judge = (ask: Ask) => MaybePromise<Answer>;

/** What a word may use while it is compiled. */
export interface CompileScope {
  readonly clock: Clock;
  /** Opens a table that lives as long as the generation. Mistakes throw `ConfigError`. */
  table(spec: TableSpec): Promise<LookupTable>;
  readonly addresses: AddressBook;
  /** The stage whose list is being compiled. */
  readonly stage: Stage;
  /** Another word of the language by name with its arguments, for access tables that name restrictions. */
  compile(entry: PolicyEntry): Promise<Judge>;
}

/** Who is ours: the config's domains, as words may ask about them. */
export interface AddressBook {
  /** "default" when the domain is none of ours. Throws `TableUnavailable`. */
  classOf(domain: string): MaybePromise<AddressClass>;
  /** Is the address known in its class? A class without a recipient list knows everybody. Throws `TableUnavailable`. */
  isListed(address: string): MaybePromise<boolean>;
  readonly recipientDelimiter: string;
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
  /** Once per use in a list. Tables open here and mistakes show here. */
  compile(args: Args, scope: CompileScope): MaybePromise<Judge>;
}

/**
 * One entry of a list as written: `"check_client_access texthash:./clients"`, or an object or array form for arguments that hold spaces.
 */
export type PolicyEntry = string | readonly [word: string, ...args: unknown[]];
