/** Postfix's `$name` texts: `$name`, `${name}`, `$(name)`, `${name?text}`, `${name:text}`, `${name?{text}:{text}}`, `$$`. */
import { ConfigError } from "@postern/core";

/** `lookUp` gives a name's value; the empty string counts as not there. */
export type Template = (lookUp: (name: string) => string) => string;

/** Throws `ConfigError` for a name that is not known, and for what does not end. */
export function parseTemplate(text: string, isKnown: (name: string) => boolean): Template {
  const parts: Template[] = [];
  for (let at = 0; at < text.length;) {
    const dollar = text.indexOf("$", at);
    if (dollar < 0) {
      parts.push(literal(text.slice(at)));
      break;
    }
    if (dollar > at) parts.push(literal(text.slice(at, dollar)));
    const open = text[dollar + 1];
    if (open === "$") {
      parts.push(literal("$"));
      at = dollar + 2;
    } else if (open === "{" || open === "(") {
      const close = closing(text, dollar + 1);
      parts.push(conditional(text.slice(dollar + 2, close), isKnown));
      at = close + 1;
    } else {
      const name = /^\w+/.exec(text.slice(dollar + 1))?.[0];
      if (name === undefined) throw new ConfigError(`"$" without a name in "${text}"; write "$$" for a dollar`);
      parts.push(valueOf(name, isKnown));
      at = dollar + 1 + name.length;
    }
  }
  return (lookUp) => parts.map((part) => part(lookUp)).join("");
}

const literal =
  (text: string): Template =>
  () =>
    text;

function valueOf(name: string, isKnown: (name: string) => boolean): Template {
  if (!isKnown(name)) throw new ConfigError(`unknown name "$${name}"`);
  return (lookUp) => lookUp(name);
}

/** What stands between the braces. */
function conditional(inside: string, isKnown: (name: string) => boolean): Template {
  const [, name = "", operator, rest = ""] = /^(\w+)\s*(?:([?:])(.*))?$/s.exec(inside) ?? [];
  if (name === "") throw new ConfigError(`"\${${inside}}" begins with no name`);
  const value = valueOf(name, isKnown);
  if (operator === undefined) return value;
  const [first, second] = branches(rest, operator);
  const filled = parseTemplate(operator === "?" ? first : second, isKnown);
  const empty = parseTemplate(operator === "?" ? second : first, isKnown);
  return (lookUp) => (value(lookUp) === "" ? empty(lookUp) : filled(lookUp));
}

/** `{text}:{text}`, `{text}` or plain text. */
function branches(rest: string, operator: string): readonly [string, string] {
  const trimmed = rest.trim();
  if (!trimmed.startsWith("{")) return [rest, ""];
  const close = closing(trimmed, 0);
  const behind = trimmed.slice(close + 1).trim();
  const first = trimmed.slice(1, close).trim();
  if (behind === "") return [first, ""];
  if (operator === "?" && behind.startsWith(":")) {
    const other = behind.slice(1).trim();
    return [first, other.startsWith("{") && closing(other, 0) === other.length - 1 ? other.slice(1, -1).trim() : other];
  }
  throw new ConfigError(`"${behind}" does not belong behind "{${first}}"`);
}

/** Where the bracket at `open` is closed. Throws `ConfigError`. */
function closing(text: string, open: number): number {
  const [opening, close] = text[open] === "(" ? ["(", ")"] : ["{", "}"];
  let depth = 0;
  for (let at = open; at < text.length; at++) {
    if (text[at] === opening) depth += 1;
    else if (text[at] === close && --depth === 0) return at;
  }
  throw new ConfigError(`missing "${close}" in "${text}"`);
}
