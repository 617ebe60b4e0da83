/** One clamd: how many scans it gets at once, its sessions, whether it lives, and what it says of itself. */
import { ScannerFailure, Slots, type Blob, type Clock, type FailureReason, type SocketAddress } from "@postern/core";
import { Instream, scanBlob } from "./instream.ts";
import { findStreamMax } from "./stream-max.ts";
import { createSessions, type Sessions } from "./sessions.ts";
import type { Session } from "./session.ts";

/** After a failure it is not asked for so long, as long as another one is; doubled each time, up to the longest. */
const firstPauseMs = 1_000;
const longestPauseMs = 30_000;
/** Its database changes a few times a day. */
const versionMs = 10 * 60_000;

export interface DaemonOptions {
  /** As in the config. */
  readonly name: string;
  readonly address: SocketAddress;
  /** Scans at once. */
  readonly connections: number;
  /** A clamd that does not answer PING within this hangs. */
  readonly pingMs: number;
  readonly clock: Clock;
}

export class Daemon {
  readonly name: string;
  /** "ClamAV 1.4.6/27400/Mon Jul  7 08:30:00 2025", once it has said so. */
  version: string | undefined;
  /** What it takes in one stream, once that is known. */
  streamMaxBytes: number | undefined;
  readonly #slots: Slots;
  readonly #sessions: Sessions;
  readonly #address: SocketAddress;
  readonly #clock: Clock;
  readonly #pingMs: number;
  readonly #connections: number;
  readonly #open = new Set<Session>();
  /** Open ones of messages that still arrive, or whose answer is not here yet. */
  #streams = 0;
  #pauseMs = 0;
  #pausedUntil = 0;
  #versionAt: number | undefined;
  #wantedBytes = Infinity;
  #asking: Promise<boolean> | undefined;
  #trouble: unknown;
  #refreshing = false;
  #closed = false;

  constructor({ name, address, connections, pingMs, clock }: DaemonOptions) {
    this.name = name;
    this.#address = address;
    this.#slots = new Slots(connections);
    this.#sessions = createSessions(address, clock);
    this.#connections = connections;
    this.#pingMs = pingMs;
    this.#clock = clock;
  }

  /** Nothing is known against it. */
  get healthy(): boolean {
    return this.#pauseMs === 0;
  }

  get free(): number {
    return this.#slots.free;
  }

  takes(sizeBytes: number): boolean {
    return this.streamMaxBytes === undefined || sizeBytes <= this.streamMaxBytes;
  }

