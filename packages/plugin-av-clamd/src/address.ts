/** Where clamd listens: `unix:/run/clamav/clamd.ctl`, `host:port` or `[2001:db8::1]:port`. */
import { isAbsolute, join } from "node:path";

export type ClamdAddress = { readonly path: string } | { readonly host: string; readonly port: number };

/** `undefined` for what is no address. A relative socket path is one below `directory`. */
export function parseAddress(text: string, directory = "/"): ClamdAddress | undefined {
  if (text.startsWith("unix:")) {
    const path = text.slice("unix:".length);
    if (path === "" || path.includes("\0")) return undefined;
    return { path: isAbsolute(path) ? path : join(directory, path) };
  }
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^[\]\s:/]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port };
}
