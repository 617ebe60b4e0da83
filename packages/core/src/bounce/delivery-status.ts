/** The part for programs: message/delivery-status (RFC 3464), or its form for addresses in UTF-8 (RFC 6533). */
import { decodeXtext } from "../address/xtext.ts";
import { isAscii } from "../address/index.ts";
import { formatDate, header, type FieldText } from "../message/index.ts";
import { logText, type Outcome, type QueuedMessage, type Recipient } from "../model/index.ts";
import type { Part } from "./body-parts.ts";
import { asciiOf } from "./ascii-text.ts";
import type { FailedRecipient } from "./failed-recipient.ts";

interface StatusRequest {
  readonly original: QueuedMessage;
  readonly failed: readonly FailedRecipient[];
  readonly reporter: string;
}

/** A path's length with room for RFC 6533's `\x{…}` forms. */
const longestAddress = 2048;
const statusForm = /^[45]\.\d{1,3}\.\d{1,3}$/;
const remoteHost = /^([0-9A-Za-z._-]{1,255})\[/;
const remoteLiteral = /^(\[[0-9A-Za-z.:]{1,60}\])(?::\d+)?$/;

export function statusPart({ original, failed, reporter }: StatusRequest): Part {
  const utf8 = original.envelope.smtputf8 && failed.some(({ recipient }) => !isAscii(recipient.address));
  const field = (name: string, value: string): FieldText => header(name, utf8 ? value : asciiOf(value), { utf8 });

  const { envid } = original.envelope;
  const groups = [
    [
      field("Reporting-MTA", `dns; ${reporter}`),
      // RFC 3464 §2.2.1: as the sender meant it, without xtext.
      ...(envid === undefined ? [] : [field("Original-Envelope-Id", decodeXtext(envid) ?? envid)]),
      field("X-Postern-Queue-ID", original.id),
      field("Arrival-Date", formatDate(original.arrivedAt)),
    ],
    ...failed.map((each) => recipientFields(each, field)),
  ];
  const content = Buffer.from(groups.map((fields) => fields.join("")).join("\r\n"));
  return {
    contentType: utf8 ? "message/global-delivery-status" : "message/delivery-status",
    description: "Delivery status",
    content,
    eightBit: utf8,
  };
}

type MakeField = (name: string, value: string) => FieldText;

function recipientFields({ recipient, outcome }: FailedRecipient, field: MakeField): FieldText[] {
  const { address } = recipient;
  const originalRecipient = formatOriginal(recipient);
  const remote = remoteMta(outcome);
  return [
    ...(originalRecipient === undefined ? [] : [field("Original-Recipient", originalRecipient)]),
    field("Final-Recipient", isAscii(address) ? `rfc822; ${address}` : `utf-8; ${address}`),
    field("Action", "failed"),
    field("Status", statusOf(outcome)),
    ...(remote === undefined ? [] : [field("Remote-MTA", `dns; ${remote}`)]),
    // What no peer said is no SMTP reply (RFC 3464 §2.3.6).
    field("Diagnostic-Code", `${outcome.inReplyTo === undefined ? "x-postern" : "smtp"}; ${logText(outcome.text)}`),
  ];
}

/**
 * RFC 3464 §2.3.4. What was given up after its time keeps its 4.y.z (4.4.7, or the last attempt's, as in Postfix); "Action: failed"
 * says that it is final.
 */
function statusOf({ enhanced }: Outcome): string {
  return statusForm.test(enhanced) ? enhanced : "5.0.0";
}

/** RFC 3461 §4.2, RFC 6533 §3: ORCPT without its encoding. */
function formatOriginal({ orcpt }: Recipient): string | undefined {
  const separator = orcpt?.indexOf(";") ?? -1;
  if (orcpt === undefined || separator <= 0) return undefined;
  const type = orcpt.slice(0, separator).toLowerCase();
  const encoded = orcpt.slice(separator + 1, longestAddress);
  return type === "utf-8" ? `utf-8; ${encoded}` : `${type}; ${decodeXtext(encoded) ?? encoded}`;
}

/** The peer's name, when there was a peer; a transport's own name is no MTA. */
function remoteMta({ remote }: Outcome): string | undefined {
  if (remote === undefined) return undefined;
  return remoteHost.exec(remote)?.[1] ?? remoteLiteral.exec(remote)?.[1];
}
