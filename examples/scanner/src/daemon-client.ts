/** One question to the daemon: the fingerprint on a line, one line back. */
import { connect } from "node:net";
import { ScannerFailure, type SocketAddress } from "@postern/core";

export interface Daemon {
  /** As in the config, for the log. */
  readonly label: string;
  readonly target: SocketAddress;
}

const longestAnswer = 1000;

/** Throws `ScannerFailure` with `down` when there is no answer. At `signal` the connection is gone, however far it came. */
export async function askDaemon({ label, target }: Daemon, fingerprint: string, signal: AbortSignal): Promise<string> {
  signal.throwIfAborted();
  const socket = connect({ ...target, signal });
  try {
    socket.setEncoding("latin1").write(`${fingerprint}\n`);
    let said = "";
    // Leaving the loop, in whatever way, destroys the socket.
    for await (const piece of socket) {
      said += piece as string;
      const end = said.indexOf("\n");
      if (end >= 0) return said.slice(0, end);
      if (said.length > longestAnswer) return said;
    }
  } catch (cause) {
    throw new ScannerFailure("down", `${label}: ${(cause as Error).message}`, { cause });
  } finally {
    socket.destroy();
  }
  throw new ScannerFailure("down", `${label}: closed without an answer`);
}
