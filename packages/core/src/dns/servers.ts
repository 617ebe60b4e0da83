/** Which name servers to ask: the config's, or those of /etc/resolv.conf (resolv.conf(5)). */
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { ConfigError } from "../errors.ts";

export interface NameServer {
  readonly address: string;
  readonly port: number;
}

/** `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1`, `[2001:db8::1]:5353`. Throws `ConfigError`. */
export function parseNameServer(text: string): NameServer {
  const [, bracketed, plain, portText] =
    /^(?:\[([^\]]+)\]|([^:[\]]+|[^[\]]*:[^[\]]*:[^[\]]*))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const address = bracketed ?? plain ?? "";
  const port = portText === undefined ? 53 : Number(portText);
  if (isIP(address.replace(/%.*$/, "")) === 0 || port < 1 || port > 65_535) {
    throw new ConfigError(`dns.servers: "${text}" is no name server; write an address, with a port if it is not 53`);
  }
  return { address, port };
}

/** As the C library: at most three `nameserver` lines; the local one when there are none. */
export function parseResolvConf(text: string): readonly NameServer[] {
  const servers: NameServer[] = [];
  for (const [, address = ""] of text.matchAll(/^[ \t]*nameserver[ \t]+(\S+)/gm)) {
    if (isIP(address.replace(/%.*$/, "")) !== 0 && servers.length < 3) servers.push({ address, port: 53 });
  }
  return servers.length > 0 ? servers : [{ address: "127.0.0.1", port: 53 }];
}

export function systemNameServers(file = "/etc/resolv.conf"): readonly NameServer[] {
  try {
    return parseResolvConf(readFileSync(file, "utf8"));
  } catch {
    return parseResolvConf("");
  }
}
