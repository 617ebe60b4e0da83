// One session said to one server, and the codes of what it answers.
import type { Duplex } from "node:stream";
import { talk } from "../../e2e/client.ts";
import { xclientLine, type Session } from "./session.ts";

/** `250 2.1.0`, `450 4.7.1`; `closed`, and `silent` when nothing came for too long. */
export type Code = string;

export interface Reply {
  readonly line: string;
  readonly code: Code;
  /** As it came, for whoever looks into a difference. */
  readonly text: string;
}

/** Longer than any question to DNS takes. */
const patienceMs = 60_000;

const message =
  "From: joe@good.test\r\nTo: ann@local.test\r\nSubject: test\r\nMessage-ID: <1@good.test>\r\nDate: Mon, 23 Nov 2026 00:00:00 +0000\r\n\r\nHello\r\n.\r\n";

/** Ends with the first `closed`. Replies to EHLO and HELO count by their first digits alone: they have no enhanced code. */
export async function converse(stream: Duplex, session: Session): Promise<readonly Reply[]> {
  const client = talk(stream);
  const replies: Reply[] = [];
  let isSilent = false;
  const timer = setTimeout(() => {
    isSilent = true;
    stream.destroy();
  }, patienceMs);
  const note = (line: string, text: string): boolean => {
    replies.push({ line, code: isSilent ? "silent" : codeOf(text), text });
    timer.refresh();
    return text !== "";
  };
  try {
    await client.reply();
    for (const line of [xclientLine(session.client), ...session.lines]) {
      const text = await client.say(line);
      if (!note(line, text)) break;
      if (line === "DATA" && text.startsWith("354")) {
        client.write(message);
        if (!note("<message>", await client.reply())) break;
      }
    }
    client.write("QUIT\r\n");
  } finally {
    clearTimeout(timer);
    client.hangUp();
  }
  return replies;
}

function codeOf(text: string): Code {
  const last = text.slice(text.lastIndexOf("\n") + 1);
  const [, code, enhanced] = /^(\d{3}) ?(\d\.\d{1,3}\.\d{1,3}(?= |$))?/.exec(last) ?? [];
  if (code === undefined) return "closed";
  return enhanced === undefined ? code : `${code} ${enhanced}`;
}
