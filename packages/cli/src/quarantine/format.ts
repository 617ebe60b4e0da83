/** The quarantine for people. What strangers wrote has no control characters here. */
import { logText, type QuarantinedMessage, type QuarantineListing } from "@postern/core";
import { formatColumns } from "../output.ts";

const longestSubject = 60;
const mostNamed = 50;

export function formatListing(listed: readonly QuarantineListing[]): string {
  if (listed.length === 0) return "Nothing is in the quarantine that fits\n";
  return formatColumns([
    ["ID", "PUT ASIDE", "EXPIRES", "SIZE", "SENDER", "RECIPIENTS", "SUBJECT", "REASON"],
    ...listed.map((one) => {
      const { id, arrivedAt, expiresAt, sizeBytes, sender, recipients, recipientCount, subject, reason, damaged } = one;
      if (damaged !== undefined) return [id, "-", dayOf(expiresAt), "-", "-", "-", "-", `damaged: ${logText(damaged)}`];
      const [first = "-"] = recipients;
      const others = recipientCount > 1 ? ` and ${recipientCount - 1} more` : "";
      const to = `<${logText(first, 256)}>${others}`;
      const texts = [`<${logText(sender, 256)}>`, to, logText(subject, longestSubject), logText(reason)];
      return [id, timeOf(arrivedAt), dayOf(expiresAt), String(sizeBytes), ...texts];
    }),
  ]);
}

export function formatMessage(message: QuarantinedMessage): string {
  const { id, arrivedAt, expiresAt, sizeBytes, reason, envelope, origin, headers, headersCut } = message;
  const { sender, recipients } = envelope;
  const named = recipients.slice(0, mostNamed).map(({ address, original }) => {
    const asked = original === address ? "" : ` (for <${logText(original, 256)}>)`;
    return `<${logText(address, 256)}>${asked}`;
  });
  const others = recipients.length - named.length;
  const facts: readonly (readonly [string, string])[] = [
    ["id", id],
    ["reason", logText(reason)],
    ["put aside", timeOf(arrivedAt)],
    ["expires", timeOf(expiresAt)],
    ["size", String(sizeBytes)],
    ["sender", `<${logText(sender, 256)}>`],
    ...named.map((recipient) => ["recipient", recipient] as const),
    ...(others > 0 ? [["recipients", `and ${others} more`] as const] : []),
    ...(origin === undefined
      ? []
      : [["client", `${logText(origin.clientName, 255)}[${origin.clientAddress ?? "unknown"}]`] as const]),
  ];
  const fields = Buffer.from(headers, "latin1")
    .toString("utf8")
    .trimEnd()
    .split(/\r?\n/)
    .map((line) => `${logText(line.replaceAll("\t", "  "), 1000)}\n`);
  const cut = headersCut ? "(more header fields are in the message)\n" : "";
  return `${facts.map(([name, value]) => `${name}: ${value}\n`).join("")}\n${fields.join("")}${cut}`;
}

function timeOf(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
