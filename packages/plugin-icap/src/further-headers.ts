/** ICAP headers that the config adds to each request. Some hold keys. */
import { ConfigError, secret, type Secret } from "@postern/core";
import { z } from "zod";

const line = /^[\x20-\x7e]{0,1000}$/;

/** What they say is said already, or would have the service and us at odds over where a message ends. */
const ours: ReadonlySet<string> = new Set([
  "allow",
  "connection",
  "content-length",
  "encapsulated",
  "host",
  "preview",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

const name = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9-]{0,63}$/, { error: "expected a header's name" })
  .refine((text) => !ours.has(text.toLowerCase()), { error: "expected a header that ICAP itself has no use for" });

export const furtherHeaders = z
  .record(name, z.union([z.string().regex(line, { error: "expected one line of ASCII" }), secret()]))
  .default({});

/** With the secrets in their places, from `directory`. Throws `ConfigError`. */
export function revealHeaders(
  headers: Readonly<Record<string, string | Secret>>,
  directory: string,
): Readonly<Record<string, string>> {
  const revealed = Object.entries(headers).map(([header, value]) => {
    if (typeof value === "string") return [header, value] as const;
    const text = value.reveal(directory);
    if (!line.test(text)) throw new ConfigError(`the secret in ${value.describe()} is no line of ASCII`);
    return [header, text] as const;
  });
  return Object.fromEntries(revealed);
}
