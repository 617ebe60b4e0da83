// Messages for the stories, and what must come out at the other end: the same octets below the trace fields.

export const sender = "sender@source.test";

/** A message with what trips relays up: long lines, dots, trailing blanks, 8-bit octets, folded fields, odd field names. */
export function trickyMessage(subject: string, recipient: string): Buffer {
  const head = [
    `From: Sender <${sender}>`,
    `To: <${recipient}>`,
    `Subject: ${subject}`,
    "Date: Sun, 22 Nov 2026 12:00:00 +0000",
    `Message-ID: <${subject.replaceAll(/\W/g, "-")}@source.test>`,
    "X-Folded: one",
    "\ttwo",
    "x-ODD_name:no space after the colon",
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: 8bit",
  ];
  const body = [
    "first line",
    ".",
    "..",
    ".leading dot",
    "",
    "trailing blanks  ",
    "Grüße, ünïcödé",
    "x".repeat(900),
    "From the top of a line",
    "",
    "last line",
  ];
  return Buffer.from([...head, "", ...body, ""].join("\r\n"));
}

const traceFields = /^(Return-Path|Delivered-To|X-Original-To|Received):.*(?:\r?\n[ \t].*)*\r?\n/i;

/** What stands below the trace fields that relays and delivery agents put on top, with CRLF line ends. */
export function withoutTrace(raw: Buffer): Buffer {
  let text = raw.toString("latin1").replaceAll(/\r?\n/g, "\r\n");
  for (let match = traceFields.exec(text); match !== null; match = traceFields.exec(text)) {
    text = text.slice(match[0].length);
  }
  return Buffer.from(text, "latin1");
}
