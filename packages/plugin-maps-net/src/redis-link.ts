/**
 * One connection to Redis by @redis/client, made at once and never again: the library's own reconnecting and its queue for the time
 * without a connection are off, since a lookup must not wait for a server that is away. Commands are pipelined.
 */
import { createClient, ErrorReply, RESP_TYPES, SocketClosedUnexpectedlyError } from "@redis/client";
import type { ConnectionOptions } from "node:tls";
import type { Endpoint } from "./endpoint.ts";
import { ExchangeError, printable } from "./exchange-error.ts";

export interface RedisLogin {
  readonly database: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly tls: Pick<ConnectionOptions, "ca" | "rejectUnauthorized"> | undefined;
}

const binary = { [RESP_TYPES.BLOB_STRING]: Buffer } as const;

function createRedisClient(endpoint: Endpoint, login: RedisLogin, connectTimeout: number) {
  const common = { connectTimeout, reconnectStrategy: false } as const;
  const socket =
    "path" in endpoint
      ? { ...common, tls: false as const, path: endpoint.path }
      : login.tls === undefined
        ? { ...common, host: endpoint.host, port: endpoint.port }
        : { ...common, ...login.tls, tls: true as const, host: endpoint.host, port: endpoint.port };
  return createClient({
    socket,
    database: login.database,
    ...(login.username === undefined ? {} : { username: login.username }),
    ...(login.password === undefined ? {} : { password: login.password }),
    RESP: 2,
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: "disabled",
    // Time is kept by who asks: the library's own timers stop nothing that was written.
    commandOptions: { typeMapping: binary, timeout: 0 },
  });
}

export class RedisLink {
  readonly endpoint: Endpoint;
  /** Answers that came over it. */
  answers = 0;
  readonly #client: ReturnType<typeof createRedisClient>;
  readonly #ready: Promise<unknown>;
  readonly #onEnd: (link: RedisLink) => void;
  readonly #pending = new Set<(error: ExchangeError) => void>();
  #connected = false;
  #ended: ExchangeError | undefined;

  constructor(endpoint: Endpoint, login: RedisLogin, timeoutMs: number, onEnd: (link: RedisLink) => void) {
    this.endpoint = endpoint;
    this.#onEnd = onEnd;
    this.#client = createRedisClient(endpoint, login, timeoutMs);
    // After an answer that it cannot read the library goes on with the next; nobody knows whose that is.
    this.#client.on("error", (error: Error) => this.end(this.#explain(error)));
    this.#ready = this.#client.connect().then(
      () => (this.#connected = true),
      (error: unknown) => this.end(this.#explain(error)),
    );
  }

  get usable(): boolean {
    return this.#ended === undefined;
  }

  /** The raw reply: Buffer, number, null or an array of them. Rejects with `ExchangeError`, and when the link ends at the latest. */
  ask(command: readonly string[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#ended);
        return;
      }
      this.#pending.add(reject);
      this.#send(command).then(
        (reply) => {
          this.#pending.delete(reject);
          this.answers++;
          resolve(reply);
        },
        (error: unknown) => {
          this.#pending.delete(reject);
          if (error instanceof ErrorReply) this.answers++;
          reject(this.#ended ?? this.#explain(error));
        },
      );
    });
  }

  async #send(command: readonly string[]): Promise<unknown> {
    if (!this.#connected) await this.#ready;
    return this.#client.sendCommand([...command]);
  }

  end(error: ExchangeError): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    this.#onEnd(this);
    for (const reject of this.#pending) reject(error);
    this.#pending.clear();
    // It throws when it has ended by itself.
    try {
      this.#client.destroy();
    } catch {
      // Nothing was open any more.
    }
  }

  #explain(error: unknown): ExchangeError {
    if (error instanceof ErrorReply) return denial(error);
    const { message = "no answer", code } = (error ?? {}) as Partial<NodeJS.ErrnoException>;
    const text = `${this.endpoint.text}: ${code ?? printable(message)}`;
    if (!this.#connected) return new ExchangeError("refused", `${text}: cannot be reached`, { cause: error });
    const closed = code !== undefined || error instanceof SocketClosedUnexpectedlyError;
    return closed
      ? new ExchangeError("lost", `${text}: the connection is lost`, { cause: error })
      : new ExchangeError("rubbish", `${text}: this is not Redis`, { cause: error });
  }
}

/** Of the server's errors only one is about the key: a value of another type than the command is for. */
function denial(error: Error): ExchangeError {
  return new ExchangeError("denied", `the server says "${printable(error.message)}"`, {
    cause: error,
    onlyThisKey: error.message.startsWith("WRONGTYPE"),
  });
}
