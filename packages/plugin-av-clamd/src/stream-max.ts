/** clamd's StreamMaxLength, found out by lengths of streams that are never sent. */
import { ScannerFailure, type Clock, type SocketAddress } from "@postern/core";
import { sizeExceeded } from "./answer.ts";
import { Session } from "./session.ts";

/** The protocol's length is of 32 bits. */
const longestStream = 0xff_ff_ff_ff;
const mebibyte = 1024 * 1024;
const leastPauseMs = 30;

/**
 * `undefined` when clamd takes `wantedBytes`; else exactly what it takes. Rejects with `ScannerFailure` when clamd cannot be asked; `stepMs`
 * is what each question may take, `isOver` whether nobody wants to know any more.
 */
export async function findStreamMax(
  address: SocketAddress,
  wantedBytes: number,
  clock: Clock,
  stepMs: number,
  isOver: () => boolean = () => false,
): Promise<number | undefined> {
  const watch = new Session(address, clock);
  try {
    const takes = (bytes: number): Promise<boolean> => {
      if (isOver()) throw new ScannerFailure("down", "the gateway closes");
      return isTaken(address, bytes, watch, clock, stepMs);
    };
    const wanted = Math.min(wantedBytes, longestStream);
    if (await takes(wanted)) return undefined;
    // Whole MiB first, as people write it; each question that is refused is a line in clamd's log.
    let taken = 0;
    let refused = Math.ceil(wanted / mebibyte);
    while (refused - taken > 1) {
      const middle = (taken + refused) >> 1;
      if (await takes(middle * mebibyte)) taken = middle;
      else refused = middle;
    }
    taken *= mebibyte;
    if (!(await takes(taken + 1))) return taken;
    refused = Math.min(refused * mebibyte, wanted);
    while (refused - taken > 1) {
      const middle = Math.floor((taken + refused) / 2);
      if (await takes(middle)) taken = middle;
      else refused = middle;
    }
    return taken;
  } finally {
    watch.destroy(new ScannerFailure("down", "measured"));
  }
}

/**
 * Acceptance is silent. But clamd reads all connections in one loop: when it has answered twice on another one, it has been round, and has
 * refused the length or not.
 */
async function isTaken(
  address: SocketAddress,
  bytes: number,
  watch: Session,
  clock: Clock,
  stepMs: number,
): Promise<boolean> {
  const session = new Session(address, clock);
  const late = new ScannerFailure("timeout", "clamd does not answer PING");
  const timer = clock.setTimer(() => {
    session.destroy(late);
    watch.destroy(late);
  }, stepMs);
  try {
    const asked = clock.monotonic();
    await session.begin("PING");
    const travelMs = clock.monotonic() - asked;
    let answer: string | undefined;
    const refused = session.begin("INSTREAM").then(
      (text) => (answer = text),
      () => undefined,
    );
    void session.write([], bytes);
    await watch.begin("PING");
    await watch.begin("PING");
    // Between here and clamd may be a network, where one connection is faster than the other.
    await Promise.race([refused, pause(clock, Math.max(leastPauseMs, 3 * travelMs))]);
    if (answer !== undefined && answer !== sizeExceeded) {
      throw new ScannerFailure("error", `clamd answered ${JSON.stringify(answer)}`);
    }
    return answer === undefined;
  } finally {
    timer.cancel();
    session.destroy(new ScannerFailure("down", "measured"));
  }
}

function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => clock.setTimer(resolve, ms));
}
