/** One question to the daemon: the fingerprint on a line, one line back. */
import { connect } from "node:net";
import { ScannerFailure } from "@postern/core";

const longestAnswer = 1000;

/** Throws `ScannerFailure` with `down` when there is no answer. At `signal` the connection is gone, however far it came. */
export async function askDaemon(address: string, fingerprint: string, signal: AbortSignal): Promise<string> {
  signal.throwIfAborted();
  const [host = "", port = ""] = address.split(":");
  const socket = connect({ host, port: Number(port), signal });
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
    throw new ScannerFailure("down", `${address}: ${(cause as Error).message}`, { cause });
  } finally {
    socket.destroy();
  }
  throw new ScannerFailure("down", `${address}: closed without an answer`);
}
