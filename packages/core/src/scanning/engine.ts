/**
 * One scanner as the gateway keeps it: a breaker that spares a dead engine, and counts of what it said. Only `down` and `timeout` speak of the
 * engine; every other failure speaks of one message.
 */
import { ScannerFailure, type FailureReason } from "../errors.ts";
import { Breaker, type Turn } from "../guard/breaker.ts";
import { Failed, type Guard } from "../guard/guard.ts";
import type { Owner } from "../guard/owner.ts";
import { logText } from "../model/log-text.ts";
import type { Clock } from "../model/clock.ts";
import type { ScanAuthor } from "../policy/index.ts";
import type { Finding } from "./finding.ts";
import type { OwnedScanner } from "./registration.ts";
import type { Scanner } from "./scanner.ts";

/** `marked`: taken, with effects, edits or an answer by recipient. `calledOff`: nobody needed the answer any more. */
export type ScanCount = "clean" | "marked" | "quarantine" | "discard" | "defer" | "reject" | "calledOff";

/** Since its generation began. */
export interface ScannerStatus {
  readonly plugin: string;
  /** As the scanner says it now. */
  readonly description: string;
  /** `spared`: not asked after failures in a row, but for one message now and then that sees whether it is back. */
  readonly state: "asked" | "spared";
  readonly verdicts: Readonly<Partial<Record<ScanCount, number>>>;
  readonly failures: Readonly<Partial<Record<FailureReason, number>>>;
}

export interface EngineParts {
  readonly guard: Guard;
  readonly clock: Clock;
  readonly warn: (plugin: string, text: string) => void;
}

/** An engine's turn with one message. */
export type ScanTurn = Exclude<Turn, "refuse"> | Failed;

export class Engine {
  readonly scanner: Scanner;
  readonly owner: Owner;
  /** For the log: what was called. */
  readonly point: string;
  /** For the log: who answered. */
  readonly author: ScanAuthor;
  readonly #parts: EngineParts;
  readonly #breaker = new Breaker();
  readonly #verdicts: Partial<Record<ScanCount, number>> = {};
  readonly #failures: Partial<Record<FailureReason, number>> = {};
  /** Why the breaker opened, or stays open. */
  #lastReason: FailureReason = "down";

  constructor({ scanner, owner }: OwnedScanner, parts: EngineParts) {
    this.scanner = scanner;
    this.owner = owner;
    this.point = `scanner ${scanner.name}`;
    this.author = { scanner: scanner.name, plugin: owner.name };
    this.#parts = parts;
  }

  get isSpared(): boolean {
    return this.#breaker.isOpen;
  }

  /** May it be asked? A failure at once while it is spared, for which its declared policy stands. */
  ask(): ScanTurn {
    const turn = this.#breaker.ask(this.#parts.clock.monotonic());
    if (turn !== "refuse") return turn;
    const failed = this.#parts.guard.fail(
      this.owner,
      this.point,
      new ScannerFailure(this.#lastReason, `not asked after ${this.#breaker.failures} failures in a row`),
    );
    this.#count(this.#failures, failed.reason);
    return failed;
  }

  /** How a scan ended. */
  ended(turn: Exclude<Turn, "refuse">, result: Finding | Failed): void {
    const now = this.#parts.clock.monotonic();
    if (!(result instanceof Failed)) {
      this.#count(this.#verdicts, verdictOf(result));
      const openMs = this.#breaker.succeeded(now);
      if (openMs !== undefined) this.#warn(`answers again after ${Math.round(openMs / 1000)} s`);
      return;
    }
    const { reason, error } = result;
    this.#count(this.#failures, reason);
    if (reason !== "down" && reason !== "timeout") return this.#breaker.abandoned(turn);
    this.#lastReason = reason;
    if (!this.#breaker.failed(turn, now)) return;
    const seconds = Math.ceil(this.#breaker.waitMs(now) / 1000);
    const why = logText(error instanceof Error ? error.message : error, 300);
    this.#warn(`${this.#breaker.failures} failures in a row, no longer asked; next try in ${seconds} s (${why})`);
  }

  /** Nobody waits for the answer any more: it says nothing. */
  calledOff(turn: Exclude<Turn, "refuse">): void {
    this.#count(this.#verdicts, "calledOff");
    this.#breaker.abandoned(turn);
  }

  status(): ScannerStatus {
    return {
      plugin: this.owner.name,
      description: logText(this.#describe(), 200),
      state: this.isSpared ? "spared" : "asked",
      verdicts: { ...this.#verdicts },
      failures: { ...this.#failures },
    };
  }

  #describe(): unknown {
    try {
      return this.scanner.description;
    } catch {
      return "";
    }
  }

  #count<Key extends string>(counts: Partial<Record<Key, number>>, key: Key): void {
    counts[key] = (counts[key] ?? 0) + 1;
  }

  #warn(text: string): void {
    this.#parts.warn(this.owner.name, `${this.point}: ${text}`);
  }
}

function verdictOf({ objection, effects, edits, recipients }: Finding): ScanCount {
  if (objection !== undefined) return objection.kind;
  for (const kind of ["discard", "quarantine"] as const) {
    if (effects.some((effect) => effect.kind === kind)) return kind;
  }
  return effects.length > 0 || edits.length > 0 || recipients !== undefined ? "marked" : "clean";
}
