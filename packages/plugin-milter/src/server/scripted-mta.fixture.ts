// A mail server that says what it is told to, and a milter server on real plugins of the test's own.
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import {
  createConversations,
  createMemoryStateStore,
  definePlugin,
  resolveConfig,
  systemClock,
  type Gateway,
} from "@postern/core";
import { instantiate } from "@postern/testkit";
import { z } from "zod";
import {
  allActions,
  allSteps,
  decodeResponse,
  encodeCommand,
  PacketReader,
  type Command,
  type Response,
  type Terms,
} from "../protocol/index.ts";
import { createMilterServer, type MilterServerOptions } from "./milter-server.ts";

export interface ServedPlugin extends AsyncDisposable {
  readonly log: readonly string[];
  /** A connection. */
  open(): Mta;
  close(graceMs?: number): Promise<void>;
}

export async function serve(
  setup: (gateway: Gateway) => void,
  { written = {}, ...options }: Partial<MilterServerOptions> & { readonly written?: object } = {},
): Promise<ServedPlugin> {
  const log: string[] = [];
  const config = resolveConfig(
    { hostname: "mx.example.test", listeners: [{ port: 0 }], queue: { directory: "./queue" }, ...written },
    { file: "/nowhere/(test)" },
  );
  const plugin = definePlugin({ name: "served", apiVersion: 1, options: z.strictObject({}), setup });
  const conversations = await createConversations(config, {
    instances: [await instantiate(plugin)],
    stateStore: createMemoryStateStore({ clock: systemClock }),
    log: (_, line) => void log.push(line),
  });
  const server = await createMilterServer({
    conversations,
    addresses: [{ host: "127.0.0.1", port: 0, text: "inet:0@127.0.0.1" }],
    warn: (text) => void log.push(`warning: ${text}`),
    ...options,
  });
  const port = Number(server.listening[0]?.address.split(":").at(-1));
  const mtas: Mta[] = [];
  let closing: Promise<void> | undefined;
  const close = (graceMs?: number): Promise<void> => {
    closing ??= server.close(graceMs).then(() => conversations.close());
    return closing;
  };
  return {
    log,
    open() {
      const mta = new Mta(connect(port, "127.0.0.1"));
      mtas.push(mta);
      return mta;
    },
    close,
    async [Symbol.asyncDispose]() {
      for (const mta of mtas) mta.socket.destroy();
      await close(0);
    },
  };
}

export const newest: Terms = { version: 6, actions: allActions, steps: allSteps };

export class Mta {
  readonly socket: Socket;
  readonly #reader = new PacketReader();
  readonly #responses: Response[] = [];
  #ended = false;
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => {
      for (const packet of this.#reader.push(chunk)) this.#responses.push(decodeResponse(packet));
      this.#wake();
    });
    for (const event of ["end", "error", "close"]) {
      socket.on(event, () => {
        this.#ended = true;
        this.#wake();
      });
    }
  }

  tell(...commands: readonly Command[]): void {
    this.write(Buffer.concat(commands.map(encodeCommand)));
  }

  write(octets: Buffer): void {
    if (!this.socket.destroyed) this.socket.write(octets);
  }

  /** "over" when the connection has ended. */
  async hear(): Promise<Response | "over"> {
    for (;;) {
      const response = this.#responses.shift();
      if (response !== undefined) return response;
      if (this.#ended) return "over";
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  ask(command: Command): Promise<Response | "over"> {
    this.tell(command);
    return this.hear();
  }

  /** Everything up to what ends a command. */
  async disposal(): Promise<readonly (Response | "over")[]> {
    const all: (Response | "over")[] = [];
    for (;;) {
      const next = await this.hear();
      all.push(next);
      if (next === "over" || final.has(next.kind)) return all;
    }
  }

  /** Negotiated, connected, greeted. Gives the agreed terms. */
  async introduce(terms: Terms = newest): Promise<Extract<Response, { kind: "negotiate" }>> {
    const agreed = await this.ask({ kind: "negotiate", ...terms });
    if (agreed === "over" || agreed.kind !== "negotiate") throw new Error(`negotiated ${JSON.stringify(agreed)}`);
    await this.#spared(agreed, 0x1000, {
      kind: "connect",
      hostname: "client.test",
      client: { family: "inet", address: "192.0.2.7", port: 4711 },
    });
    await this.#spared(agreed, 0x2000, { kind: "helo", name: "helo.test" });
    return agreed;
  }

  /** Up to the end of the headers; gives the first response that does not go on. */
  async begin(
    agreed: Terms,
    fields: readonly (readonly [string, string])[] = [],
  ): Promise<Response | "over" | undefined> {
    const steps: readonly (readonly [number, Command])[] = [
      [0x4000, { kind: "mail", args: ["<from@client.test>"] }],
      [0x8000, { kind: "recipient", args: ["<to@example.test>"] }],
      ...(agreed.version < 4 || (agreed.steps & 0x200) !== 0 ? [] : [[0x1_0000, { kind: "data" }] as const]),
      ...fields.map(([name, value]) => [0x80, { kind: "header", name, value }] as const),
      ...((agreed.steps & 0x40) === 0 ? [[0x4_0000, { kind: "endOfHeaders" }] as const] : []),
    ];
    for (const [noReply, command] of steps) {
      const response = await this.#spared(agreed, noReply, command);
      if (response !== undefined && (response === "over" || response.kind !== "continue")) return response;
    }
    return undefined;
  }

  async body(agreed: Terms, octets: Uint8Array): Promise<Response | "over" | undefined> {
    return this.#spared(agreed, 0x8_0000, { kind: "body", octets });
  }

  async #spared(agreed: Terms, noReply: number, command: Command): Promise<Response | "over" | undefined> {
    if ((agreed.steps & noReply) === 0) return this.ask(command);
    this.tell(command);
    return undefined;
  }

  async over(): Promise<void> {
    if (!this.socket.closed) await once(this.socket, "close");
  }
}

const final: ReadonlySet<Response["kind"]> = new Set([
  "continue",
  "accept",
  "reject",
  "tempfail",
  "discard",
  "replyCode",
]);
