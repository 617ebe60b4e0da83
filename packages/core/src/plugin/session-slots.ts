/**
 * Plugins' state per session: it hangs on the session's id, not on the object, and goes when the session goes. A late call about
 * a session that is over gets a value that nobody keeps.
 */
import type { Session } from "../model/session.ts";
import { TransientMap } from "../model/transient-map.ts";

export interface SessionSlots {
  /** A slot of one plugin: the session's value, made by `init` at first use. */
  slot<T>(init: (session: Session) => T): (session: Session) => T;
  begin(sessionId: string): void;
  /** Frees every slot of the session. */
  end(sessionId: string): void;
  /** Sessions that are open. */
  readonly size: number;
}

export function createSessionSlots(): SessionSlots {
  // Values are made at first use: a session that no plugin looks at costs one entry.
  const sessions = new TransientMap<string, unknown[] | undefined>();
  let slots = 0;
  return {
    slot<T>(init: (session: Session) => T) {
      const index = slots;
      slots += 1;
      return (session) => {
        if (!sessions.has(session.id)) return init(session);
        let values = sessions.get(session.id);
        if (values === undefined) sessions.set(session.id, (values = []));
        const held = values[index] as { value: T } | undefined;
        if (held !== undefined) return held.value;
        const value = init(session);
        values[index] = { value };
        return value;
      };
    },
    begin: (sessionId) => void sessions.set(sessionId, undefined),
    end: (sessionId) => void sessions.delete(sessionId),
    get size() {
      return sessions.size;
    },
  };
}
