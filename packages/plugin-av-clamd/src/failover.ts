/** Several clamd: the first that is well has the message, and the next when that one fails. */
import { ScannerFailure, type Blob, type Clock } from "@postern/core";
import type { Daemon } from "./daemon.ts";

export interface Found {
  /** The signature's name; `undefined`: clean. */
  readonly name: string | undefined;
  readonly daemon: Daemon;
}

/** `patienceMs`: a clamd without an answer for so long is asked whether it lives, when there is another. */
export async function scanWithOne(
  daemons: readonly Daemon[],
  content: Blob,
  signal: AbortSignal,
  { clock, patienceMs }: { readonly clock: Clock; readonly patienceMs: number },
): Promise<Found> {
  if (signal.aborted) throw new ScannerFailure("timeout", "called off");
  const able = daemons.filter((daemon) => daemon.takes(content.sizeBytes));
  if (able.length === 0) {
    const most = Math.max(...daemons.map(({ streamMaxBytes = 0 }) => streamMaxBytes));
    throw new ScannerFailure("tooLarge", `${content.sizeBytes} bytes are more than clamd's StreamMaxLength, ${most}`);
  }
  let first: unknown;
  for (const daemon of inOrder(able)) {
    try {
      const watched = able.length > 1 && patienceMs > 0;
      const name = await (watched
        ? scanWatched(daemon, content, signal, clock, patienceMs)
        : daemon.scan(content, signal));
      return { name, daemon };
    } catch (error) {
      first ??= error;
      if (signal.aborted) break;
    }
  }
  throw first;
}

/** Which to try first: what is well and has room, what is well, the rest. Those that are not are asked in the background how they are. */
export function inOrder(daemons: readonly Daemon[]): readonly Daemon[] {
  const [only] = daemons;
  if (only?.healthy === true && only.free > 0) return daemons;
  const rank = (daemon: Daemon): number => (daemon.healthy ? (daemon.free > 0 ? 0 : 1) : 2);
  if (daemons.length > 1) for (const daemon of daemons) if (!daemon.healthy) daemon.refresh();
  return daemons.toSorted((one, other) => rank(one) - rank(other));
}

async function scanWatched(
  daemon: Daemon,
  content: Blob,
  signal: AbortSignal,
  clock: Clock,
  patienceMs: number,
): Promise<string | undefined> {
  const controller = new AbortController();
  const callOff = (): void => {
    controller.abort();
    void daemon.ask(); // the deadline perhaps, and then it must not have the next message too
  };
  signal.addEventListener("abort", callOff, { once: true });
  const check = async (): Promise<void> => {
    const lives = await daemon.ask();
    if (controller.signal.aborted) return; // the scan has ended meanwhile
    if (lives) timer = clock.setTimer(() => void check(), patienceMs);
    else controller.abort();
  };
  let timer = clock.setTimer(() => void check(), patienceMs);
  try {
    return await daemon.scan(content, controller.signal);
  } finally {
    timer.cancel();
    signal.removeEventListener("abort", callOff);
    controller.abort(); // `check` may be at it
  }
}
