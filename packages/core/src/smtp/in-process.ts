/** A dialogue without a port: a pair of streams whose far end the listener takes for a socket. For tests and dry runs. */
import { duplexPair, type Duplex } from "node:stream";
import type { Socket } from "node:net";
import { serverOf, type SmtpListener } from "./listener.ts";

export interface InProcessClient {
  readonly remoteAddress?: string;
  readonly remotePort?: number;
  readonly localAddress?: string;
  readonly localPort?: number;
}

/** What a listener asks of a socket beyond being a stream. */
const socketMembers = {
  setTimeout(this: unknown): unknown {
    return this;
  },
  setNoDelay(this: unknown): unknown {
    return this;
  },
  destroySoon(this: Duplex): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", () => this.destroy());
  },
};

/** Connects as a client of that address; all the listener's rules hold. */
export function connectInProcess(listener: SmtpListener, client: InProcessClient = {}): Duplex {
  const [near, far] = duplexPair();
  const addresses = {
    remoteAddress: "127.0.0.1",
    remotePort: 40_000,
    localAddress: "127.0.0.1",
    localPort: listener.settings.port,
    ...client,
  };
  // Streams of a pair do not close each other; sockets do, and a client's socket answers the end with its own.
  near.once("end", () => near.end());
  near.once("close", () => far.destroy());
  far.once("close", () => {
    if (!near.readableEnded) near.push(null);
  });
  serverOf(listener).server.emit("connection", Object.assign(far, socketMembers, addresses) as unknown as Socket);
  return near;
}
