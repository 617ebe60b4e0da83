/**
 * A file that is read whole and followed: a new version takes the place of the old one in one step, within a second of its
 * last change; one that cannot be read or is broken is told once, and the old one stays. By asking for the file's state
 * again and again, not by the kernel's notices: those do not come from network file systems and lose the file when it is
 * replaced.
 */
import { stat } from "node:fs/promises";
import { ConfigError, TableUnavailable, type Clock, type TableScope, type Timer } from "@postern/core";
import { BrokenFile, TornRead, whyUnreadable } from "./broken-file.ts";

/** Two of these and the reading make "within a second". */
export const pollMs = 300;

/** A reading that failed in the system, not in the file, is tried again after so long even when the file did not change. */
const retryMs = 5_000;

/** A file younger than this may change again without a new time stamp: the kernel's clock ticks every 1 to 10 ms. */
const hotMs = 50;

/** A file that is never the same at two polls is complained about after so long. */
const restlessMs = 10_000;

/** How often an opening reads a file that changes meanwhile. */
const openAttempts = 20;

export interface FollowOptions<T> {
  readonly path: string;
  /** "hash:./virtual", for errors and warnings. */
  readonly label: string;
  readonly scope: Pick<TableScope, "clock" | "warn">;
  /** Reads the file. Throws `BrokenFile`, `TornRead`, an error of the system, or a `ConfigError` that names the file. */
  load(): Promise<T>;
  /** true: a version is read only when it stood unchanged for one poll, because a half-written one looks like a whole one. */
  readonly settles: boolean;
  /** Frees a version that was replaced. */
  free?(old: T): void;
}

export class FollowedFile<T> {
  readonly #options: FollowOptions<T>;
  readonly #clock: Clock;
  #current: { readonly value: T } | undefined;
  /** The state of the file that was read last, for better or worse. */
  #tried: string | undefined;
  /** The state at the last poll, when it was neither read nor the one in use. */
  #seen: string | undefined;
  #restlessSince: number | undefined;
  #retryAt = Infinity;
  /** The complaint that was made last; none while all is well. */
  #complaint: string | undefined;
  #timer: Timer | undefined;
  #polling: Promise<void> | undefined;
  #closed = false;

  private constructor(options: FollowOptions<T>, value: T, tried: string | undefined) {
    this.#options = options;
    this.#clock = options.scope.clock;
    this.#current = { value };
    this.#tried = tried;
    this.#wait();
  }

  /** Throws `ConfigError` when there is no first version. */
  static async open<T>(options: FollowOptions<T>): Promise<FollowedFile<T>> {
    const { clock } = options.scope;
    for (let attempt = 1; ; attempt++) {
      const state = await stateOf(options.path, clock);
      try {
        const value = await options.load();
        return new FollowedFile(options, value, state.hot ? undefined : state.text);
      } catch (error) {
        if (!(error instanceof TornRead) || attempt === openAttempts) {
          throw error instanceof ConfigError ? error : new ConfigError(describe(options, error), { cause: error });
        }
        await new Promise<void>((resolve) => clock.setTimer(resolve, 50));
      }
    }
  }

  /** The version in use. Throws `TableUnavailable` after close(). */
  get current(): T {
    if (this.#current === undefined) throw new TableUnavailable(this.#options.label, "it is closed");
    return this.#current.value;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#polling;
    if (this.#current !== undefined) this.#options.free?.(this.#current.value);
    this.#current = undefined;
  }

  #wait(): void {
    if (this.#closed) return;
    this.#timer = this.#clock.setTimer(() => {
      this.#polling = this.#poll().finally(() => this.#wait());
    }, pollMs);
  }

  /** Never rejects. */
  async #poll(): Promise<void> {
    const state = await stateOf(this.#options.path, this.#clock);
    const before = this.#seen;
    this.#seen = state.text;
    if (state.text === this.#tried && this.#clock.monotonic() < this.#retryAt) {
      this.#restlessSince = undefined;
      return;
    }
    // An editor takes the old file away before the new one is there: a file that is gone is gone only the second time.
    if ((this.#options.settles || state.failed) && state.text !== before) return this.#complainOfRestlessness();
    this.#restlessSince = undefined;
    await this.#read(state);
  }

  async #read(state: FileState): Promise<void> {
    const options = this.#options;
    this.#tried = state.hot ? undefined : state.text;
    this.#retryAt = Infinity;
    let value: T;
    try {
      value = await options.load();
    } catch (error) {
      if (error instanceof TornRead) {
        this.#tried = undefined;
        return this.#complainOfRestlessness();
      }
      if (!(error instanceof BrokenFile)) this.#retryAt = this.#clock.monotonic() + retryMs;
      this.#complain(describe(options, error));
      return;
    }
    if (this.#closed) {
      options.free?.(value);
      return;
    }
    const old = this.#current;
    this.#current = { value };
    if (old !== undefined) options.free?.(old.value);
    if (this.#complaint === undefined) return;
    this.#complaint = undefined;
    options.scope.warn(`table ${options.label}: ${options.path}: it is sound again, and in use`);
  }

  #complainOfRestlessness(): void {
    const now = this.#clock.monotonic();
    this.#restlessSince ??= now;
    if (now - this.#restlessSince < restlessMs) return;
    this.#complain(describe(this.#options, new TornRead()));
  }

  #complain(why: string): void {
    if (this.#complaint === why) return;
    this.#complaint = why;
    this.#options.scope.warn(`${why}; what was read before stays in use`);
  }
}

interface FileState {
  /** Equal for equal versions. */
  readonly text: string;
  readonly failed: boolean;
  readonly hot: boolean;
}

async function stateOf(path: string, clock: Clock): Promise<FileState> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    // The time of the inode too: a copy may keep its source's time, and a changed mode makes a file readable.
    const text = `${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`;
    return { text, failed: false, hot: Math.abs(clock.now() - Number(ctimeNs / 1_000_000n)) < hotMs };
  } catch (error) {
    return { text: String((error as NodeJS.ErrnoException).code), failed: true, hot: false };
  }
}

function describe({ label, path }: FollowOptions<unknown>, error: unknown): string {
  return error instanceof ConfigError ? error.message : `table ${label}: ${path}: ${whyUnreadable(error)}`;
}
