// One random session: who comes, and what it says line by line. No line depends on a reply, but a message is sent only when asked for.
import type { Chance } from "./chance.ts";
import { clients, heloNames, recipients, senders, type ClientFacts } from "./names.ts";

export interface Session {
  readonly client: ClientFacts;
  /** Commands; `DATA` stands for the command and, after 354, a message. */
  readonly lines: readonly string[];
}

export function makeSession(chance: Chance): Session {
  const client = chance.one(clients);
  const lines: string[] = [];
  const greet = (): void => void lines.push(`${chance.is(0.7) ? "EHLO" : "HELO"} ${chance.one(heloNames)}`);
  if (chance.is(0.93)) greet();
  for (
    let count = chance.weighed([
      [4, 1],
      [1, 2],
      [1, 3],
    ]);
    count > 0;
    count -= 1
  ) {
    lines.push(`MAIL FROM:<${chance.one(senders)}>`);
    for (const recipient of chance.some(1, 3, () => chance.one(recipients))) lines.push(`RCPT TO:<${recipient}>`);
    if (chance.is(0.4)) lines.push("DATA");
    lines.push(
      ...chance.weighed<string[]>([
        [5, []],
        [2, ["RSET"]],
        [1, ["NOOP"]],
      ]),
    );
    // A transaction that stands open is ended by RSET or by a new greeting.
    if (count > 1 && lines.at(-1) !== "RSET")
      if (chance.is(0.5)) lines.push("RSET");
      else greet();
  }
  return { client, lines };
}

/** `XCLIENT` for a client; the server starts anew with a greeting. */
export function xclientLine({ name, reverseName, address }: ClientFacts): string {
  return `XCLIENT NAME=${name} REVERSE_NAME=${reverseName} ADDR=${address.includes(":") ? "IPV6:" : ""}${address}`;
}

/** Shorter ones that may show the same, shortest first: one transaction, fewer recipients, without what is not needed. */
export function* shorterSessions(session: Session): Generator<Session> {
  for (let size = session.lines.length - 1; size > 0; size = Math.floor(size / 2)) {
    for (let start = 0; start + size <= session.lines.length; start += 1) {
      yield { ...session, lines: session.lines.toSpliced(start, size) };
    }
  }
}
