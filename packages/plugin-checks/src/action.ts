/** The right-hand side of a check (header_checks(5)): an action and what stands behind it. */
import { canonicalAddress, ConfigError, defer, reject, type Objection } from "@postern/core";

/** Where the line stands that a table found. */
export type Place = "header" | "body";

export type Action =
  | { readonly kind: "none" }
  /** Ends the checks. */
  | { readonly kind: "refuse"; readonly objection: Objection }
  | { readonly kind: "discard"; readonly text: string }
  | { readonly kind: "pass"; readonly text: string }
  | { readonly kind: "redirect"; readonly address: string }
  /** Go on with the next line. */
  | { readonly kind: "hold"; readonly text: string }
  | { readonly kind: "bcc"; readonly address: string }
  | { readonly kind: "filter"; readonly destination: string }
  | { readonly kind: "log"; readonly level: "warning" | "info"; readonly text: string }
  /** The line goes; with `told` the log says so. */
  | { readonly kind: "drop"; readonly told: boolean; readonly text: string }
  | { readonly kind: "prepend" | "replace"; readonly text: string };

const form = /^(\S+)(?:\s+(.*))?$/s;
const withEnhanced = /^(\d)(\.\d{1,3}\.\d{1,3})(?:\s+(.*))?$/s;
const destinationForm = /^[a-z][\w-]*:[\x20-\x7e]*$/i;
/** What a field begins with; of it are made the fields that `PREPEND` and `REPLACE` give. */
export const headerForm = /^([\u0021-\u0039\u003b-\u007e]{1,76})[ \t]*:(.*)$/s;

/** Throws `ConfigError` for what is no action at that place. */
export function parseAction(value: string, place: Place): Action {
  const [, first = "", rest = ""] = form.exec(value.trim()) ?? [];
  const name = first.toUpperCase();
  switch (name) {
    case "DUNNO":
    case "OK":
      return { kind: "none" };
    case "REJECT":
      return { kind: "refuse", objection: parseRefusal(rest) };
    case "DISCARD":
      return { kind: "discard", text: rest };
    case "PASS":
      return { kind: "pass", text: rest };
    case "HOLD":
      return { kind: "hold", text: rest };
    case "WARN":
      return { kind: "log", level: "warning", text: rest };
    case "INFO":
      return { kind: "log", level: "info", text: rest };
    case "IGNORE":
      return { kind: "drop", told: false, text: rest };
    case "STRIP":
      return { kind: "drop", told: true, text: rest };
    case "BCC":
      return { kind: "bcc", address: readAddress(name, rest) };
    case "REDIRECT":
      return { kind: "redirect", address: readAddress(name, rest) };
    case "FILTER":
      if (destinationForm.test(rest)) return { kind: "filter", destination: rest };
      throw new ConfigError('FILTER needs transport:destination, as in "FILTER smtp:[127.0.0.1]:10025"');
    case "PREPEND":
    case "REPLACE":
      return { kind: name === "PREPEND" ? "prepend" : "replace", text: readLine(name, rest, place) };
    case "":
      throw new ConfigError("the value is empty");
    default:
      throw new ConfigError(`"${first.slice(0, 40)}" is no action of header or body checks`);
  }
}

/** 5.7.1 unless the text brings its own code; one of class 4 defers. */
function parseRefusal(text: string): Objection {
  const [, digit, detail = "", rest = ""] = withEnhanced.exec(text) ?? [];
  if (digit === undefined) return reject(text === "" ? "message content rejected" : text, "5.7.1");
  if (digit === "4") return defer(rest, `4${detail}`, 451);
  if (digit === "5") return reject(rest, `5${detail}`);
  throw new ConfigError(`REJECT with the code ${digit}${detail}: its class is 4 or 5`);
}

function readAddress(action: string, text: string): string {
  const address = text.includes("@") ? canonicalAddress(text.trim(), { smtputf8: true }) : undefined;
  if (address !== undefined) return address;
  throw new ConfigError(`${action} needs an address, as in "${action} someone@example.org"`);
}

function readLine(action: string, text: string, place: Place): string {
  if (text === "") throw new ConfigError(`${action} needs a text`);
  if (place === "header" && !headerForm.test(text)) {
    throw new ConfigError(`${action} in a header needs a field, as in "${action} X-Seen: yes"`);
  }
  return text;
}
