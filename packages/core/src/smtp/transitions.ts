/** The session's one table: which command may stand in which state (RFC 5321 §4.1.4, RFC 3030 §2), and the reply where not. */
import { reply, type Reply } from "../model/index.ts";

/**
 * `start`: no HELO yet, or TLS or XCLIENT have just begun anew. `ready`: between transactions. `mail`: MAIL without a recipient.
 * `rcpt`: with one or more. `chunking`: after a BDAT that was not the last.
 */
export type State = "start" | "ready" | "mail" | "rcpt" | "chunking";

export type Verb =
  | "HELO"
  | "EHLO"
  | "AUTH"
  | "MAIL"
  | "RCPT"
  | "DATA"
  | "BDAT"
  | "RSET"
  | "NOOP"
  | "QUIT"
  | "VRFY"
  | "STARTTLS"
  | "XCLIENT";

const greetFirst = reply(503, "5.5.1", "Send EHLO or HELO first");
const nested = reply(503, "5.5.1", "Sender already given; RSET begins anew");
const mailFirst = reply(503, "5.5.1", "Send MAIL first");
const rcptFirst = reply(503, "5.5.1", "Send RCPT first");
/** After a pipelined group whose recipients were all refused (RFC 2920 §3.1, RFC 5321 §3.3). */
const noValidRecipients = reply(554, "5.5.1", "No valid recipients");
const chunksBegun = reply(503, "5.5.1", "Chunks have begun; only BDAT may follow");
const inTransaction = reply(503, "5.5.1", "Not during a mail transaction");

type Row = Readonly<Partial<Record<State, Reply>>>;
const always: Row = {};
const betweenTransactions: Row = { mail: inTransaction, rcpt: inTransaction, chunking: inTransaction };

/** A verb and a state that are not here go together. */
const table: Readonly<Record<Verb, Row>> = {
  HELO: always,
  EHLO: always,
  AUTH: { start: greetFirst, ...betweenTransactions },
  MAIL: { start: greetFirst, mail: nested, rcpt: nested, chunking: nested },
  RCPT: { start: greetFirst, ready: mailFirst, chunking: chunksBegun },
  DATA: { start: greetFirst, ready: mailFirst, mail: rcptFirst, chunking: chunksBegun },
  BDAT: { start: greetFirst, ready: mailFirst, mail: rcptFirst },
  RSET: always,
  NOOP: always,
  QUIT: always,
  VRFY: always,
  STARTTLS: betweenTransactions,
  XCLIENT: betweenTransactions,
};

/** Why the verb may not stand here; `undefined` when it may. `attempts`: RCPT commands of the transaction, refused or not. */
export function findMisplacement(verb: Verb, state: State, attempts: number): Reply | undefined {
  const misplaced = table[verb][state];
  return misplaced === rcptFirst && attempts > 0 ? noValidRecipients : misplaced;
}
