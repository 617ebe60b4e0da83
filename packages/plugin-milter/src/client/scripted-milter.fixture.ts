// A milter on a real socket that does what a test says, right or wrong: it notes every command and answers each from a script.
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import {
  decodeCommand,
  encodeResponse,
  PacketReader,
  type Command,
  type CommandKind,
  type Response,
  type Terms,
  type WantedMacros,
} from "../protocol/index.ts";

/** What it does about a command: responses, octets as they are, or an end of the connection. `[]` is silence. */
export type Act = Response | Uint8Array | "close" | "reset";
export type Script = Partial<Record<CommandKind, (command: Command, count: number) => readonly Act[]>>;

export interface ScriptedOptions {
  /** What it answers the offer with; version 6, all actions, no steps unless given. */
  readonly terms?: (offered: Terms) => Partial<Terms> & { readonly macros?: WantedMacros };
  readonly script?: Script;
}

export interface ScriptedMilter extends AsyncDisposable {
  readonly address: string;
  /** `kind` and what is in it, of all connections, macros and negotiation left out. */
  readonly heard: string[];
  readonly commands: Command[];
  readonly offers: Terms[];
  /** Connections so far, and those that are open. */
  connections: number;
  open: number;
  body(): string;
  /** Says something of its own accord, on all its connections. */
  answer(response: Response): void;
}

const silent: ReadonlySet<CommandKind> = new Set(["macros", "abort", "quit", "quitSession"]);

export const replies = {
  continue: { kind: "continue" },
  accept: { kind: "accept" },
  reject: { kind: "reject" },
  tempfail: { kind: "tempfail" },
  discard: { kind: "discard" },
  skip: { kind: "skip" },
  progress: { kind: "progress" },
} as const satisfies Record<string, Response>;

export async function startScriptedMilter({ terms, script = {} }: ScriptedOptions = {}): Promise<ScriptedMilter> {
  const sockets = new Set<Socket>();
  const counts = new Map<CommandKind, number>();
  const body: Buffer[] = [];
  const server = createServer((socket) => {
    sockets.add(socket);
    milter.connections += 1;
    milter.open += 1;
    socket.on("error", () => undefined);
    socket.on("close", () => {
      sockets.delete(socket);
      milter.open -= 1;
    });
    const reader = new PacketReader();
    socket.on("data", (chunk: Buffer) => {
      for (const packet of reader.push(chunk)) act(socket, decodeCommand(packet));
    });
  });

  function act(socket: Socket, command: Command): void {
    milter.commands.push(command);
    const { kind } = command;
    if (kind === "negotiate") milter.offers.push(command);
    else if (kind !== "macros") milter.heard.push(describe(command));
    if (kind === "body") body.push(Buffer.from(command.octets));
    if (kind === "quit") socket.end();
    const count = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, count);
    for (const what of script[kind]?.(command, count) ?? usual(command)) {
      if (what === "close") socket.end();
      else if (what === "reset") socket.resetAndDestroy();
      else socket.write(what instanceof Uint8Array ? what : encodeResponse(what));
    }
  }

  function usual(command: Command): readonly Act[] {
    if (silent.has(command.kind)) return [];
    if (command.kind !== "negotiate") return [replies.continue];
    const { version, actions } = command;
    return [{ kind: "negotiate", version, actions, steps: 0, ...terms?.(command) }];
  }

  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const milter: ScriptedMilter = {
    address: `inet:127.0.0.1:${(server.address() as AddressInfo).port}`,
    heard: [],
    commands: [],
    offers: [],
    connections: 0,
    open: 0,
    body: () => Buffer.concat(body).toString("latin1"),
    answer: (response) => {
      for (const socket of sockets) socket.write(encodeResponse(response));
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return milter;
}

function describe(command: Command): string {
  switch (command.kind) {
    case "connect": {
      const { client } = command;
      return `connect ${command.hostname} ${client.family === "unknown" ? "" : client.address}`;
    }
    case "helo":
      return `helo ${command.name}`;
    case "mail":
    case "recipient":
      return `${command.kind} ${command.args.join(" ")}`;
    case "header":
      return `header ${command.name}:${command.value}`;
    case "body":
      return `body ${command.octets.length}`;
    case "unknown":
      return `unknown ${command.line}`;
    default:
      return command.kind;
  }
}
