/** The servers of a table: URLs, host names and the old host:port. */
import { ConfigError } from "@postern/core";
import { isLdapUrl, parseLdapUrl } from "./url.ts";

export interface Server {
  /** As OpenLDAP writes it: `ldap://host:389`. */
  readonly label: string;
  readonly address: { readonly host: string; readonly port: number } | { readonly path: string };
  /** TLS from the first octet. */
  readonly secure: boolean;
}

/** OpenLDAP's own socket on Debian, for `ldapi://` without a path. */
const defaultSocket = "/var/run/slapd/ldapi";

/** Throws `ConfigError`. `table` is named in it. */
export function readServers(words: readonly string[], port: number, table: string): Server[] {
  const servers = words.map((word) => readServer(word, port, table));
  if (servers.length === 0) throw new ConfigError(`${table}: server_host names no server`);
  return servers;
}

function readServer(word: string, defaultPort: number, table: string): Server {
  const written = isLdapUrl(word) ? word : `ldap://${/:[^\]]*$/.test(word) ? word : `${word}:${defaultPort}`}`;
  try {
    const { scheme, host, port } = parseLdapUrl(written);
    if (scheme === "ldapi") {
      const path = host === "" ? defaultSocket : host;
      return { label: `ldapi://${encodeURIComponent(path)}`, address: { path }, secure: false };
    }
    const secure = scheme === "ldaps";
    const address = { host: host === "" ? "localhost" : host, port: port ?? (secure ? 636 : 389) };
    const shown = address.host.includes(":") ? `[${address.host}]` : address.host;
    return { label: `${scheme}://${shown}:${address.port}`, address, secure };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigError(`${table}: server_host "${word}": ${why}`);
  }
}
