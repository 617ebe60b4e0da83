/** The part for people: who was not reached, and what was said about it. */
import { isAscii } from "../address/index.ts";
import { logText, type QueuedMessage } from "../model/index.ts";
import { asciiOf } from "./ascii-text.ts";
import type { Part } from "./body-parts.ts";
import type { FailedRecipient } from "./failed-recipient.ts";
import type { ReturnedExtent } from "./returned-content.ts";

interface NoticeRequest {
  readonly original: QueuedMessage;
  readonly failed: readonly FailedRecipient[];
  readonly reporter: string;
  readonly returned: ReturnedExtent | undefined;
}

const width = 76;
/** Code points of a word without blanks: at most 960 octets. */
const longestWord = 240;

export function noticePart({ original, failed, reporter, returned }: NoticeRequest): Part {
  const expired = failed.some(({ outcome }) => outcome.enhanced.startsWith("4"));
  const paragraphs = [
    wrap(`This is the mail system at ${logText(reporter)}.`),
    wrap(
      failed.length === 1
        ? "Your message could not be delivered to the recipient below. It will not be tried again."
        : "Your message could not be delivered to the recipients below. It will not be tried again.",
    ),
    ...(expired
      ? [wrap("Where the reason is temporary, delivery was tried until the time allowed for it was over.")]
      : []),
    ...failed.map((each) => describe(each, original.envelope.smtputf8 ? (text) => text : asciiOf)),
    wrap(`Your message is known here as ${logText(original.id)}. ${closing(returned)}`),
  ];
  const text = paragraphs.map((lines) => `${lines}\r\n`).join("\r\n");
  const ascii = isAscii(text);
  return {
    contentType: `text/plain; charset=${ascii ? "us-ascii" : "utf-8"}`,
    description: "Notification",
    content: Buffer.from(text),
    eightBit: !ascii,
  };
}

function closing(returned: ReturnedExtent | undefined): string {
  if (returned === undefined) return "It is not returned with this report.";
  return returned === "full" ? "It is returned with this report." : "Its header is returned with this report.";
}

/**
 * `<a@example.test>: mx.example.test[192.0.2.1]:25 answered RCPT TO with: 550 5.1.1 No such user`. The code is repeated where the
 * text does not have it. What a peer said in UTF-8 stays so only for a sender who uses SMTPUTF8: it must not make a report 8-bit
 * that some relay on its way back cannot take.
 */
function describe({ recipient, outcome }: FailedRecipient, plain: (text: string) => string): string {
  const reason = plain(logText(outcome.text));
  const code = logText(outcome.enhanced, 16);
  const coded = reason.includes(code) ? reason : `${code} ${reason}`;
  const { inReplyTo, remote } = outcome;
  const said =
    inReplyTo === undefined
      ? coded
      : `${logText(remote ?? "the next host", 300)} answered ${logText(inReplyTo, 40)} with: ${coded}`;
  return wrap(`<${logText(recipient.address)}>: ${said}`, "    ");
}

/** Lines of at most 76 characters where there are blanks, and of less than 998 octets everywhere. No final line end. */
function wrap(text: string, indent = ""): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/ +/).flatMap(splitWord)) {
    if (line.trim() !== "" && line.length + word.length + 1 > width) {
      lines.push(line);
      line = indent + word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  lines.push(line);
  return lines.join("\r\n");
}

function splitWord(word: string): readonly string[] {
  return word.length <= longestWord ? [word] : (word.match(/.{1,240}/gsu) ?? []);
}
