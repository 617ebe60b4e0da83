/** Replies of a peer (RFC 5321 §4.2, RFC 2034), read from octets in bounded memory. No I/O. */

export interface ServerReply {
  /** 200 to 599. */
  readonly code: number;
  /** RFC 3463 code that the peer gave, whatever its class. */
  readonly enhanced: string | undefined;
  /** The whole reply on one line, `550 5.1.1 No such user`; codes repeated on further lines are left out. */
  readonly text: string;
}

/** Of a line, what is longer is cut: a long-winded 250 after the final dot is a 250 all the same. */
const longestLine = 2048;
/** Of one reply; a peer that goes on for longer never ends. */
const mostLines = 512;
/** Lines whose text is kept. */
const keptLines = 20;

const lineForm = /^([2-5]\d\d)(?:([ -])(?:([245]\.\d{1,3}\.\d{1,3})(?: |$))?(.*))?$/s;

export interface ReplyReader {
  /** Gives each complete reply to `emit`. Answers why the peer does not speak SMTP; then it is not to be fed again. */
  feed(chunk: Buffer, emit: (reply: ServerReply) => void): string | undefined;
}

export function createReplyReader(): ReplyReader {
  let rest = "";
  let lines = 0;
  let enhanced: string | undefined;
  let texts: string[] = [];

  function line(given: string, emit: (reply: ServerReply) => void): string | undefined {
    const match = lineForm.exec(decodeText(given));
    if (match === null) return "a line that is no reply";
    lines += 1;
    if (lines > mostLines) return "a reply without end";
    enhanced ??= match[3];
    if (texts.length < keptLines && match[4]) texts.push(match[4]);
    if (match[2] === "-") return undefined;
    const code = match[1] ?? "";
    const text = [code, ...(enhanced === undefined ? [] : [enhanced]), ...texts].join(" ");
    const reply = { code: Number(code), enhanced, text };
    lines = 0;
    enhanced = undefined;
    texts = [];
    emit(reply);
    return undefined;
  }

  return {
    feed(chunk, emit) {
      const received = rest + chunk.toString("latin1");
      let start = 0;
      for (let end = received.indexOf("\n"); end >= 0; end = received.indexOf("\n", start)) {
        const stop = received.charCodeAt(end - 1) === 0x0d && end > start ? end - 1 : end;
        const fault = line(received.slice(start, Math.min(stop, start + longestLine)), emit);
        if (fault !== undefined) return fault;
        start = end + 1;
      }
      rest = received.slice(start, start + longestLine);
      return undefined;
    },
  };
}

/** UTF-8 where it is valid, else each octet by itself. */
function decodeText(latin1: string): string {
  if (!/[\x80-\xff]/.test(latin1)) return latin1;
  const utf8 = Buffer.from(latin1, "latin1").toString("utf8");
  return utf8.includes("\ufffd") ? latin1 : utf8;
}
