/** What a mail server's packets and macros say of a session, in our words. */
import { formatIp, parseIp, type Session, type ToldSession } from "@postern/core";
import { fromOctets, type ClientAddress, type Macros } from "../protocol/index.ts";

type ToldClient = ToldSession["client"];

/** Postfix has names with braces or without, as they are long or short. */
export function macroOf(macros: Macros, name: string): string | undefined {
  const value = macros[name.length === 1 ? name : `{${name}}`];
  return value === undefined || value === "" ? undefined : fromOctets(value);
}

export function toClient(hostname: string, address: ClientAddress, macros: Macros): ToldClient {
  const ip = address.family === "unknown" ? undefined : parseIp(address.address.replace(/^IPv6:/i, ""));
  const resolved = macroOf(macros, "client_resolve");
  const told = fromOctets(hostname);
  // Sendmail says "[192.0.2.1]" where there is no name, and one that does not lead back all the same.
  const isName = told !== "" && told !== "unknown" && !told.startsWith("[") && (resolved ?? "OK") === "OK";
  const reverse = macroOf(macros, "client_ptr");
  return {
    address: ip === undefined ? undefined : formatIp(ip),
    port: address.family === "inet" || address.family === "inet6" ? address.port : undefined,
    name: isName ? told : "unknown",
    reverseName: reverse ?? (isName ? told : "unknown"),
    nameStatus: isName ? "ok" : statusOf(resolved),
  };
}

/** Where nobody tells why there is no name, refused for good is the wrong guess. */
function statusOf(resolved: string | undefined): ToldClient["nameStatus"] {
  return resolved === "FAIL" || resolved === "FORGED" ? "permanent" : "temporary";
}

export function toServer(macros: Macros): Session["server"] {
  const port = Number(macroOf(macros, "daemon_port"));
  const address = macroOf(macros, "daemon_addr") ?? macroOf(macros, "if_addr") ?? "";
  return { address: address.replace(/^\[(.*)\]$/, "$1"), port: Number.isInteger(port) ? port : 0 };
}

export function toTls(macros: Macros): Session["tls"] {
  const protocol = macroOf(macros, "tls_version");
  if (protocol === undefined) return undefined;
  const cipher = macroOf(macros, "cipher") ?? "";
  return { protocol, cipher, bits: Number(macroOf(macros, "cipher_bits")) || 0, servername: undefined };
}

export function toAuth(macros: Macros): Session["auth"] {
  const identity = macroOf(macros, "auth_authen");
  return identity === undefined ? undefined : { identity, mechanism: macroOf(macros, "auth_type") ?? "" };
}
