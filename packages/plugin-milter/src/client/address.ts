/** Where a milter listens, in Postfix's words (`inet:host:port`, `unix:path`) or Sendmail's (`inet:port@host`, `local:path`). */
import { parseHostPort, parseSocketPath } from "@postern/core";

export type MilterAddress =
  { readonly path: string } | { readonly host: string; readonly port: number; readonly family?: 4 | 6 };

export const expectedAddress = '"inet:127.0.0.1:8891", "inet6:[::1]:8891" or "unix:/run/milter.sock"';

const sendmailForm = /^(\d{1,5})@(?:\[([^[\]]+)\]|([^[\]]+))$/;

/** `undefined` for what is no address. A relative path is one below `directory`, absolute. */
export function parseAddress(text: string, directory: string): MilterAddress | undefined {
  const colon = text.indexOf(":");
  const scheme = text.slice(0, Math.max(colon, 0));
  const rest = text.slice(colon + 1);
  if (scheme === "unix" || scheme === "local") {
    const path = parseSocketPath(rest, directory);
    return path === undefined ? undefined : { path };
  }
  if (scheme !== "inet" && scheme !== "inet6") return undefined;
  const [, port, literal, name] = sendmailForm.exec(rest) ?? [];
  const host = literal ?? name;
  const target = parseHostPort(host === undefined ? rest : `${host.includes(":") ? `[${host}]` : host}:${port}`);
  return target === undefined || scheme === "inet" ? target : { ...target, family: 6 };
}
