/** Takes out of a value what looks like a secret, by the name of its key or its place in a URL, before anything is printed. */

import { Secret } from "./secret.ts";

/** Names of keys whose text is a secret, whatever a schema says. */
export const secretName = /passw|passphrase|secret|token|credential|api[-_]?key|private[-_]?key/i;
const redacted = "[secret]";

/** Plugins' options may hold passwords that their schemas do not declare as such. References to secrets are no secrets. */
export function redact(value: unknown, key = ""): unknown {
  if (Array.isArray(value)) return value.map((inner) => redact(inner, key));
  if (isObject(value)) {
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) return value instanceof Secret ? redacted : "[object]";
    const isReference = ["file", "env", "credential"].includes(Object.keys(value).join());
    if (isReference) return value;
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, redact(inner, name)]));
  }
  if (typeof value !== "string") return typeof value === "function" ? "[function]" : value;
  return secretName.test(key)
    ? redacted
    : value.replace(/(\b[a-z][a-z0-9+.-]*:\/\/[^/\s:@]*):[^/\s@]*@/gi, `$1:${redacted}@`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
