// What became of one session on both sides, compared piece by piece; what differs on purpose is named.
import type { MilterNote } from "../services/pymilter.ts";
import type { MilterSession } from "./sessions.ts";
import { countOf, type Delivered, type Fate } from "./world.ts";

export interface Comparison {
  readonly differences: readonly string[];
  /** Differences that are meant. */
  readonly named: readonly string[];
}

export function compareFates(session: MilterSession, postfix: Fate, own: Fate): Comparison {
  const differences: string[] = [];
  const named: string[] = [];
  const tell = (what: string, theirs: unknown, ours: unknown): void => {
    const [one, other] = [JSON.stringify(theirs), JSON.stringify(ours)];
    if (one !== other) differences.push(`${what}\n  Postfix ${one}\n  Postern ${other}`);
  };
  const steps = [
    "greeting",
    ...session.steps.map(({ kind, text }) => (kind === "message" ? "message" : `${kind} ${text}`)),
  ];
  const length = Math.max(postfix.replies.length, own.replies.length);
  const isTurnedAway = own.replies[0]?.startsWith("554") === true;
  if (isTurnedAway) {
    named.push("554 ends the session");
    tell("greeting", postfix.replies[0]?.slice(0, 3), "554");
  }
  const end = quarantines(session) ? session.steps.findIndex(({ kind }) => kind === "message") + 1 : length;
  for (let at = 0; at < Math.min(length, end) && !isTurnedAway; at += 1) {
    const [theirs, ours] = [postfix.replies[at], own.replies[at]];
    // Postfix greets with words of its own.
    const isPlanned = at > 0 && (planned.test(theirs ?? "") || planned.test(ours ?? ""));
    tell(steps[at] ?? "", replyOf(theirs, isPlanned), replyOf(ours, isPlanned));
  }
  if (quarantines(session)) {
    named.push("put aside: the other milters are asked, and the next message is not put aside");
    return { differences, named };
  }
  const ids = new Set([...postfix.delivered.keys(), ...own.delivered.keys()]);
  for (const id of ids) tell(`delivered ${id}`, deliveredAs(postfix.delivered.get(id), named), own.delivered.get(id));
  for (const [name, theirs] of postfix.notes) {
    const heard = own.notes.get(name) ?? [];
    tell(`closed ${name}`, countOf(theirs, "close"), countOf(heard, "close"));
    const [one, other] = [withoutVainAborts(theirs), withoutVainAborts(heard)];
    for (let at = 0; at < Math.max(one.length, other.length); at += 1) {
      const before = differences.length;
      tell(`told to ${name}, ${at}`, noteOf(one[at], postfix.replies), noteOf(other[at], own.replies));
      if (differences.length > before) break;
    }
  }
  return { differences, named };
}

function quarantines({ plan: { eom = [] } }: MilterSession): boolean {
  return eom.some(
    (entry) =>
      typeof entry === "object" && "changes" in entry && entry.changes?.some(([name]) => name === "quarantine"),
  );
}

/** What Postfix delivered, as we would have. */
function deliveredAs(delivered: Delivered | undefined, named: string[]): Delivered | undefined {
  if (delivered === undefined) return undefined;
  const recipients = [...new Set(delivered.recipients)];
  if (recipients.length < delivered.recipients.length) named.push("a recipient added twice gets it twice");
  // Of a field that a milter gave without a blank behind its colon; those of the client are as they came.
  const fields = delivered.fields.map((field) => (given.test(field) ? field.replace(":", ": ") : field));
  if (fields.some((field, at) => field !== delivered.fields[at])) named.push("no blank behind the colon");
  return { ...delivered, recipients, fields };
}

const given = /^[A-Za-z-]+:(?:plain|folded;|8-bit|a: b|x$)/;

/**
 * By connection: what is said over two, before and behind XCLIENT, is heard in any order. Postfix says abort also to a milter that was told
 * nothing of the message, when another one refused its MAIL.
 */
function withoutVainAborts(notes: readonly MilterNote[]): readonly MilterNote[] {
  let isOpen = false;
  const ordered = notes.toSorted((one, other) => one.connection - other.connection);
  return ordered.filter(({ event }) => {
    if (event === "envfrom" || event === "envrcpt") isOpen = true;
    else if (event === "eom") isOpen = false;
    if (event !== "abort") return event !== "close";
    const isMeant = isOpen;
    isOpen = false;
    return isMeant;
  });
}

const planned = /go away|100% no|later|no enhanced code|goodbye|Command rejected|Server closing/;

/** What each says of its own accord has its own words; what a milter has said has the milter's. */
function replyOf(reply: string | undefined, isPlanned: boolean): string {
  return reply === undefined ? "nothing" : isPlanned ? reply : reply.slice(0, 3);
}

function noteOf(note: MilterNote | undefined, replies: readonly string[]): string {
  if (note === undefined) return "nothing";
  const { event, args } = note;
  const macros: Record<string, string> = { ...note.macros };
  // Postfix knows the id when it has taken the first recipient, and libmilter keeps what it was told once.
  if (event !== "eom") delete macros["i"];
  else if (macros["i"] !== undefined) macros["i"] = "id";
  // Each side has its own, unless a proxy says them.
  const isProxied = macros["{daemon_port}"] === "587" || macros["{client_port}"] === "4711";
  if (!isProxied) for (const name of ["{client_port}", "{daemon_port}"]) if (name in macros) macros[name] = "a port";
  // The same words that the client has heard.
  if (macros["{rcpt_mailer}"] === "error") {
    const said = `: ${macros["{rcpt_addr}"]}`;
    const isSaid = replies.some(
      (reply) => reply.endsWith(said) && reply.slice(4).startsWith(`${macros["{rcpt_host}"]} `),
    );
    if (isSaid) macros["{rcpt_addr}"] = "as the client heard it";
  }
  // libmilter's page says the whole line; Postfix gives the command alone.
  if (event === "unknown") return `unknown ${(args[0] ?? "").split(" ")[0]}`;
  return `${event} ${JSON.stringify(args.map((arg) => (arg.length > 200 ? `${arg.slice(0, 60)}… ${arg.length}` : arg)))} ${JSON.stringify(macros)}`;
}
