/** Where clamd listens: `unix:/run/clamav/clamd.ctl`, `tcp:127.0.0.1:3310`, `tcp:[::1]:3310`; `tcp:` may be left out. */
import { isAbsolute, join } from "node:path";

export type ClamdAddress = { readonly path: string } | { readonly host: string; readonly port: number };

/** `undefined` for what is no address. A relative socket path is one below `directory`. */
export function parseAddress(text: string, directory = "/"): ClamdAddress | undefined {
  if (text.startsWith("unix:")) {
    const path = text.slice("unix:".length);
    if (path === "" || path.includes("\0")) return undefined;
    return { path: isAbsolute(path) ? path : join(directory, path) };
  }
  const match = /^(?:tcp:)?(?:\[([0-9a-fA-F:.]+)\]|([^[\]\s:/]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host === undefined || host === "tcp" || port < 1 || port > 65_535 ? undefined : { host, port };
}
