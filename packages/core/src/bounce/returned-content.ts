/** The part that returns the message, or its header section alone (RFC 6522 §2, RFC 6532 §3.7). */
import type { Blob } from "../message/index.ts";
import { findHeaderSection } from "../message/header-section.ts";
import type { QueuedMessage } from "../model/index.ts";
import type { Part } from "./body-parts.ts";
import { soundLines } from "./sound-lines.ts";

export type ReturnedExtent = "full" | "header";

export interface ReturnedContent {
  readonly part: Part;
  readonly extent: ReturnedExtent;
}

const beyondAscii = /[\u0080-\u00ff]/;

/**
 * All of a message up to `limitBytes`, unless the sender asked for its header alone (RET=HDRS); of a larger one the header
 * section, of which whole fields within the limit. `undefined` when there is no content or it cannot be read: the report is
 * worth more than what it returns.
 */
export async function returnedPart(
  { envelope }: QueuedMessage,
  content: Blob | undefined,
  limitBytes: number,
): Promise<ReturnedContent | undefined> {
  if (content === undefined) return undefined;
  const full = envelope.ret !== "hdrs" && content.sizeBytes <= limitBytes;
  let octets: Buffer;
  try {
    octets = await readBeginning(content, limitBytes);
  } catch {
    return undefined;
  }
  const section = findHeaderSection([octets], content.sizeBytes, Math.min(limitBytes, octets.length));
  const fields = section?.octets ?? Buffer.alloc(0);
  const body = section?.bodyStart ?? 0;

  const headerText = soundLines(fields.toString("latin1"), "fields");
  const gap = section?.blankLine === true ? "\r\n" : "";
  const text = full ? headerText + gap + soundLines(octets.toString("latin1", body), "body") : headerText;
  const utf8 = envelope.smtputf8 && beyondAscii.test(headerText);
  const type = utf8
    ? { full: "message/global", header: "message/global-headers" }
    : { full: "message/rfc822", header: "text/rfc822-headers" };
  const extent = full ? "full" : "header";
  return {
    part: {
      contentType: type[extent],
      description: full ? "Undelivered message" : "Header of the undelivered message",
      content: Buffer.from(text, "latin1"),
      eightBit: beyondAscii.test(text),
    },
    extent,
  };
}

async function readBeginning(content: Blob, limitBytes: number): Promise<Buffer> {
  const end = Math.min(content.sizeBytes, limitBytes);
  const chunks: Buffer[] = [];
  for await (const chunk of content.read(0, end)) chunks.push(chunk);
  return Buffer.concat(chunks);
}
