/** Dates and the fields a submitted message may lack (RFC 5322 §3.3, §3.6.4; RFC 6409 §8). */
import { header, type FieldText } from "./header.ts";

let lastSecond = Number.NaN;
let lastDate = "";

/** `Thu, 01 Jan 2026 00:00:00 +0000 (UTC)`. One text a second is made, however many messages ask. */
export function formatDate(nowMs: number): string {
  const second = Math.floor(nowMs / 1000);
  if (second !== lastSecond) {
    lastDate = new Date(second * 1000).toUTCString().replace("GMT", "+0000 (UTC)");
    lastSecond = second;
  }
  return lastDate;
}

/** For a message without Date. */
export function dateHeader(nowMs: number): FieldText {
  return header("Date", formatDate(nowMs));
}

/** For a message without Message-ID: `<20260101000000.ID@hostname>`, unique as far as the queue id is. */
export function messageIdHeader({ id, hostname, nowMs }: { id: string; hostname: string; nowMs: number }): FieldText {
  const stamp = new Date(nowMs).toISOString().replace(/\D/g, "").slice(0, 14);
  return header("Message-ID", `<${stamp}.${id}@${hostname}>`);
}
