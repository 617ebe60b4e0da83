/** The way to the client, as a dialogue has it. */
import type { MaybePromise, Session } from "../model/index.ts";
import type { Receiver } from "./command-stream.ts";

/** Replies gather until `flush`. */
export interface Wire {
  write(text: string): void;
  /** A promise asks to wait: the client does not read. */
  flush(): MaybePromise<void>;
  /** Sends what has gathered and ends the connection; takes in for a while what the client still sends, so that it can read why. */
  hangUp(): void;
  /** As `hangUp`, for a client that has said QUIT: nothing more is to come, and nothing is waited for. */
  part(): void;
  /** The next octets are a message's. */
  receive(receiver: Receiver): void;
  /** Sends what has gathered, drops what the client has sent, and begins TLS; `begun` when the handshake is done. */
  startTls(begun: (tls: Session["tls"]) => MaybePromise<void>): void;
}
