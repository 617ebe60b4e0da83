/** What a client may ask for now: the extensions of its EHLO, and what is taken without. */
import type { Dialogue } from "./dialogue.ts";

/** There is a key, and TLS is not active. */
export function offersTls({ place, session }: Dialogue): boolean {
  return place.tlsAvailable && session.tls === undefined;
}

/** The listener takes logins, and somebody knows passwords. */
export function offersAuth({ place, generation }: Dialogue): boolean {
  const { auth = "off" } = place.settings;
  return auth !== "off" && generation.authenticate !== undefined;
}

/** A password may be sent now. */
export function mayAuthenticate(dialogue: Dialogue): boolean {
  const { place, session } = dialogue;
  return offersAuth(dialogue) && (session.tls !== undefined || place.settings.authWithoutTls === true);
}

export function mayUseXclient({ place, peerAddress }: Dialogue): boolean {
  return place.xclient.contains(peerAddress);
}
