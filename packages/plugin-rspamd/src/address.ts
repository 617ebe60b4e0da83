/** Where rspamd listens: `http://127.0.0.1:11333`, `https://…`, or `unix:/run/rspamd/normal.sock`. */
import { parseSocketPath } from "@postern/core";

/** What Node's http client takes for it. */
export interface Endpoint {
  /** As in the config, for the log. */
  readonly label: string;
  readonly tls: boolean;
  readonly target: { readonly socketPath: string } | { readonly host: string; readonly port: number };
  /** What stands before `/checkv2`, such as `/rspamd` behind a proxy; empty, or begins with a slash and does not end with one. */
  readonly base: string;
}

/** `undefined` for what is no address. A relative socket path is one below `directory`. */
export function parseAddress(text: string, directory = "/"): Endpoint | undefined {
  if (text.startsWith("unix:")) {
    const socketPath = parseSocketPath(text.slice("unix:".length), directory);
    return socketPath === undefined ? undefined : { label: text, tls: false, target: { socketPath }, base: "" };
  }
  if (!/^https?:\/\//i.test(text)) return undefined;
  const url = URL.parse(text);
  if (url === null || url.hostname === "" || url.username !== "" || url.search !== "" || url.hash !== "") {
    return undefined;
  }
  const tls = url.protocol === "https:";
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = url.port === "" ? (tls ? 443 : 80) : Number(url.port);
  return { label: text, tls, target: { host, port }, base: url.pathname.replace(/\/+$/, "") };
}
