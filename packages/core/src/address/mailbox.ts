/** Mailboxes, `local-part@domain`: parse and print (RFC 5321 §4.1.2, RFC 6531 §3.3). */
import { canonicalDomain, isAscii } from "./domain.ts";
import { addressFault, type AddressFault } from "./fault.ts";

export interface Mailbox {
  /** Without quotes and escapes, case as given; never empty. */
  readonly localPart: string;
  /** Lower case; a name or an address literal in brackets. */
  readonly domain: string;
}

export interface MailboxOptions {
  /** RFC 6531: non-ASCII is allowed. Default false. */
  readonly smtputf8?: boolean;
  /** RFC 5321 §4.5.3.1.1 says 64, as written; some VERP and SRS senders need more. */
  readonly maxLocalPartOctets?: number;
}

const defaultMaxLocalPartOctets = 64;
/** RFC 5321 §4.5.3.1.3 allows a path 256 with its brackets. */
const maxAddressOctets = 254;

// Dot-string@name in ASCII, nearly every address there is. The two classes meet only at "@": no backtracking.
const plain = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9._-]+$/;
// atext (RFC 5322 §3.2.3) with RFC 6531's UTF8-non-ascii, and the dots between atoms.
const dotAtoms = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\u0080-\u{10ffff}-]+$/u;
// Controls of both sets, line separators, direction overrides, lone surrogates, and the mark of octets that were no UTF-8.
const forbidden = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\ufffd\p{Cs}]/u;

/**
 * Reads one mailbox, without angle brackets, comments or surrounding white space. The domain must be there; whether it is
 * fully qualified is not asked.
 */
export function parseMailbox(
  text: string,
  options: MailboxOptions = {},
): ({ readonly ok: true } & Mailbox) | AddressFault {
  const fault = checkCharacters(text, options);
  if (fault !== undefined) return fault;

  let localPart: string;
  let at: number;
  if (text.startsWith('"')) {
    const quoted = readQuoted(text);
    if (quoted === undefined) return addressFault("localPart");
    localPart = quoted.content;
    at = quoted.end;
    if (at === text.length) return addressFault("noDomain");
    // `""@example.test` is grammatical and nobody's; its key in a table, `@example.test`, would be everybody's.
    if (text[at] !== "@" || localPart === "") return addressFault("localPart");
  } else {
    at = text.indexOf("@");
    localPart = at < 0 ? text : text.slice(0, at);
    if (!isDotString(localPart)) return addressFault("localPart");
    if (at < 0) return addressFault("noDomain");
  }
  if (at > (options.maxLocalPartOctets ?? defaultMaxLocalPartOctets) || octetsExceed(text.slice(0, at), options)) {
    return addressFault("tooLong");
  }

  const written = text.slice(at + 1);
  const domain = canonicalDomain(written);
  if (domain === undefined) return addressFault(written.startsWith("[") ? "literal" : "domain");
  return { ok: true, localPart, domain };
}

function checkCharacters(text: string, { smtputf8 = false }: MailboxOptions): AddressFault | undefined {
  if (plain.test(text)) return text.length > maxAddressOctets ? addressFault("tooLong") : undefined;
  if (text === "") return addressFault("empty");
  if (text.length > maxAddressOctets) return addressFault("tooLong");
  if (forbidden.test(text)) return addressFault("control");
  if (isAscii(text)) return undefined;
  if (!smtputf8) return addressFault("nonAscii");
  return Buffer.byteLength(text) > maxAddressOctets ? addressFault("tooLong") : undefined;
}

function octetsExceed(localPart: string, { maxLocalPartOctets = defaultMaxLocalPartOctets }: MailboxOptions): boolean {
  return !isAscii(localPart) && Buffer.byteLength(localPart) > maxLocalPartOctets;
}

function isDotString(text: string): boolean {
  return dotAtoms.test(text) && !text.startsWith(".") && !text.endsWith(".") && !text.includes("..");
}

/** Reads the Quoted-string that `text` starts with. `end` is the index behind the closing quote. */
function readQuoted(text: string): { content: string; end: number } | undefined {
  let content = "";
  for (let at = 1; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === '"') return { content, end: at + 1 };
    if (character === "\\") {
      at++;
      // quoted-pairSMTP is a backslash and printable ASCII.
      if (at === text.length || text.charCodeAt(at) > 0x7e) return undefined;
    }
    content += text.charAt(at);
  }
  return undefined;
}

/** The local part as it stands in an address: quoted only where it is no Dot-string. */
export function formatLocalPart(localPart: string): string {
  return isDotString(localPart) ? localPart : `"${localPart.replace(/["\\]/g, "\\$&")}"`;
}

/** Canonical `local@domain` of a parsed mailbox: quoted only where needed, domain in ASCII lower case. */
export function formatMailbox({ localPart, domain }: Mailbox): string {
  const lower = domain.startsWith("[") ? domain : domain.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
  return `${formatLocalPart(localPart)}@${lower}`;
}

/** The one text of an address, by which two of them are compared; `undefined` when it is none. */
export function canonicalAddress(text: string, options?: MailboxOptions): string | undefined {
  const mailbox = parseMailbox(text, options);
  return mailbox.ok ? formatMailbox(mailbox) : undefined;
}

/**
 * Does the address carry a second destination inside: `user%other@ours`, `other!user@ours`, `"user@other"@ours`,
 * `@ours:user@other`? To a stranger such an address is refused (Postfix's allow_untrusted_routing): behind us it could be
 * somebody's open relay. Any text is taken; quoting cannot hide the characters.
 */
export function isSenderSpecifiedRouting(address: string): boolean {
  const at = address.lastIndexOf("@");
  const localPart = at < 0 ? address : address.slice(0, at);
  return localPart.includes("@") || localPart.includes("%") || localPart.includes("!");
}
