/**
 * Where an address's Maildir lies: `<domain>/<local part>`, both in lower case. Octets other than letters, digits and `_ = + -`,
 * and dots at the beginning, become `%XX`; what is too long for a file's name has its end replaced by a hash. So no address
 * names anything but one folder below its domain's, and two that differ in more than case have two folders.
 */
import { createHash } from "node:crypto";
import { domainToAscii, parseMailbox, splitExtension } from "@postern/core";

const plain = /^[a-z0-9_=+-][a-z0-9_=+.-]*$/;
const toEncode = /^\.|[^a-z0-9_=+.-]/g;
/** A file's name may have 255 octets. */
const longestName = 200;
const kept = 128;

/** Two path elements; `undefined` for what is no address. An extension after one of `delimiters` does not count. */
export function mailboxPath(
  address: string,
  delimiters = "",
): readonly [domain: string, localPart: string] | undefined {
  // Whoever accepted the recipient decided how long a local part may be.
  const mailbox = parseMailbox(address, { smtputf8: true, maxLocalPartOctets: Number.POSITIVE_INFINITY });
  if (!mailbox.ok) return undefined;
  return [
    encodeName(domainToAscii(mailbox.domain) ?? mailbox.domain),
    encodeName(splitExtension(mailbox.localPart, delimiters).localPart),
  ];
}

function encodeName(name: string): string {
  const octets = Buffer.from(name.toLowerCase()).toString("latin1");
  const encoded = plain.test(octets) ? octets : octets.replace(toEncode, encodeOctet);
  if (encoded.length <= longestName) return encoded;
  // No encoded octet reads `%sh`: the name of a hash is never that of an address.
  return `${encoded.slice(0, kept)}%sha256-${createHash("sha256").update(encoded).digest("hex")}`;
}

function encodeOctet(octet: string): string {
  return `%${octet.charCodeAt(0).toString(16).padStart(2, "0").toUpperCase()}`;
}
