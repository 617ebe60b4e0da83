/** What the plugins of one generation have registered. */
import type { Transport } from "../delivery/transport.ts";
import type { Restriction } from "../policy/restriction.ts";
import type { OwnedScanner } from "../scanning/registration.ts";
import { createRegistry, type Registry } from "./registry.ts";
import { createSessionSlots, type SessionSlots } from "./session-slots.ts";

export interface Registrations {
  readonly words: Registry<Restriction>;
  readonly transports: Registry<Transport>;
  readonly scanners: Registry<OwnedScanner>;
  readonly services: Registry<unknown>;
  /** The runtime says when sessions begin and end. */
  readonly sessions: SessionSlots;
}

export function createRegistrations(): Registrations {
  return Object.freeze({
    words: createRegistry<Restriction>("word"),
    transports: createRegistry<Transport>("transport"),
    scanners: createRegistry<OwnedScanner>("scanner"),
    services: createRegistry<unknown>("service"),
    sessions: createSessionSlots(),
  });
}
