/** Where a milter listens, in Postfix's words (`inet:host:port`, `unix:path`) or Sendmail's (`inet:port@host`, `local:path`). */
import { resolve } from "node:path";

export type MilterAddress =
  { readonly path: string } | { readonly host: string; readonly port: number; readonly family?: 4 | 6 };

export const expectedAddress = '"inet:127.0.0.1:8891", "inet6:[::1]:8891" or "unix:/run/milter.sock"';

const postfixForm = /^(?:\[([0-9a-fA-F:.%]+)\]|([^[\]\s:/,@]+)):(\d{1,5})$/;
const sendmailForm = /^(\d{1,5})@(?:\[([0-9a-fA-F:.%]+)\]|([^[\]\s/,@]+))$/;
/** sun_path holds 107 bytes and a NUL. */
const longestPath = 107;

/** `undefined` for what is no address. A relative path is one below `directory`, absolute. */
export function parseAddress(text: string, directory: string): MilterAddress | undefined {
  const colon = text.indexOf(":");
  const scheme = text.slice(0, Math.max(colon, 0));
  const rest = text.slice(colon + 1);
  if (scheme === "unix" || scheme === "local") {
    const path = resolve(directory, rest);
    const isPath = rest !== "" && !rest.includes("\0") && Buffer.byteLength(path) <= longestPath;
    return isPath ? { path } : undefined;
  }
  if (scheme !== "inet" && scheme !== "inet6") return undefined;
  const ours = postfixForm.exec(rest);
  const theirs = sendmailForm.exec(rest);
  const host = ours?.[1] ?? ours?.[2] ?? theirs?.[2] ?? theirs?.[3];
  const port = Number(ours?.[3] ?? theirs?.[1]);
  if (host === undefined || !(port >= 1 && port <= 65_535)) return undefined;
  return scheme === "inet6" ? { host, port, family: 6 } : { host, port };
}
