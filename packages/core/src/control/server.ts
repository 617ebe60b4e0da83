/** The control socket of a running gateway: a unix socket, ours alone, in a folder that nobody else may write. Never TCP. */
import { chmodSync, lstatSync, mkdirSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { dirname, join } from "node:path";
import { longestSocketPath } from "../address/socket-address.ts";
import { didYouMean } from "../config/nearest.ts";
import { ConfigError, PosternError } from "../errors.ts";
import type { MaybePromise } from "../model/maybe-promise.ts";
import {
  createLineReader,
  longestRequestBytes,
  socketName,
  type ControlAnswer,
  type ControlRequest,
} from "./protocol.ts";

/** A command by name. What it returns is sent as JSON; what it throws, as code and message. */
export type ControlCommands = Readonly<
  Record<string, (args: Readonly<Record<string, unknown>>) => MaybePromise<unknown>>
>;

export interface ControlServer {
  readonly path: string;
  /** Takes no more requests, waits for none, and removes the socket. */
  close(): Promise<void>;
}

/** People and scripts, not crowds. */
const mostConnections = 32;
const defaultIdleMs = 60_000;

/**
 * Makes the folder (0700) when its parent exists and listens. A socket of a dead process is taken over; throws `LISTEN_FAILED`
 * when a living one answers, `ConfigError` when the folder cannot be used.
 */
export async function openControl(
  directory: string,
  commands: ControlCommands,
  { idleMs = defaultIdleMs }: { readonly idleMs?: number } = {},
): Promise<ControlServer> {
  const path = join(directory, socketName);
  if (Buffer.byteLength(path) > longestSocketPath) {
    throw new ConfigError(
      `control.directory: ${path} is longer than a socket's path may be (${longestSocketPath} bytes)`,
    );
  }
  prepareFolder(directory);
  await removeStale(path);
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    serve(socket, commands, idleMs);
  });
  server.maxConnections = mostConnections;
  await listen(server, path);
  return {
    path,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroySoon();
      await closed;
    },
  };
}

function prepareFolder(directory: string): void {
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT")
      throw new ConfigError(`control.directory: ${dirname(directory)} does not exist`, { cause: error });
    if (code !== "EEXIST")
      throw new ConfigError(`control.directory: ${directory} cannot be made (${code})`, { cause: error });
  }
  const found = lstatSync(directory);
  if (!found.isDirectory()) throw new ConfigError(`control.directory: ${directory} is no folder`);
  if (process.getuid !== undefined && found.uid !== process.getuid()) {
    throw new ConfigError(`control.directory: ${directory} belongs to user ${found.uid}, not to us`);
  }
  // What others use too, `/run` for one, is not ours to close; the socket is private by itself.
  if ((found.mode & 0o022) !== 0) {
    throw new ConfigError(`control.directory: ${directory} may be written by others (chmod go-w ${directory})`);
  }
}

/** A socket that nobody answers on is a dead process's. */
async function removeStale(path: string): Promise<void> {
  const answered = await new Promise<boolean>((resolve) => {
    const probe = connect(path);
    probe.on("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.on("error", () => resolve(false));
  });
  if (answered) throw new PosternError("LISTEN_FAILED", `a gateway is running already: it answers on ${path}`);
  rmSync(path, { force: true });
}

/** Its mode is set before anybody hears that it is there. */
function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      reject(
        new PosternError("LISTEN_FAILED", `the control socket ${path} cannot be opened (${error.code})`, {
          cause: error,
        }),
      );
    });
    server.listen(path, resolve);
    if (server.listening) chmodSync(path, 0o600);
  });
}

function serve(socket: Socket, commands: ControlCommands, idleMs: number): void {
  const read = createLineReader(longestRequestBytes);
  let last: Promise<void> = Promise.resolve();
  let answering = 0;
  // Who waits for an answer is not idle, however long it takes.
  socket.setTimeout(idleMs, () => {
    if (answering === 0) socket.destroy();
  });
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk) => {
    const lines = read(chunk);
    if (lines === undefined) {
      send(socket, failure("PROTOCOL", `a request is longer than ${longestRequestBytes} bytes`));
      socket.destroySoon();
      return;
    }
    // One after another, and no more is read while one is being answered.
    if (lines.length === 0) return;
    socket.pause();
    answering += 1;
    last = last.then(async () => {
      for (const line of lines) send(socket, await answer(line, commands));
      answering -= 1;
      socket.resume();
    });
  });
}

function send(socket: Socket, message: ControlAnswer): void {
  if (socket.writable) socket.write(`${JSON.stringify(message)}\n`);
}

async function answer(line: string, commands: ControlCommands): Promise<ControlAnswer> {
  try {
    const request = parse(line);
    if (request === undefined) return failure("PROTOCOL", "a request is a JSON object with a command on one line");
    const command = Object.hasOwn(commands, request.command) ? commands[request.command] : undefined;
    if (command === undefined) {
      const near = didYouMean(request.command, Object.keys(commands));
      return failure("PROTOCOL", `the gateway knows no command "${request.command.slice(0, 80)}"${near}`);
    }
    return { ok: true, result: (await command(request.args ?? {})) ?? null };
  } catch (error) {
    return error instanceof PosternError
      ? failure(error.code, error.message)
      : failure("PLUGIN_FAILED", error instanceof Error ? error.message : String(error));
  }
}

function parse(line: string): ControlRequest | undefined {
  try {
    const { command, args } = JSON.parse(line) as Partial<ControlRequest>;
    const sound = typeof command === "string" && (args === undefined || (typeof args === "object" && args !== null));
    return sound ? { command, args: args ?? {} } : undefined;
  } catch {
    return undefined;
  }
}

const failure = (code: string, message: string): ControlAnswer => ({ ok: false, error: { code, message } });
