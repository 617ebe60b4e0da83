/** What the plugins of one generation have registered, beside words and table types, which have registries of their own. */
import type { Authenticator } from "../authentication/index.ts";
import type { Handover } from "./handover.ts";
import type { Transport } from "../delivery/transport.ts";
import type { Rewriter } from "../rewrite/rewriter.ts";
import type { OwnedScanner } from "../scanning/registration.ts";
import type { StateStore } from "../state/state-store.ts";
import type { ListHandle } from "./list-handle.ts";
import { createRegistry, type Registry } from "./registry.ts";
import { createSessionSlots, type SessionSlots } from "./session-slots.ts";

export interface Registrations {
  readonly transports: Registry<Transport>;
  readonly scanners: Registry<OwnedScanner>;
  readonly rewriters: Registry<Rewriter>;
  readonly authenticators: Registry<Authenticator>;
  /** One at most, under the name "handover". */
  readonly handovers: Registry<Handover>;
  readonly services: Registry<unknown>;
  /** Lists that plugins ask themselves, to be compiled before ready. */
  readonly lists: ListHandle[];
  /** One at most, under the name "state store". */
  readonly stateStores: Registry<StateStore>;
  /** The runtime says when sessions begin and end. */
  readonly sessions: SessionSlots;
}

export function createRegistrations(): Registrations {
  return Object.freeze({
    transports: createRegistry<Transport>("transport"),
    scanners: createRegistry<OwnedScanner>("scanner"),
    rewriters: createRegistry<Rewriter>("rewriter"),
    authenticators: createRegistry<Authenticator>("authenticator"),
    handovers: createRegistry<Handover>("the"),
    services: createRegistry<unknown>("service"),
    lists: [],
    stateStores: createRegistry<StateStore>("the"),
    sessions: createSessionSlots(),
  });
}
