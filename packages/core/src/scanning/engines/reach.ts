/**
 * At the start each server of an engine is asked once, as cheaply as its protocol has it, whether it is there: a wrong address is then told before the first
 * mail is. It is only said: nobody waits for it, and mail comes in any case.
 */
import { errorText, ScannerFailure } from "../../errors.ts";
import { logText } from "../../model/log-text.ts";
import type { Clock } from "../../model/clock.ts";

/** A server that is slower than this to say that it is there is told of, too. */
const longestMs = 10_000;

/** What a gateway says of itself to a plugin. */
export interface StartTold {
  readonly dry: boolean;
  readonly clock: Clock;
  readonly log: { warn(text: string): void };
  onReady(call: () => void): void;
  onClose(call: () => void): void;
}

export interface EngineServer {
  /** Of what, and at which address as in the config: `rspamd at http://127.0.0.1:11333`. */
  readonly label: string;
  /** Rejects when it cannot be reached, or is not what it should be; lets go of everything when `signal` is aborted. */
  reach(signal: AbortSignal): Promise<unknown>;
  /** What else there is to be said of one that was reached. `signal` is aborted when the gateway closes. */
  reached?(signal: AbortSignal): Promise<unknown>;
}

const onErrorStands = ": until it can, mail fares as onError says";

/** For the end of `setup`: what is registered last is closed first. Does nothing where nothing will run. */
export function reachAtStart(gateway: StartTold, servers: readonly EngineServer[]): void {
  const { dry, clock, log } = gateway;
  if (dry) return;
  const closing = new AbortController();
  const isOnly = servers.length === 1;
  /** Is it there? */
  const introduce = async (server: EngineServer): Promise<boolean> => {
    try {
      await withinTime(server, closing.signal, clock);
    } catch (error) {
      if (closing.signal.aborted) return true;
      const { label } = server;
      const why = logText(errorText(error), 300).replace(`${label}: `, "");
      log.warn(`${label} cannot be reached (${why})${isOnly ? onErrorStands : ""}`);
      return false;
    }
    try {
      await server.reached?.(closing.signal);
    } catch (error) {
      if (!closing.signal.aborted) log.warn(`${server.label}: ${logText(errorText(error), 300)}`);
    }
    return true;
  };
  const introduceAll = async (): Promise<void> => {
    const there = await Promise.all(servers.map(introduce));
    if (!isOnly && !there.includes(true)) log.warn(`none of ${servers.length} can be reached${onErrorStands}`);
  };
  gateway.onReady(() => void introduceAll());
  gateway.onClose(() => closing.abort());
}

/** Also for one that does not heed its signal. */
function withinTime(server: EngineServer, closing: AbortSignal, clock: Clock): Promise<unknown> {
  const patience = new AbortController();
  return new Promise((resolve, reject) => {
    const giveUp = (): void => {
      const silent = new ScannerFailure("timeout", `no answer within ${longestMs / 1000} s`);
      patience.abort(silent);
      reject(silent);
    };
    const timer = clock.setTimer(giveUp, longestMs);
    closing.addEventListener("abort", giveUp, { once: true });
    const end = (): void => {
      timer.cancel();
      closing.removeEventListener("abort", giveUp);
    };
    new Promise((reached) => reached(server.reach(patience.signal))).finally(end).then(resolve, reject);
  });
}
