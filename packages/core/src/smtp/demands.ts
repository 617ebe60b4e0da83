/** What a listener wants before it takes mail: TLS (RFC 3207 §4), a login (RFC 4954 §6). */
import { reply, type Reply, type Session } from "../model/index.ts";
import type { ListenerSettings } from "./front.ts";
import type { Verb } from "./transitions.ts";

const tlsFirst = reply(530, "5.7.0", "Must issue a STARTTLS command first");
const loginFirst = reply(530, "5.7.0", "Authentication required");

/** AUTH without TLS has a reply of its own (538), BDAT brings octets and is refused by its place. */
const wantTls: ReadonlySet<Verb> = new Set(["MAIL", "RCPT", "DATA", "RSET", "VRFY"]);
const wantLogin: ReadonlySet<Verb> = new Set(["MAIL", "RCPT", "DATA", "VRFY"]);

/** Why the verb is not taken yet; `undefined` when it is. */
export function findUnmetDemand(
  verb: Verb,
  { tls, auth }: Session,
  settings: Pick<ListenerSettings, "tls" | "auth">,
): Reply | undefined {
  if (settings.tls === "required" && tls === undefined && wantTls.has(verb)) return tlsFirst;
  return settings.auth === "required" && auth === undefined && wantLogin.has(verb) ? loginFirst : undefined;
}
