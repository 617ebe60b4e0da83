/** What the plugins of one generation have registered, beside words and table types, which have registries of their own. */
import type { Transport } from "../delivery/transport.ts";
import type { Rewriter } from "../rewrite/rewriter.ts";
import type { OwnedScanner } from "../scanning/registration.ts";
import { createRegistry, type Registry } from "./registry.ts";
import { createSessionSlots, type SessionSlots } from "./session-slots.ts";

export interface Registrations {
  readonly transports: Registry<Transport>;
  readonly scanners: Registry<OwnedScanner>;
  readonly rewriters: Registry<Rewriter>;
  readonly services: Registry<unknown>;
  /** The runtime says when sessions begin and end. */
  readonly sessions: SessionSlots;
}

export function createRegistrations(): Registrations {
  return Object.freeze({
    transports: createRegistry<Transport>("transport"),
    scanners: createRegistry<OwnedScanner>("scanner"),
    rewriters: createRegistry<Rewriter>("rewriter"),
    services: createRegistry<unknown>("service"),
    sessions: createSessionSlots(),
  });
}
