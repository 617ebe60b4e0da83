/** Lines as SMTP wants them (RFC 5321 §2.3.8, §4.5.3.1.6), from a message that may have others. */

const longestLine = 998;
const bareLineEnd = /\r(?!\n)|(?<!\r)\n/;
// From the start of a line alone: tried at every octet, a line that just fits would be read a thousand times.
const longLine = /(?<![^\r\n])[^\r\n]{999,}/g;

/**
 * `text`, one character an octet, with every bare CR and LF made CR LF, and lines beyond 998 octets broken, in fields by folding.
 * Not a character is left out. A last line without end gets one.
 */
export function soundLines(text: string, kind: "fields" | "body"): string {
  const ended = bareLineEnd.test(text) ? text.replace(/\r\n|\r|\n/g, "\r\n") : text;
  const whole = ended === "" || ended.endsWith("\r\n") ? ended : `${ended}\r\n`;
  return whole.replace(longLine, (line) => breakLine(line, kind === "fields" ? "\r\n " : "\r\n"));
}

function breakLine(line: string, joint: string): string {
  const room = longestLine - (joint.length - 2);
  const pieces: string[] = [];
  let start = 0;
  while (line.length - start > room) {
    const end = characterStart(line, start + room);
    pieces.push(line.slice(start, end));
    start = end;
  }
  pieces.push(line.slice(start));
  return pieces.join(joint);
}

/** The nearest place at or before `at` that is not inside a UTF-8 character; `at` itself where there is none. */
function characterStart(line: string, at: number): number {
  for (let back = 0; back < 4; back++) {
    const code = line.charCodeAt(at - back);
    if (code < 0x80 || code > 0xbf) return at - back;
  }
  return at;
}
