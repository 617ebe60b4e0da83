/** Idle sessions by destination, for the next message there: bounded in number, idle time and lifetime. */
import type { Clock, Timer } from "@postern/core";
import type { OutboundSession } from "./outbound-session.ts";

export interface KeepOptions {
  readonly idle: number;
  readonly lifetime: number;
  readonly connections: number;
}

interface Kept {
  readonly session: OutboundSession;
  readonly until: number;
}

/** How long a peer may take to answer QUIT. */
const quitGraceMs = 5_000;

export interface KeptSessions {
  /** The one used last, which is the one least likely to be closed by now. */
  take(destination: string): OutboundSession | undefined;
  /** Keeps it, or says goodbye. */
  keep(destination: string, session: OutboundSession): void;
  quit(session: OutboundSession): void;
  readonly size: number;
  close(): void;
}

export function createKeptSessions({ idle, lifetime, connections }: KeepOptions, clock: Clock): KeptSessions {
  /** Youngest last. */
  const byDestination = new Map<string, Kept[]>();
  let size = 0;
  let closed = false;
  let sweeper: Timer | undefined;

  function quit(session: OutboundSession): void {
    session.conversation.quit(quitGraceMs, clock);
  }

  function forget(destination: string, session: OutboundSession): void {
    const list = byDestination.get(destination);
    const at = list?.findIndex((kept) => kept.session === session) ?? -1;
    if (list === undefined || at < 0) return;
    list.splice(at, 1);
    if (list.length === 0) byDestination.delete(destination);
    size -= 1;
  }

  function sweep(): void {
    sweeper = undefined;
    const now = clock.monotonic();
    for (const [destination, list] of byDestination) {
      for (const { session } of list.filter(({ until }) => until <= now)) {
        forget(destination, session);
        quit(session);
      }
    }
    if (size > 0) sweeper = clock.setTimer(sweep, Math.max(idle / 4, 100));
  }

  return {
    take(destination) {
      const list = byDestination.get(destination);
      for (let kept = list?.pop(); list !== undefined && kept !== undefined; kept = list.pop()) {
        size -= 1;
        if (list.length === 0) byDestination.delete(destination);
        kept.session.conversation.onClose = undefined;
        if (kept.session.conversation.quiet && kept.until > clock.monotonic()) return kept.session;
        quit(kept.session);
      }
      return undefined;
    },
    keep(destination, session) {
      const { conversation } = session;
      const now = clock.monotonic();
      const until = Math.min(now + idle, session.openedAt + lifetime);
      if (closed || !conversation.quiet || size >= connections || until <= now) return quit(session);
      const list = byDestination.get(destination);
      if (list === undefined) byDestination.set(destination, [{ session, until }]);
      else list.push({ session, until });
      size += 1;
      const onClose = (): void => forget(destination, session);
      conversation.onClose = onClose;
      sweeper ??= clock.setTimer(sweep, Math.max(idle / 4, 100));
    },
    quit,
    get size() {
      return size;
    },
    close() {
      closed = true;
      sweeper?.cancel();
      for (const list of byDestination.values()) for (const { session } of list) quit(session);
      byDestination.clear();
      size = 0;
    },
  };
}
