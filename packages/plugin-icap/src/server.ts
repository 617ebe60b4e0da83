/** One ICAP service: what it says of itself, its connections kept for reuse, and no more scans at once than it allows. */
import { ScannerFailure, Slots, type Clock, type Timer } from "@postern/core";
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

/** Servers have a thread for each connection: one that has nothing to do is not kept for long. */
const longestRestMs = 5_000;

export class IcapServer {
  readonly address: IcapAddress;
  readonly #settings: ServerSettings;
  /** By the timer that will close them; the one that rested last is the last. */
  readonly #idle = new Map<Connection, Timer>();
  readonly #slots: Slots;
  readonly #ending = new AbortController();
  #options: { readonly known: ServiceOptions; readonly until: number } | undefined;
  #asking: Promise<ServiceOptions> | undefined;

  constructor(address: IcapAddress, settings: ServerSettings) {
    this.address = address;
    this.#settings = settings;
    this.#slots = new Slots(settings.connections);
  }

  /** The name of what was found. Rejects with `ScannerFailure`. */
  async scan(
    item: Item,
    compose: (address: IcapAddress, preview: number | undefined) => string,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const options = await untilAborted(this.options(), signal);
    const ask = (connection: Connection) =>
      exchange(connection, options, this.#settings.method, item, (preview) => compose(this.address, preview));
    const { found, istag } = await this.#slots.run(signal, () => this.#talk(signal, ask));
    // Another configuration: what it said of itself is old.
    if (istag !== undefined && options.istag !== undefined && istag !== options.istag) this.#options = undefined;
    return found;
  }

  /** What the service says of itself, asked again when it is old; several ask once. Rejects with `ScannerFailure`. */
  options(): Promise<ServiceOptions> {
    const { clock, connections, method } = this.#settings;
    if (this.#options !== undefined && clock.monotonic() < this.#options.until) {
      return Promise.resolve(this.#options.known);
    }
    this.#asking ??= this.#talk(this.#ending.signal, (connection) => askOptions(connection, this.address, method))
      .then(({ options: known }) => {
        this.#options = { known, until: clock.monotonic() + known.ttlMs };
        this.#slots.resize(Math.min(connections, known.maxConnections));
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
    const onClose = (): void => {
      this.#idle.get(connection)?.cancel();
      this.#idle.delete(connection);
    };
    connection.onClose = onClose;
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
