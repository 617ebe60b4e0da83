/**
 * Search orders: which keys are tried for one question, and in which order (Postfix's mail_addr_find and smtpd_check). The first key
 * is whole; every later one is a part and goes to indexed tables only. Pure.
 */
import { formatLocalPart, parseMailbox } from "../address/mailbox.ts";
import { splitExtension } from "../address/extension.ts";
import { parseIp } from "../address/ip.ts";

/** The key that stands for the null sender `<>` in access tables (smtpd_null_access_lookup_key). */
export const nullSenderKey = "<>";

interface AddressParts {
  /** As written in an address, then without its quotes when that differs. */
  readonly forms: readonly string[];
  readonly bareForms: readonly string[];
  readonly domain: string;
}

/** Our addresses come canonical; the length of a local part was judged where it came in. */
const anyMailbox = { smtputf8: true, maxLocalPartOctets: 320 } as const;

function splitAddress(address: string, recipientDelimiter: string): AddressParts | undefined {
  const mailbox = parseMailbox(address, anyMailbox);
  if (!mailbox.ok) return undefined;
  const { localPart } = splitExtension(mailbox.localPart, recipientDelimiter);
  return {
    forms: formsOf(mailbox.localPart),
    bareForms: localPart === mailbox.localPart ? [] : formsOf(localPart),
    domain: mailbox.domain,
  };
}

/** External form first, internal form if it differs (MA_FORM_EXTERNAL_FIRST). */
function formsOf(localPart: string): readonly string[] {
  const external = formatLocalPart(localPart);
  return external === localPart ? [external] : [external, localPart];
}

/** A host name and its parent domains; an address in place of a name has no parents. */
export function domainKeys(name: string): string[] {
  if (name === "") return [];
  const keys = [name];
  if (parseIp(name) !== undefined || (name.startsWith("[") && name.endsWith("]"))) return keys;
  for (let dot = name.indexOf(".", 1); dot >= 0; dot = name.indexOf(".", dot + 2)) {
    const parent = name.slice(dot + 1);
    if (parent === "") break;
    keys.push(parent);
  }
  return keys;
}

/** A client's address and its parent networks: `1.2.3.4`, `1.2.3`, `1.2`, `1`; IPv6 at the colons of its short form. */
export function networkKeys(address: string): string[] {
  const delimiter = address.includes(":") ? ":" : ".";
  const keys: string[] = [];
  for (let end = address.length; end > 0; end = address.lastIndexOf(delimiter, end - 1))
    keys.push(address.slice(0, end));
  return keys;
}

/** Access tables by mail address: `user+ext@dom`, `user@dom`, `dom` and its parents, `user+ext@`, `user@`; `<>` for "". */
export function accessAddressKeys(address: string, recipientDelimiter: string): string[] {
  if (address === "") return [nullSenderKey];
  const parts = splitAddress(address, recipientDelimiter);
  if (parts === undefined) return [address];
  const { forms, bareForms, domain } = parts;
  return [
    ...forms.map((form) => `${form}@${domain}`),
    ...bareForms.map((form) => `${form}@${domain}`),
    ...domainKeys(domain),
    ...forms.map((form) => `${form}@`),
    ...bareForms.map((form) => `${form}@`),
  ];
}

export interface GenericOrder {
  readonly recipientDelimiter: string;
  /** The domain is one of those whose users have accounts here: bare local parts are tried. */
  readonly isLocal: boolean;
}

/** Recipient lists, canonical and alias tables: `user+ext@dom`, `user@dom`, for local domains `user+ext`, `user`, last `@dom`. */
export function addressKeys(address: string, { recipientDelimiter, isLocal }: GenericOrder): string[] {
  const parts = splitAddress(address, recipientDelimiter);
  if (parts === undefined) return [address];
  const { forms, bareForms, domain } = parts;
  return [
    ...forms.map((form) => `${form}@${domain}`),
    ...bareForms.map((form) => `${form}@${domain}`),
    ...(isLocal ? [...forms, ...bareForms] : []),
    `@${domain}`,
  ];
}
