/**
 * One message to one server while a client waits for the answer, as Postfix's smtpd_proxy_filter does it: a fresh connection, XFORWARD
 * (XFORWARD_README) where it is offered, all recipients or none, no TLS. What is refused is refused before the content goes out.
 */
import {
  encodeXtext,
  SmtpNotHanded,
  type Clock,
  type SmtpHanded,
  type SmtpHandOver,
  type SmtpHandOverAsk,
} from "@postern/core";
import { ConversationLost } from "./conversation.ts";
import { composeEnvelope } from "./envelope-commands.ts";
import { HandshakeFailed, openSession, type OutboundSession } from "./outbound-session.ts";
import type { ServerReply } from "./server-reply.ts";

/** For the answer to QUIT. */
const partingMs = 1_000;
const longestXforward = 255;
const endOfData = "end of DATA";

interface Progress {
  waitingFor: string;
  committing: boolean;
}

export function createHandOver(clock: Clock): SmtpHandOver {
  return {
    async send(ask) {
      const progress: Progress = { waitingFor: "EHLO", committing: false };
      const session = await open(ask, clock);
      const abort = (): void => {
        if (!progress.committing) session.conversation.abort();
      };
      ask.signal.addEventListener("abort", abort, { once: true });
      try {
        if (ask.signal.aborted) abort();
        const handed = await converse(session, ask, progress);
        session.conversation.quit(partingMs, clock);
        return handed;
      } catch (error) {
        session.conversation.abort();
        throw notHanded(error, session, progress);
      } finally {
        ask.signal.removeEventListener("abort", abort);
      }
    },
  };
}

async function open({ endpoint, helo, timeouts, signal }: SmtpHandOverAsk, clock: Clock): Promise<OutboundSession> {
  const { connectMs: connect, commandMs: each, endMs: end } = timeouts;
  const all = {
    connect,
    greeting: each,
    helo: each,
    starttls: each,
    mail: each,
    rcpt: each,
    data: each,
    block: each,
    end,
  };
  try {
    return await openSession(endpoint, { helo, tls: false, localAddress: undefined, timeouts: all, clock, signal });
  } catch (error) {
    if (!(error instanceof HandshakeFailed)) throw error;
    const reason = /too long|timed out/.test(error.message) ? "timeout" : error.reply === undefined ? "down" : "error";
    throw new SmtpNotHanded(reason, false, `${error.phase}: ${error.message}`, { cause: error });
  }
}

async function converse(session: OutboundSession, ask: SmtpHandOverAsk, progress: Progress): Promise<SmtpHanded> {
  const { conversation, extensions, remote } = session;
  const { envelope, recipients, content, timeouts } = ask;
  const say = (line: string, waitingFor: string): Promise<ServerReply> => {
    progress.waitingFor = waitingFor;
    conversation.write(line, 1);
    return conversation.reply(timeouts.commandMs);
  };
  for (const line of xforwardLines(ask, extensions)) {
    const reply = await say(line, "XFORWARD");
    if (!isYes(reply)) throw new SmtpNotHanded("error", false, `XFORWARD refused: ${reply.text}`);
  }
  const commands = await composeEnvelope({ envelope, content }, recipients, extensions, remote);
  const [refused] = commands.refused;
  if (refused !== undefined) {
    const { enhanced, text } = refused.outcome;
    return { code: 554, enhanced, text, inReplyTo: "EHLO" };
  }
  const mail = await say(commands.mail, "MAIL FROM");
  if (!isYes(mail)) return answerOf(mail, "MAIL FROM");
  let no: ServerReply | undefined;
  for (const { line } of commands.rcpt) {
    const reply = await say(line, "RCPT TO");
    // "Not now" for one is "not now" for all: with a "never" the others would be lost.
    if (!isYes(reply) && (no === undefined || (no.code >= 500 && reply.code < 500))) no = reply;
    if (reply.code === 421) break;
  }
  if (no !== undefined) return answerOf(no, "RCPT TO");
  const data = await say("DATA\r\n", "DATA");
  if (data.code !== 354) return answerOf(data, "DATA");
  progress.waitingFor = "message body";
  const ended = await conversation.content(content, timeouts.commandMs, () => {
    progress.committing = true;
    progress.waitingFor = endOfData;
  });
  const end = await conversation.reply(timeouts.endMs);
  if (isYes(end) && !ended) throw new ConversationLost("protocol", `reply before its time: ${end.text}`);
  return answerOf(end, endOfData);
}

function isYes({ code }: ServerReply): boolean {
  return code >= 200 && code < 300;
}

/** What is neither yes nor no here is no answer. */
function answerOf({ code, enhanced, text }: ServerReply, inReplyTo: string): SmtpHanded {
  const isFinal = (code >= 200 && code < 300 && inReplyTo === endOfData) || code >= 400;
  if (!isFinal) throw new ConversationLost("protocol", `${code} in reply to ${inReplyTo}`);
  const codes = enhanced === undefined ? `${code} ` : `${code} ${enhanced} `;
  return { code, enhanced, text: text.startsWith(codes) ? text.slice(codes.length) : text, inReplyTo };
}

/** As many attributes in a line as fit; those that the server does not offer are left out. */
function xforwardLines({ xforward }: SmtpHandOverAsk, extensions: ReadonlyMap<string, string>): string[] {
  const offered = new Set((extensions.get("XFORWARD") ?? "").toUpperCase().split(" "));
  const lines: string[] = [];
  let line = "XFORWARD";
  for (const [name, value] of Object.entries(xforward)) {
    if (!offered.has(name)) continue;
    const attribute = ` ${name}=${value === undefined || value === "" ? "[UNAVAILABLE]" : encodeXtext(value.slice(0, longestXforward))}`;
    if (line.length + attribute.length > 500) {
      lines.push(`${line}\r\n`);
      line = "XFORWARD";
    }
    line += attribute;
  }
  if (line !== "XFORWARD") lines.push(`${line}\r\n`);
  return lines;
}

function notHanded(error: unknown, { remote }: OutboundSession, { waitingFor, committing }: Progress): unknown {
  if (error instanceof SmtpNotHanded || !(error instanceof ConversationLost)) return error;
  const reason = error.kind === "timeout" ? "timeout" : error.kind === "closed" ? "down" : "error";
  const text = `${remote}: ${error.message} (waiting for the reply to ${waitingFor})`;
  return new SmtpNotHanded(reason, committing, text, { cause: error });
}
