/** One ICAP service: what it says of itself, its connections kept for reuse, and no more scans at once than it allows. */
import { ScannerFailure, type Clock, type Timer } from "@postern/core";
import type { IcapAddress } from "./address.ts";
import { Connection, type Patience } from "./connection.ts";
import { askOptions, exchange } from "./exchange.ts";
import { fault } from "./fault.ts";
import type { Item } from "./item.ts";
import type { Method } from "./request.ts";
import type { ServiceOptions } from "./service-options.ts";

export interface ServerSettings {
  readonly method: Method;
  /** Scans at once; the service may allow fewer. */
  readonly connections: number;
  readonly patience: Patience;
  readonly clock: Clock;
}

/** Scans in line; more say that the service has been too slow for long. */
const longestLine = 1_000;
/** Servers have a thread for each connection: one that has nothing to do is not kept for long. */
const longestRestMs = 5_000;

export class IcapServer {
  readonly address: IcapAddress;
  readonly #settings: ServerSettings;
  /** By the timer that will close them; the one that rested last is the last. */
  readonly #idle = new Map<Connection, Timer>();
  readonly #line = new Set<() => void>();
  readonly #ending = new AbortController();
  #busy = 0;
  #options: { readonly known: ServiceOptions; readonly until: number } | undefined;
  #asking: Promise<ServiceOptions> | undefined;
  /** It failed a moment ago: others are asked first. Monotonic. */
  restsUntil = 0;

  constructor(address: IcapAddress, settings: ServerSettings) {
    this.address = address;
    this.#settings = settings;
  }

  /** The name of what was found. Rejects with `ScannerFailure`. */
  async scan(
    item: Item,
    compose: (address: IcapAddress, preview: number | undefined) => string,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const options = await untilAborted(this.options(), signal);
    await this.#enter(signal, options);
    try {
      const ask = (connection: Connection) =>
        exchange(connection, options, this.#settings.method, item, (preview) => compose(this.address, preview));
      const { found, istag } = await this.#talk(signal, ask);
      // Another configuration: what it said of itself is old.
      if (istag !== undefined && options.istag !== undefined && istag !== options.istag) this.#options = undefined;
      return found;
    } finally {
      this.#leave();
    }
  }

  /** What the service says of itself, asked again when it is old; several ask once. Rejects with `ScannerFailure`. */
  options(): Promise<ServiceOptions> {
    const { clock, method } = this.#settings;
    if (this.#options !== undefined && clock.monotonic() < this.#options.until) {
      return Promise.resolve(this.#options.known);
    }
    this.#asking ??= this.#talk(this.#ending.signal, (connection) => askOptions(connection, this.address, method))
      .then(({ options: known }) => {
        this.#options = { known, until: clock.monotonic() + known.ttlMs };
        return known;
      })
      .finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  close(): void {
    this.#ending.abort();
    for (const connection of this.#idle.keys()) connection.close();
  }

  async #talk<T extends { readonly reusable: boolean }>(
    signal: AbortSignal,
    ask: (connection: Connection) => Promise<T>,
  ): Promise<T> {
    for (;;) {
      const kept = this.#takeIdle();
      const { patience, clock } = this.#settings;
      const connection = kept ?? (await Connection.open(this.address, patience, signal, clock));
      connection.use(signal);
      try {
        const answer = await ask(connection);
        if (answer.reusable) this.#keep(connection);
        else connection.close();
        return answer;
      } catch (error) {
        const { heard } = connection;
        connection.close();
        // A kept connection that the server closed meanwhile says nothing of the server: the next one, or a new one.
        const stale = kept !== undefined && !heard && error instanceof ScannerFailure && error.reason === "down";
        if (stale && !signal.aborted) continue;
        throw error instanceof ScannerFailure ? error : fault(String(error));
      }
    }
  }

  #takeIdle(): Connection | undefined {
    const connection = [...this.#idle.keys()].at(-1);
    if (connection === undefined) return undefined;
    connection.onClose?.();
    connection.onClose = undefined;
    return connection;
  }

  #keep(connection: Connection): void {
    if (!connection.rest()) return;
    if (this.#ending.signal.aborted) return connection.close();
    this.#idle.set(
      connection,
      this.#settings.clock.setTimer(() => connection.close(), longestRestMs),
    );
    connection.onClose = () => {
      this.#idle.get(connection)?.cancel();
      this.#idle.delete(connection);
    };
  }

  #enter(signal: AbortSignal, { maxConnections }: ServiceOptions): Promise<void> | undefined {
    if (this.#busy < Math.min(this.#settings.connections, maxConnections)) {
      this.#busy += 1;
      return undefined;
    }
    if (this.#line.size >= longestLine) {
      return Promise.reject(new ScannerFailure("down", "ICAP: too many scans wait for the service"));
    }
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#line.delete(go);
        reject(new ScannerFailure("timeout", "called off while waiting for other scans"));
      };
      const go = (): void => {
        this.#line.delete(go);
        signal.removeEventListener("abort", leave);
        resolve();
      };
      if (signal.aborted) return leave();
      signal.addEventListener("abort", leave, { once: true });
      this.#line.add(go);
    });
  }

  /** A place passes from one scan to the next in line without ever being free. */
  #leave(): void {
    const [next] = this.#line;
    if (next === undefined) this.#busy -= 1;
    else next();
  }
}

function untilAborted<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = (): void => reject(new ScannerFailure("timeout", "called off"));
    if (signal.aborted) leave();
    signal.addEventListener("abort", leave, { once: true });
    void answer.then(resolve, reject).finally(() => signal.removeEventListener("abort", leave));
  });
}
