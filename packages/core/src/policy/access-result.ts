/** The right-hand side of an access table (access(5)), read. What it says about a given client or address is `access-table.ts`. */
import { canonicalAddress } from "../address/mailbox.ts";
import { ConfigError } from "../errors.ts";
import { isTableName, splitWords } from "../tables/index.ts";
import type { Subject } from "./subject.ts";

export type AccessResult =
  | { readonly kind: "permit" | "none" }
  | ({ readonly kind: "reject" | "defer" | "deferIfPermit" | "deferIfReject" } & AccessReply)
  | { readonly kind: "discard" | "hold" | "log"; readonly text: string }
  | { readonly kind: "redirect" | "bcc"; readonly address: string }
  | { readonly kind: "filter"; readonly destination: string }
  | { readonly kind: "prepend"; readonly name: string; readonly value: string }
  /** Restrictions and classes by name. */
  | { readonly kind: "words"; readonly text: string };

export interface AccessReply {
  readonly code: number;
  readonly enhanced: string;
  /** Empty: the default text. */
  readonly text: string;
}

/** As operators write them, besides 4NN and 5NN. */
export const accessActions: readonly string[] = [
  "OK",
  "DUNNO",
  "REJECT",
  "DEFER",
  "DEFER_IF_REJECT",
  "DEFER_IF_PERMIT",
  "DISCARD",
  "HOLD",
  "REDIRECT",
  "BCC",
  "FILTER",
  "WARN",
  "INFO",
  "PREPEND",
];

const action = /^(\S+)(?:\s+(.*))?$/s;
const withEnhanced = /^([245])(\.\d{1,3}\.\d{1,3})(?:\s+(.*))?$/s;
const headerForm = /^([\u0021-\u0039\u003b-\u007e]{1,76}):\s*(.*)$/s;

const destinationForm = /^[a-z][\w-]*:[\x20-\x7e]*$/i;

/** What Postfix's source knows as actions and does not support, and those of its other tables. */
const unknownActions = new Set(["DELAY", "HANGUP", "IGNORE", "REPLACE", "STRIP"]);

/** Throws `ConfigError` for what is no result, and for an action that has no effect here. */
export function parseAccessResult(value: string): AccessResult {
  const trimmed = value.trim();
  const [, first = "", rest = ""] = action.exec(trimmed) ?? [];
  const name = first.toUpperCase();
  switch (name) {
    case "":
      throw new ConfigError("the value is empty");
    case "OK":
    case "RELAY":
      return { kind: "permit" };
    case "DUNNO":
      return { kind: "none" };
    case "REJECT":
      return { kind: "reject", code: 554, ...splitEnhanced(rest, "5.7.1") };
    case "DEFER":
      return { kind: "defer", code: 450, ...splitEnhanced(rest, "4.7.1") };
    case "DEFER_IF_REJECT":
      return { kind: "deferIfReject", code: 450, ...splitEnhanced(rest, "4.7.1") };
    case "DEFER_IF_PERMIT":
      return { kind: "deferIfPermit", code: 450, ...splitEnhanced(rest, "4.7.1") };
    case "DISCARD":
      return { kind: "discard", text: rest };
    case "HOLD":
      return { kind: "hold", text: rest };
    case "REDIRECT":
      return { kind: "redirect", address: readAddress(name, rest) };
    case "BCC":
      return { kind: "bcc", address: readAddress(name, rest) };
    case "FILTER":
      if (!destinationForm.test(rest))
        throw new ConfigError('FILTER needs transport:destination, as in "FILTER smtp:[127.0.0.1]:10025"');
      return { kind: "filter", destination: rest };
    case "WARN":
    case "INFO":
      return { kind: "log", text: rest === "" ? name.toLowerCase() : `${name.toLowerCase()}: ${rest}` };
    case "PREPEND":
      return parsePrepend(rest);
  }
  if (unknownActions.has(name)) throw new ConfigError(`${name} is no action of an access table`);
  if (/^\d+$/.test(name)) return parseDigits(name, rest);
  const table = splitWords(trimmed).find(isTableName);
  // As in Postfix: a class can hold the word that asks the table.
  if (table !== undefined) throw new ConfigError(`"${table}": a table's value names words or classes, not tables`);
  return { kind: "words", text: trimmed };
}

/** `4NN text` and `5NN text` refuse; digits alone mean OK, as left behind by POP-before-SMTP. */
function parseDigits(digits: string, text: string): AccessResult {
  const code = Number(digits);
  if (digits.length === 3 && code >= 400 && code <= 599) {
    // Postfix takes a bare `550` for OK, which nobody who writes it means.
    if (text === "") throw new ConfigError(`"${digits}" needs a text behind it, as in "${digits} Go away"`);
    const kind = code < 500 ? "defer" : "reject";
    return { kind, code, ...splitEnhanced(text, kind === "defer" ? "4.7.1" : "5.7.1") };
  }
  if (text !== "") throw new ConfigError(`"${digits} ${text}" is neither 4NN nor 5NN with a text`);
  return { kind: "permit" };
}

function parsePrepend(text: string): AccessResult {
  const [, name, value = ""] = headerForm.exec(text) ?? [];
  if (name === undefined) throw new ConfigError('PREPEND needs a header, as in "PREPEND X-Seen: yes"');
  return { kind: "prepend", name, value };
}

function readAddress(action: string, text: string): string {
  const address = canonicalAddress(text.trim(), { smtputf8: true });
  if (address !== undefined) return address;
  throw new ConfigError(`${action} needs an address, as in "${action} someone@example.org"`);
}

/** An enhanced code at the start of the text; its class follows the action. */
function splitEnhanced(text: string, fallback: string): { enhanced: string; text: string } {
  const [, , detail, rest = ""] = withEnhanced.exec(text) ?? [];
  return detail === undefined
    ? { enhanced: fallback, text }
    : { enhanced: `${fallback.charAt(0)}${detail}`, text: rest };
}

/** Address codes (x.1.y) by their last number: for a sender, for a recipient (Postfix's smtpd_dsn_fix). */
const addressCodes: Readonly<Record<string, readonly [sender: string, recipient: string]>> = {
  "1": ["7", "1"],
  "2": ["8", "2"],
  "3": ["7", "3"],
  "4": ["7", "4"],
  "5": ["0", "5"],
  "6": ["7", "6"],
  "7": ["7", "3"],
  "8": ["8", "2"],
};

/** The enhanced code that fits what is refused: a sender has no "bad destination mailbox", a client no mailbox at all. */
export function fitEnhanced(enhanced: string, label: Subject["label"]): string {
  const [digit = "", category, detail = ""] = enhanced.split(".");
  if (category !== "1") return enhanced;
  if (label !== "Sender address" && label !== "Recipient address") return `${digit}.0.0`;
  const [sender, recipient] = addressCodes[detail] ?? ["0", "0"];
  return `${digit}.1.${label === "Sender address" ? sender : recipient}`;
}
