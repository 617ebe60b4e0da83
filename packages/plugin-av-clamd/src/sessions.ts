/** The sessions of one clamd that wait for their next scan, the warmest on top. */
import { ScannerFailure, type Clock, type Timer, type SocketAddress } from "@postern/core";
import { Session } from "./session.ts";

/** clamd closes a session that is silent for its ReadTimeout; we are gone before any sensible one. */
const idleMs = 4_000;

export interface Sessions {
  /** One that waits, else a new one. */
  take(): Session;
  /** Takes no waiting one: for what a lost one must not decide. */
  open(): Session;
  /** Back when it can be used again; else it is let go. */
  giveBack(session: Session): void;
  readonly waiting: number;
  close(): void;
}

export function createSessions(address: SocketAddress, clock: Clock): Sessions {
  const idle: { readonly session: Session; readonly since: number }[] = [];
  let sweeper: Timer | undefined;
  let over = false;

  const letGo = (session: Session): void => session.destroy(new ScannerFailure("down", "the session is over"));

  function sweep(): void {
    sweeper = undefined;
    const before = clock.monotonic() - idleMs;
    const stale = idle.findIndex(({ since }) => since > before);
    for (const { session } of idle.splice(0, stale < 0 ? idle.length : stale)) letGo(session);
    const [oldest] = idle;
    if (oldest !== undefined) sweeper = clock.setTimer(sweep, oldest.since - before);
  }

  return {
    get waiting() {
      return idle.length;
    },
    take() {
      for (let last = idle.pop(); last !== undefined; last = idle.pop()) {
        if (!last.session.closed) return last.session;
      }
      return new Session(address, clock);
    },
    open: () => new Session(address, clock),
    giveBack(session) {
      if (session.closed) return;
      if (over) return letGo(session);
      idle.push({ session, since: clock.monotonic() });
      sweeper ??= clock.setTimer(sweep, idleMs);
    },
    close() {
      over = true;
      sweeper?.cancel();
      for (const { session } of idle.splice(0)) letGo(session);
    },
  };
}
