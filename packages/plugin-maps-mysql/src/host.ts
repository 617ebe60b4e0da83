/** What is known of one server. */
import type { HostAddress } from "./hosts.ts";

export class Host {
  readonly address: HostAddress;
  /** Open connections. */
  sessions = 0;
  /** Connections on their way. */
  opening = 0;
  /** Monotonic; `undefined` while nothing is known against it. */
  failedAt: number | undefined;
  /** When it answered last, monotonic. */
  answeredAt = -Infinity;
  /** It takes no more connections than it has, until then. */
  fullUntil = -Infinity;
  /** Why it failed, for the log. */
  why = "";

  constructor(address: HostAddress) {
    this.address = address;
  }

  fail(now: number, why: string): void {
    this.failedAt = now;
    this.why = why;
  }
}

/** All servers of one pool. */
export class Hosts {
  readonly all: readonly Host[];
  readonly #retryMs: number;
  readonly #random: () => number;

  constructor(addresses: readonly HostAddress[], retryMs: number, random: () => number) {
    this.all = addresses.map((address) => new Host(address));
    this.#retryMs = retryMs;
    this.#random = random;
  }

  /**
   * Where a connection may be opened now: unix sockets first, among equals any one. A host that never answered, or not since it
   * failed, gets one connection at a time, so that a dead one does not take the whole pool with it.
   */
  pick(now: number, tried: ReadonlySet<Host> | undefined): Host | undefined {
    const fit = this.all.filter(
      (host) =>
        tried?.has(host) !== true &&
        this.#mayTry(host, now) &&
        now >= host.fullUntil &&
        (host.sessions > 0 || host.opening === 0),
    );
    const unix = fit.filter(({ address }) => address.kind === "unix");
    const choice = unix.length > 0 ? unix : fit;
    return choice[Math.floor(this.#random() * choice.length)];
  }

  /** A failed host rests for `retry_interval` while another is up. The only one, or when all are down, is asked again soon. */
  #mayTry(host: Host, now: number): boolean {
    if (host.failedAt === undefined || this.all.length === 1) return true;
    const anotherIsUp = this.all.some(({ failedAt }) => failedAt === undefined);
    return now - host.failedAt >= (anotherIsUp ? this.#retryMs : Math.min(this.#retryMs, allDownMs));
  }

  /** For the log: what is wrong with each. */
  describe(): string {
    return this.all.map(({ address, why }) => `${address.text}: ${why === "" ? "not asked" : why}`).join("; ");
  }
}

const allDownMs = 1000;
