/** A bounce as a message ready for the queue: multipart/report of RFC 6522 with the status parts of RFC 3464 and RFC 6533. */
import { isAscii } from "../address/index.ts";
import { createMemoryBlob, dateHeader, header, messageIdHeader, type Blob } from "../message/index.ts";
import type { QueuedMessage } from "../model/index.ts";
import { chooseBoundary, joinParts, type Part } from "./body-parts.ts";
import { statusPart } from "./delivery-status.ts";
import { wantsFailureReport, type FailedRecipient } from "./failed-recipient.ts";
import { noticePart } from "./notice.ts";
import { returnedPart } from "./returned-content.ts";

export type { FailedRecipient };

export interface BounceRequest {
  readonly original: QueuedMessage;
  readonly failed: readonly FailedRecipient[];
  /** `undefined` when there is none any more; the report goes out without it then, as when it cannot be read. */
  readonly content: Blob | undefined;
  /** Our host name. */
  readonly reporter: string;
  /** Queue ids, for the bounce's own. */
  readonly ids: () => string;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** A larger original is returned by its header section alone. Never more is read. */
  readonly sizeLimitBytes: number;
}

export interface Bounce {
  readonly message: QueuedMessage;
  readonly content: Blob;
}

/**
 * The bounce for the recipients that the sender wants to hear of. `undefined` when nobody is to be told: the sender is null
 * (RFC 5321 §4.5.5), or every recipient's NOTIFY forbids it. Lines end with CRLF and have at most 998 octets, whatever the
 * original has. Never throws for what a peer or a client said.
 */
export async function composeBounce(request: BounceRequest): Promise<Bounce | undefined> {
  const { original, reporter, now } = request;
  const { sender } = original.envelope;
  const failed = request.failed.filter(({ recipient }) => wantsFailureReport(recipient));
  if (sender === "" || failed.length === 0) return undefined;

  const returned = await returnedPart(original, request.content, request.sizeLimitBytes);
  const parts: Part[] = [
    noticePart({ original, failed, reporter, returned: returned?.extent }),
    statusPart({ original, failed, reporter }),
  ];
  if (returned !== undefined) parts.push(returned.part);
  const eightBit = parts.some((part) => part.eightBit);
  const id = request.ids();
  const boundary = chooseBoundary(id, parts);

  const utf8 = !isAscii(sender);
  const head =
    header("From", `Mail Delivery System <MAILER-DAEMON@${reporter}>`, { utf8 }) +
    header("To", `<${sender}>`, { utf8 }) +
    header("Subject", "Your message could not be delivered") +
    dateHeader(now) +
    messageIdHeader({ id, hostname: reporter, nowMs: now }) +
    header("Auto-Submitted", "auto-replied") +
    header("MIME-Version", "1.0") +
    header("Content-Type", `multipart/report; report-type=delivery-status; boundary="${boundary}"`) +
    (eightBit ? header("Content-Transfer-Encoding", "8bit") : "");
  const content = createMemoryBlob([Buffer.from(`${head}\r\n`), ...joinParts(boundary, parts)]);
  const message: QueuedMessage = {
    id,
    envelope: {
      sender: "",
      // RFC 3461 §6.1: whatever becomes of a report, nobody is told.
      recipients: [{ address: sender, original: sender, notify: ["never"] }],
      body: eightBit || utf8 ? "8bitmime" : "7bit",
      smtputf8: utf8,
    },
    arrivedAt: now,
    sizeBytes: content.sizeBytes,
    origin: undefined,
  };
  return { message, content };
}
