/**
 * Search orders by mail address (mail_addr_find, check_mail_access): which keys are tried for an address, and in which order. The
 * first key is whole; every later one is a part and goes to indexed tables only. Pure.
 */
import { formatLocalPart, parseMailbox } from "../address/mailbox.ts";
import { splitExtension } from "../address/extension.ts";
import { domainKeys, type ParentStyle } from "./domain-orders.ts";

/** The key that stands for the null sender `<>` in access tables (smtpd_null_access_lookup_key). */
export const nullSenderKey = "<>";

interface AddressParts {
  /** As written in an address, then without its quotes when that differs. */
  readonly forms: readonly string[];
  /** The same without the extension; none when there is no extension. */
  readonly bareForms: readonly string[];
  /** Delimiter and extension, `+ext`; empty when there is none. */
  readonly extension: string;
  /** Empty for an address that has none. */
  readonly domain: string;
}

/** Our addresses come canonical; the length of a local part was judged where it came in. */
const anyMailbox = { smtputf8: true, maxLocalPartOctets: 320 } as const;

function splitAddress(address: string, recipientDelimiter: string): AddressParts | undefined {
  if (!address.includes("@")) return splitLocalPart(address, recipientDelimiter, "");
  const mailbox = parseMailbox(address, anyMailbox);
  return mailbox.ok ? splitLocalPart(mailbox.localPart, recipientDelimiter, mailbox.domain) : undefined;
}

function splitLocalPart(whole: string, recipientDelimiter: string, domain: string): AddressParts {
  const { localPart, extension, delimiter } = splitExtension(whole, recipientDelimiter);
  const split = extension !== undefined;
  return {
    forms: formsOf(whole),
    bareForms: split ? formsOf(localPart) : [],
    extension: split ? delimiter + extension : "",
    domain,
  };
}

/** External form first, internal form if it differs (MA_FORM_EXTERNAL_FIRST). */
function formsOf(localPart: string): readonly string[] {
  const external = formatLocalPart(localPart);
  return external === localPart ? [external] : [external, localPart];
}

const at = (forms: readonly string[], domain: string): string[] => forms.map((form) => `${form}@${domain}`);

/** Access tables: `user+ext@dom`, `user@dom`, `dom` and its parents, `user+ext@`, `user@`; `<>` for "". */
export function accessAddressKeys(
  address: string,
  recipientDelimiter: string,
  parents: ParentStyle = "parent",
): string[] {
  if (address === "") return [nullSenderKey];
  const parts = splitAddress(address, recipientDelimiter);
  if (parts === undefined || parts.domain === "") return [address];
  const { forms, bareForms, domain } = parts;
  return [
    ...at(forms, domain),
    ...at(bareForms, domain),
    ...domainKeys(domain, parents),
    ...at(forms, ""),
    ...at(bareForms, ""),
  ];
}

export interface GenericOrder {
  readonly recipientDelimiter: string;
  /** The domain is our origin or one of those whose users have accounts here: bare local parts are tried. */
  readonly isLocal: boolean;
}

/**
 * Recipient lists, canonical, virtual, relocated, generic and bcc tables: `user+ext@dom`, `user@dom`, for local domains `user+ext`,
 * `user`, last `@dom`. An address without a domain is `user+ext`, `user`.
 */
export function addressKeys(address: string, { recipientDelimiter, isLocal }: GenericOrder): string[] {
  const parts = splitAddress(address, recipientDelimiter);
  if (parts === undefined) return [address];
  const { forms, bareForms, domain } = parts;
  if (domain === "") return [...forms, ...bareForms];
  return [...at(forms, domain), ...at(bareForms, domain), ...(isLocal ? [...forms, ...bareForms] : []), `@${domain}`];
}

/** Transport tables: `user+ext@dom`, `user@dom`, `dom` and its parents. The wildcard `*` is a question of its own. */
export function transportKeys(address: string, recipientDelimiter: string, parents: ParentStyle = "dotted"): string[] {
  const parts = splitAddress(address, recipientDelimiter);
  if (parts === undefined || parts.domain === "") return [address];
  const { forms, bareForms, domain } = parts;
  return [...at(forms, domain), ...at(bareForms, domain), ...domainKeys(domain, parents)];
}

/** Keys of a sender, without bare local parts: `user+ext@dom`, `user@dom`, `@dom`; `<>` for "". */
export function senderKeys(address: string, recipientDelimiter: string): string[] {
  return address === "" ? [nullSenderKey] : addressKeys(address, { recipientDelimiter, isLocal: false });
}

/** aliases(5): the local part of a local address in lower case, `user+ext`, `user`. */
export function aliasKeys(address: string, recipientDelimiter: string): string[] {
  const lower = address.toLowerCase();
  const parts = splitAddress(lower, recipientDelimiter);
  return parts === undefined ? [lower] : [...parts.forms, ...parts.bareForms];
}

/**
 * The extension that `key` left unmatched, with its delimiter: `+ext` when `user+ext@dom` was found by `user@dom` or `user`, else "". A
 * match of `@dom` leaves none.
 */
export function unmatchedExtension(address: string, key: string, recipientDelimiter: string): string {
  const parts = splitAddress(address, recipientDelimiter);
  if (parts === undefined || parts.extension === "") return "";
  const bare = [...at(parts.bareForms, parts.domain), ...parts.bareForms];
  return bare.includes(key) ? parts.extension : "";
}

/** Puts an extension into an address (propagate_unmatched_extensions): `joe@a.test` and `+x` are `joe+x@a.test`. */
export function withExtension(address: string, extension: string): string {
  if (extension === "") return address;
  const mailbox = parseMailbox(address, anyMailbox);
  return mailbox.ok ? `${formatLocalPart(mailbox.localPart + extension)}@${mailbox.domain}` : address + extension;
}
