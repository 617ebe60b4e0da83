/** One milter of the config: how it is reached, a breaker that spares it when it is dead, connections that wait for their next session. */
import { Breaker, ScannerFailure, type Clock, type OnError, type Timer, type Turn } from "@postern/core";
import { encodeCommand, type Terms } from "../protocol/index.ts";
import type { MilterAddress } from "./address.ts";
import { MilterConnection } from "./connection.ts";
import type { MacroBook } from "./macros.ts";
import { negotiate, offer, type Agreement } from "./negotiation.ts";
import { down } from "./trouble.ts";

export interface MilterSettings {
  /** In headers and in the log. */
  readonly name: string;
  readonly address: MilterAddress;
  readonly onError: OnError;
  readonly connectTimeoutMs: number;
  readonly commandTimeoutMs: number;
  readonly contentTimeoutMs: number;
  readonly version: number;
  readonly largePackets: boolean;
  readonly reuse: boolean;
  /** Connections that wait for a session at most, and for how long. */
  readonly idleConnections: number;
  readonly maxIdleMs: number;
}

/** A connection whose terms are known. */
export interface Line {
  readonly connection: MilterConnection;
  readonly agreement: Agreement;
  /** It has served a session before: the milter may have closed it in the meantime. */
  readonly isUsed: boolean;
  readonly turn: Exclude<Turn, "refuse">;
}

interface Idle {
  readonly connection: MilterConnection;
  readonly agreement: Agreement;
  readonly timer: Timer;
}

export class Milter {
  readonly settings: MilterSettings;
  readonly macros: MacroBook;
  readonly clock: Clock;
  /** What it agreed to last: tells whether a command is worth a connection. */
  agreement: Agreement | undefined;
  readonly #offered: Terms;
  readonly #breaker = new Breaker();
  readonly #idle: Idle[] = [];
  /** All that are open, so that none stays. */
  readonly #open = new Set<MilterConnection>();
  #isClosed = false;
  #lastReason: ScannerFailure["reason"] = "down";

  constructor(settings: MilterSettings, macros: MacroBook, clock: Clock) {
    this.settings = settings;
    this.macros = macros;
    this.clock = clock;
    this.#offered = offer(settings.version, settings.largePackets);
  }

  get openConnections(): number {
    return this.#open.size;
  }

  /** Rejects with `ScannerFailure`; such a failure has been counted for the breaker. */
  async open(fresh = false): Promise<Line> {
    const turn = this.#breaker.ask(this.clock.monotonic());
    if (turn === "refuse" || this.#isClosed) {
      throw new ScannerFailure(this.#lastReason, `not asked after ${this.#breaker.failures} failures in a row`);
    }
    const idle = fresh ? undefined : this.#takeIdle();
    if (idle !== undefined) return { ...idle, isUsed: true, turn };
    const { address, connectTimeoutMs, commandTimeoutMs } = this.settings;
    try {
      const connection = await MilterConnection.open(address, this.clock, connectTimeoutMs);
      if (this.#isClosed) connection.destroy();
      this.#open.add(connection);
      const onClose = (): void => void this.#open.delete(connection);
      connection.onClose = onClose;
      const agreement = await negotiate(connection, this.#offered, commandTimeoutMs);
      this.agreement = agreement;
      return { connection, agreement, isUsed: false, turn };
    } catch (error) {
      this.failed(turn, error);
      throw error;
    }
  }

  /** Has answered a command. */
  answered(): void {
    this.#breaker.succeeded(this.clock.monotonic());
  }

  failed(turn: Exclude<Turn, "refuse">, error: unknown): void {
    if (error instanceof ScannerFailure && (error.reason === "down" || error.reason === "timeout")) {
      this.#lastReason = error.reason;
      this.#breaker.failed(turn, this.clock.monotonic());
    } else this.#breaker.abandoned(turn);
  }

  abandoned(turn: Exclude<Turn, "refuse">): void {
    this.#breaker.abandoned(turn);
  }

  /** The end of a session over a connection; `isClean`: no response is owed. */
  release(
    { connection, agreement }: Pick<Line, "connection" | "agreement">,
    lastWords: readonly Uint8Array[],
    isClean: boolean,
  ): void {
    const { reuse, idleConnections, maxIdleMs } = this.settings;
    const isKept =
      reuse &&
      !this.#isClosed &&
      agreement.version >= 6 &&
      isClean &&
      connection.isInStep &&
      this.#idle.length < idleConnections;
    if (!isKept) return connection.part([...lastWords, quit]);
    connection.write([...lastWords, quitSession]);
    const idle: Idle = {
      connection,
      agreement,
      timer: this.clock.setTimer(() => connection.part([quit]), maxIdleMs),
    };
    const onEnd = (): void => {
      this.#forget(idle);
      connection.destroy();
    };
    connection.onEnd = onEnd;
    this.#idle.push(idle);
  }

  close(): void {
    this.#isClosed = true;
    for (const connection of this.#open) connection.destroy(down("the gateway is going down"));
  }

  #takeIdle(): Pick<Idle, "connection" | "agreement"> | undefined {
    for (;;) {
      const idle = this.#idle.at(-1);
      if (idle === undefined) return undefined;
      this.#forget(idle);
      if (idle.connection.isInStep) return idle;
      idle.connection.destroy();
    }
  }

  #forget(idle: Idle): void {
    idle.timer.cancel();
    idle.connection.onEnd = undefined;
    const at = this.#idle.indexOf(idle);
    if (at >= 0) this.#idle.splice(at, 1);
  }
}

const quit = encodeCommand({ kind: "quit" });
const quitSession = encodeCommand({ kind: "quitSession" });
