/**
 * Where an address's Maildir lies: `<domain>/<local part>`, both in lower case. Octets other than letters, digits and `_ = + -`,
 * and dots that do not stand alone or first, become `%XX`, so that no address names anything but one folder below its domain's.
 */
import { domainToAscii, parseMailbox } from "@postern/core";

const plain = /^[a-z0-9_=+-](?:[a-z0-9_=+.-]*)$/;

/** Two path elements; `undefined` for what is no address or too long for a file's name. */
export function mailboxPath(address: string): readonly [domain: string, localPart: string] | undefined {
  const mailbox = parseMailbox(address, { smtputf8: true });
  if (!mailbox.ok) return undefined;
  const domain = encodeName(domainToAscii(mailbox.domain) ?? mailbox.domain);
  const localPart = encodeName(mailbox.localPart);
  return domain.length > longestName || localPart.length > longestName ? undefined : [domain, localPart];
}

const longestName = 255;

function encodeName(name: string): string {
  const lower = name.toLowerCase();
  if (plain.test(lower)) return lower;
  let encoded = "";
  for (const octet of Buffer.from(lower)) {
    const character = String.fromCharCode(octet);
    const keep = encoded === "" ? /[a-z0-9_=+-]/ : /[a-z0-9_=+.-]/;
    encoded += keep.test(character) ? character : `%${octet.toString(16).padStart(2, "0").toUpperCase()}`;
  }
  return encoded;
}
