/** The reply that a milter wants the client to hear, read as soundly as everything that goes to the wire. */
import { replyLines, type Objection } from "@postern/core";

const form = /^([45]\d\d)(?:([ -])(?:([245]\.\d{1,3}\.\d{1,3})(?:\s+|$))?(.*))?$/s;

/** `550 5.7.1 no`; lines of one reply are parted by CRLF, each with the code. `undefined` for what is no refusal. */
export function readReplyCode(text: string): Objection | undefined {
  const lines = withoutDoubledPercents(text)
    .split(/\r?\n/)
    .filter((line, at) => line !== "" || at === 0);
  const [first = ""] = lines;
  const [, digits = "", , enhanced] = form.exec(first) ?? [];
  const code = Number(digits);
  if (digits === "" || first.length < 4 || (enhanced !== undefined && enhanced[0] !== digits[0])) return undefined;
  const texts = lines.map((line) => {
    const [whole, own, , , rest = ""] = form.exec(line) ?? [];
    return whole !== undefined && own === digits ? rest : line;
  });
  return { kind: code >= 500 ? "reject" : "defer", reply: replyLines(code, enhanced, texts) };
}

/** Sendmail takes the text for a format: libmilter doubles its percent signs, and one alone means nothing. */
function withoutDoubledPercents(text: string): string {
  return text.includes("%") ? text.replaceAll(/%(.?)/gs, (_, next: string) => next) : text;
}