  /** The name of what it found, `undefined`: clean. Rejects with `ScannerFailure`. */
  async scan(content: Blob, signal: AbortSignal): Promise<string | undefined> {
    const waiting = this.#slots.enter(signal);
    if (waiting !== undefined) await waiting;
    try {
      // It may have been called off, or the gateway closed, since it was let in.
      if (this.#closed || signal.aborted) throw new ScannerFailure(signal.aborted ? "timeout" : "down", "called off");
      const session = this.#sessions.take();
      const reused = session.answered > 0;
      try {
        return await this.#scanOver(session, content, signal);
      } catch (error) {
        // Closed, or timed out, just when it was used again: that says nothing about the message or about clamd.
        if (!reused || this.#closed || signal.aborted || !(hasReason(error, "down") || hasReason(error, "timeout")))
          throw error;
      }
      return await this.#scanOver(this.#sessions.open(), content, signal);
    } catch (error) {
      if (hasReason(error, "down")) this.#pause();
      throw error;
    } finally {
      this.#slots.leave();
      this.refresh();
    }
  }

  /**
   * A stream of its own, to be ended or abandoned; `undefined` when it must not be had now. Of all connections a quarter at most, and one of two or three,
   * goes to messages that still arrive, and only while half of them are free: how long such a message takes is its sender's to say, and strangers who send
   * slowly together must leave clamd to the messages that are complete. Who gets none loses a head start and no more.
   */
  openStream(signal: AbortSignal, onOver: () => unknown): OpenStream | undefined {
    if (!this.healthy || this.#closed || signal.aborted) return undefined;
    const most = Math.max(1, Math.floor(this.#connections / 4));
    if (this.#connections === 1 || this.#streams >= most || this.#slots.free <= this.#connections / 2) return undefined;
    void this.#slots.enter(signal);
    this.#streams += 1;
    const session = this.#sessions.take();
    this.#open.add(session);
    let left = false;
    const leave = (): void => {
      if (left) return;
      left = true;
      this.#streams -= 1;
      this.#open.delete(session);
      this.#sessions.giveBack(session);
      this.#slots.leave();
    };
    const abandon = (): void => {
      if (!left) session.destroy(new ScannerFailure("down", "the stream was given up"));
      leave();
    };
    const stream = new Instream(session, onOver);
    return {
      abandon,
      write: (chunk) => stream.write(chunk),
      async end() {
        try {
          const found = await stream.end();
          leave();
          return found;
        } catch (error) {
          abandon();
          throw error;
        }
      },
    };
  }

  /** PING and VERSION, one at a time: does it live? It is asked for its version again when that is old, and for life after a pause. */
  ask(): Promise<boolean> {
    return (this.#asking ??= this.#ask().finally(() => (this.#asking = undefined)));
  }

  /** Rejects with why it does not answer. */
  async reach(): Promise<void> {
    if (!(await this.ask())) throw this.#trouble;
  }

  /**
   * What it takes in one stream, so far as it is less than `wantedBytes`: then `streamMaxBytes`. It is not told by any command, but a length
   * above it is refused before the octets are there. Rejects with `ScannerFailure` when it cannot be asked.
   */
  async measure(wantedBytes: number): Promise<void> {
    this.#wantedBytes = wantedBytes;
    const isOver = (): boolean => this.#closed;
    this.streamMaxBytes = await findStreamMax(this.#address, wantedBytes, this.#clock, this.#pingMs, isOver);
  }

  /** In the background, when it is time: a clamd that was started again may take more than it did. */
  refresh(): void {
    const now = this.#clock.monotonic();
    const due = this.healthy ? now - (this.#versionAt ?? now) > versionMs : now >= this.#pausedUntil;
    if (!due || this.#refreshing) return;
    this.#refreshing = true;
    void this.#refresh().finally(() => (this.#refreshing = false));
  }

  close(): void {
    this.#closed = true;
    this.#sessions.close();
    for (const session of this.#open) session.destroy(new ScannerFailure("down", "the gateway closes"));
  }

  async #refresh(): Promise<void> {
    if (!(await this.ask()) || this.streamMaxBytes === undefined) return;
    try {
      await this.measure(this.#wantedBytes);
    } catch {
      this.streamMaxBytes = undefined; // it will say itself what is too large
    }
  }

  async #ask(): Promise<boolean> {
    this.#trouble = new ScannerFailure("down", "the gateway closes");
    if (this.#closed) return false;
    const session = this.#sessions.open();
    this.#open.add(session);
    const timer = this.#clock.setTimer(
      () => session.destroy(new ScannerFailure("timeout", "clamd does not answer PING")),
      this.#pingMs,
    );
    try {
      if ((await session.begin("PING")) !== "PONG") throw new ScannerFailure("error", "clamd does not know PING");
      this.version = (await session.begin("VERSION")).replace(/[^\x20-\x7e]+/g, "?").slice(0, 128);
      this.#versionAt = this.#clock.monotonic();
      this.#pauseMs = 0;
      return true;
    } catch (error) {
      this.#trouble = error;
      this.#pause();
      this.#versionAt = -Infinity; // whatever comes back may be another
      return false;
    } finally {
      timer.cancel();
      this.#open.delete(session);
      session.destroy(new ScannerFailure("down", "asked"));
    }
  }

  #scanOver(session: Session, content: Blob, signal: AbortSignal): Promise<string | undefined> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        this.#open.delete(session);
        signal.removeEventListener("abort", callOff);
      };
      const fail = (error: unknown): void => {
        end();
        const failure =
          error instanceof ScannerFailure ? error : new ScannerFailure("error", String(error), { cause: error });
        // What a failed command left on its connection is nobody's to read.
        session.destroy(failure);
        reject(failure);
      };
      const callOff = (): void => fail(new ScannerFailure("timeout", "called off"));
      this.#open.add(session);
      signal.addEventListener("abort", callOff, { once: true });
      scanBlob(session, content).then((found) => {
        end();
        this.#sessions.giveBack(session);
        this.#pauseMs = 0;
        resolve(found);
      }, fail);
    });
  }

  #pause(): void {
    // Of many scans that fail together the first counts.
    if (this.#pauseMs > 0 && this.#clock.monotonic() < this.#pausedUntil) return;
    this.#pauseMs = Math.min(longestPauseMs, this.#pauseMs === 0 ? firstPauseMs : this.#pauseMs * 2);
    this.#pausedUntil = this.#clock.monotonic() + this.#pauseMs;
  }
}

/** What a message that is still arriving is written to. */
export interface OpenStream extends Pick<Instream, "write" | "end"> {
  /** Idempotent, and after `end` without effect. */
  abandon(): void;
}

function hasReason(error: unknown, reason: FailureReason): boolean {
  return error instanceof ScannerFailure && error.reason === reason;
}
