/**
 * nodemailer's SMTPConnection, which does the handshake of a session: the one file that knows nodemailer, loaded with the first session.
 * The members that are used here are internal there; `outbound-session.test.ts` holds them to it.
 */
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import SMTPConnection from "nodemailer/lib/smtp-connection";
import type { HandshakePhase } from "./outbound-session.ts";

/** Octets of a whole handshake; certificates are not counted. */
const longestHandshake = 262_144;

/** What is used of SMTPConnection 10.6.0 beside its public methods. */
interface Internals {
  _socket: Socket | TLSSocket;
  _ehloLines: string[] | undefined;
  _remainder: string;
  _responseQueue: string[];
  readonly secure: boolean;
  readonly _onSocketData: (chunk: Buffer) => void;
  readonly _onSocketError: (error: Error) => void;
  readonly _onSocketClose: () => void;
  readonly _onSocketEnd: () => void;
  readonly _onSocketTimeout: () => void;
  _onData(chunk: Buffer): void;
  _onError(error: Error, type: string, data: unknown, command: string): void;
  _sendCommand(line: string): void;
  _upgradeConnection(callback: (error?: Error | null, secured?: boolean) => void): void;
  connect(callback: (error?: Error) => void): void;
  close(): void;
  on(event: "error", listener: (error: Error & { response?: string }) => void): void;
  on(event: "end", listener: () => void): void;
}

const Base = SMTPConnection as unknown as new (options: object) => Internals;

export class Handshake extends Base {
  /** Told before each wait, with what is waited for. */
  onPhase: (phase: HandshakePhase, verb: string) => void = () => {};
  #received = 0;

  override _onData(chunk: Buffer): void {
    this.#received += chunk.length;
    if (this.#received > longestHandshake) {
      return this._onError(new Error("the peer talks without end"), "EPROTOCOL", false, "CONN");
    }
    super._onData(chunk);
  }

  override _sendCommand(line: string): void {
    const verb = line.slice(0, 4).toUpperCase();
    this.onPhase(verb === "STAR" ? "tls" : "helo", verb);
    super._sendCommand(line);
  }

  override _upgradeConnection(callback: (error?: Error | null, secured?: boolean) => void): void {
    this.onPhase("tls", "TLS");
    super._upgradeConnection(callback);
  }
}
