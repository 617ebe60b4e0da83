/** Which name servers to ask unless the config names them: those of /etc/resolv.conf (resolv.conf(5)). */
import { readFileSync } from "node:fs";
import { dnsPort, parseNameServer, type NameServer } from "../address/name-server.ts";

/** As the C library: at most three `nameserver` lines; the local one when there are none. */
export function parseResolvConf(text: string): readonly NameServer[] {
  const servers: NameServer[] = [];
  for (const [, address = ""] of text.matchAll(/^[ \t]*nameserver[ \t]+(\S+)/gm)) {
    const server = parseNameServer(address);
    if (server !== undefined && servers.length < 3) servers.push(server);
  }
  return servers.length > 0 ? servers : [{ address: "127.0.0.1", port: dnsPort }];
}

export function systemNameServers(file = "/etc/resolv.conf"): readonly NameServer[] {
  try {
    return parseResolvConf(readFileSync(file, "utf8"));
  } catch {
    return parseResolvConf("");
  }
}
