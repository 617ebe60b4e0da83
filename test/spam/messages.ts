// Mail of all sorts for the spam filters: whole, odd, and broken.

/** Dated now: filters hold an old date against a message. */
export const ham = `From: Alice <alice@example.net>
To: user@example.test
Subject: Lunch on Friday
Date: ${new Date().toUTCString()}
Message-ID: <20261123070000.4711@example.net>

Shall we meet at noon?
`.replaceAll("\n", "\r\n");

const withField = (field: string): string => `${field}\r\n${ham}`;

export const spam = withField("X-Test-Spam: yes");

/** The generic test for unsolicited bulk email, which every filter knows. */
export const gtube = `${ham}XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n`;

export const batch: Readonly<Record<string, string>> = {
  ham,
  spam,
  gtube,
  "a spoofed verdict": withField("X-Spam-Flag: NO").replace(
    "\r\n\r\n",
    "\r\nX-Spam-Status: No, score=-99\r\n\tby nobody\r\n\r\n",
  ),
  "a spoofed verdict of spam": withField("X-Test-Spam: yes\r\nX-Spam-Status: No\r\nX-Spam-Level:"),
  "8-bit in the subject": spam.replace("Lunch on Friday", "K\u00e4sefondue f\u00fcr alle"),
  "encoded words": spam.replace("Lunch on Friday", "=?utf-8?Q?K=C3=A4se?=\r\n =?utf-8?Q?fondue?="),
  "two subjects": spam.replace("Subject:", "Subject: first\r\nSubject:"),
  "no subject": spam.replace(/Subject: .*\r\n/, ""),
  "folded everywhere": spam.replace("To: user", "To:\r\n  user").replace("From: Alice", "From:\r\n\tAlice"),
  "blanks before the colon": spam.replace("Subject:", "Subject :"),
  "no header": "\r\nHello.\r\n",
  "no body": spam.slice(0, spam.indexOf("\r\n\r\n") + 2),
  "a line that is no field": ham.replace("Subject:", "this is no field\r\nX-Spam-Flag: below\r\nSubject:"),
  "begins within a field": ` folded\r\n${ham}`,
  "a long line": `${ham}${"x".repeat(5_000)}\r\n`,
  multipart: spam.replace(
    /\r\n\r\n[^]*/,
    '\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nHi.\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>Hi.</p>\r\n--b--\r\n',
  ),
};
