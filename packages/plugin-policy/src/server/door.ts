/**
 * An address where others ask. It outlives generations: a reload puts the new generation's list behind the same socket, and
 * connections that are kept go on with it. It is closed when the last generation that listened on it is.
 */
import { createServer, type Server, type Socket } from "node:net";
import { createNetworkList, listenOn, PluginError, type Clock } from "@postern/core";
import type { Address } from "../address.ts";
import { Asker } from "./asker.ts";
import type { Attributes } from "./question.ts";

export interface Listening {
  readonly address: Address;
  /** The plugin's instance. */
  readonly plugin: string;
  readonly allow: readonly string[];
  /** Of a unix socket. */
  readonly mode: number;
  readonly connections: number;
  readonly timeoutMs: number;
  readonly idleMs: number;
  readonly clock: Clock;
  /** The action. Never rejects. */
  answer(question: Attributes): Promise<string>;
  /** `matter`: one of a few names. */
  warn(matter: string, text: string): void;
}

/** By gateway and address, within this process. */
const doors = new Map<string, Promise<Door>>();

/** Answers of a door that is closed or handed on are waited for so long. */
const graceMs = 5_000;

export class Door {
  readonly #key: string;
  readonly #server: Server;
  readonly #askers = new Set<Asker>();
  /** The newest generation answers. */
  readonly #held: Listening[] = [];
  readonly #answering = new Map<Listening, Set<Promise<string>>>();

  private constructor(key: string, server: Server) {
    this.#key = key;
    this.#server = server;
    server.on("connection", (socket) => this.#greet(socket));
  }

  /** `gateway`: tells gateways of one process apart. Throws `PluginError`. Give it back with `leave`. */
  static async enter(gateway: string, listening: Listening): Promise<Door> {
    const key = `${gateway}\n${listening.address.text}`;
    let opening = doors.get(key);
    if (opening === undefined) {
      opening = listen(listening).then((server) => new Door(key, server));
      doors.set(key, opening);
    }
    try {
      const door = await opening;
      const other = door.#held.find(({ plugin }) => plugin !== listening.plugin);
      if (other !== undefined) {
        throw new PluginError(listening.plugin, `${listening.address.text} is listened on by plugin ${other.plugin}`);
      }
      door.#held.push(listening);
      return door;
    } catch (error) {
      if (!(error instanceof PluginError)) doors.delete(key);
      if (error instanceof PluginError) throw error;
      const { message } = error as Error;
      throw new PluginError(listening.plugin, `cannot listen on ${listening.address.text}: ${message}`, {
        cause: error,
      });
    }
  }

  /** The port that was taken; `undefined` for a unix socket. */
  get port(): number | undefined {
    const address = this.#server.address();
    return typeof address === "object" ? address?.port : undefined;
  }

  /** Resolves when what this generation was asked is answered; the last one closes the door. */
  async leave(listening: Listening): Promise<void> {
    this.#held.splice(this.#held.indexOf(listening), 1);
    const isLast = this.#held.length === 0;
    if (isLast) {
      doors.delete(this.#key);
      this.#server.close();
      for (const asker of this.#askers) asker.close();
    }
    const open = [...(this.#answering.get(listening) ?? [])];
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = listening.clock.setTimer(resolve, graceMs);
    await Promise.race([Promise.all(open), late]);
    timer.cancel();
    this.#answering.delete(listening);
    if (!isLast) return;
    // The last answers are on their way out in the turn after this one.
    await new Promise((done) => setImmediate(done));
    for (const asker of this.#askers) asker.destroy();
  }

  #greet(socket: Socket): void {
    const listening = this.#held.at(-1);
    if (listening === undefined) {
      socket.destroy();
      return;
    }
    const { address, allow, connections, clock, timeoutMs, idleMs } = listening;
    const from = socket.remoteAddress;
    const refuse = (matter: string, why: string): void => {
      const who = "path" in address ? "" : ` from ${from ?? "a client that is gone"}`;
      listening.warn(matter, `policy server ${address.text}: a connection${who} is closed: ${why}`);
    };
    if (!("path" in address) && !createNetworkList(allow).contains(from)) {
      refuse("allow", "it is not in the networks that may ask");
      socket.destroy();
      return;
    }
    if (this.#askers.size >= connections) {
      refuse("connections", `more than ${connections} are open`);
      socket.destroy();
      return;
    }
    const asker = new Asker(socket, {
      clock,
      timeoutMs,
      idleMs,
      answer: (question) => this.#answer(question),
      refuse: (why) => refuse("question", why),
      onEnd: (ended) => this.#askers.delete(ended),
    });
    this.#askers.add(asker);
  }

  #answer(question: Attributes): Promise<string> {
    const listening = this.#held.at(-1);
    if (listening === undefined) return Promise.resolve("DUNNO");
    let open = this.#answering.get(listening);
    if (open === undefined) this.#answering.set(listening, (open = new Set()));
    const answer = listening.answer(question);
    open.add(answer);
    return answer.finally(() => open.delete(answer));
  }
}

async function listen({ address, mode }: Listening): Promise<Server> {
  // A client that ends its side after its question still gets its answer.
  const server = createServer({ allowHalfOpen: true });
  server.on("error", () => undefined);
  await listenOn(server, address, mode);
  return server;
}
