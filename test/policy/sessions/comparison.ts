// One session said to both servers, and where they part.
import { connect } from "node:net";
import type { TestGateway } from "@postern/testkit";
import { converse, type Reply } from "./conversation.ts";
import { explain } from "./differences.ts";
import type { SessionPolicy } from "./policy.ts";
import { settingsOf } from "./postfix.ts";
import { shorterSessions, type Session } from "./session.ts";

export interface Pair {
  readonly policy: SessionPolicy;
  /** Where its smtpd listens. */
  readonly port: number;
  readonly own: TestGateway;
}

export interface Outcome {
  readonly theirs: readonly Reply[];
  readonly ours: readonly Reply[];
  /** How many replies agree before the first pair that does not. */
  readonly agreed: number;
  readonly differs: boolean;
  /** The name of a difference that is meant. */
  readonly explained: string | undefined;
}

const missing: Reply = { line: "?", code: "closed", text: "" };

/** A reply that is missing in the shorter row counts as `closed`. */
export async function compare({ policy, port, own }: Pair, session: Session): Promise<Outcome> {
  const logged = own.log.length;
  const [theirs, ours] = await Promise.all([
    converse(connect(port, "127.0.0.1"), session),
    converse(own.connect({ remoteAddress: "127.0.0.1" }), session),
  ]);
  const longest = Math.max(theirs.length, ours.length);
  let agreed = 0;
  while (agreed < longest && theirs[agreed]?.code === ours[agreed]?.code) agreed += 1;
  if (agreed === longest) return { theirs, ours, agreed, differs: false, explained: undefined };
  const said = theirs.slice(0, agreed).map(({ line }) => line);
  const explained = explain({
    policy,
    theirs: theirs[agreed] ?? missing,
    ours: ours[agreed] ?? missing,
    before: said.slice(said.findLastIndex((line) => line.startsWith("MAIL"))),
    log: own.log.slice(logged).join("\n"),
  });
  return { theirs, ours, agreed, differs: explained === undefined, explained };
}

/** Without the lines that are not needed to see a difference. Silence takes too long to be tried again and again. */
export async function shorten(pair: Pair, session: Session, outcome: Outcome): Promise<Session> {
  if ([outcome.theirs, outcome.ours].some((replies) => replies.at(-1)?.code === "silent")) return session;
  for (const shorter of shorterSessions(session)) {
    const tried = await compare(pair, shorter);
    if (tried.differs) return shorten(pair, shorter, tried);
  }
  return session;
}

/** All that one needs to see a difference by hand. */
export function tell({ policy }: Pair, session: Session, { theirs, ours, agreed }: Outcome): string {
  const rows = Array.from({ length: Math.max(theirs.length, ours.length) }, (_, index) => {
    const [real, own] = [theirs[index], ours[index]];
    const oneLine = (reply: Reply | undefined): string => reply?.text.replaceAll("\n", " ") ?? "closed";
    const line = `${index === agreed ? ">" : " "} ${real?.line ?? own?.line}`;
    return [line, `    Postfix ${oneLine(real)}`, `    Postern ${oneLine(own)}`].join("\n");
  });
  return [
    `smtpd_delay_reject = ${policy.delayReject ? "yes" : "no"}`,
    ...Object.entries(settingsOf(policy)).map(([key, text]) => `${key} = ${text}`),
    ...policy.tables.flatMap(({ file, text }) => (file === undefined ? [] : [`--- ${file}`, (text ?? "").trimEnd()])),
    "---",
    ...rows,
  ].join("\n");
}
