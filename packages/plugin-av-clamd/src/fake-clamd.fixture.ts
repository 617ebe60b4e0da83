// A clamd of our own making on a real socket, in IDSESSION as the real one: it says what a test wants, whenever it wants.
import { once } from "node:events";
import { rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock, type Blob, type Clock, type Message } from "@postern/core";
import { onTestFinished } from "vitest";
import { createClamd, type ClamdSettings, type Engine } from "./clamd.ts";
import { Daemon } from "./daemon.ts";

export interface FakeStream {
  readonly socket: Socket;
  readonly octets: Buffer;
  /** Of the command on its connection. */
  readonly number: number;
  /** With the number in front and NUL at the end. */
  readonly answer: (text: string) => void;
}

export interface FakeOptions {
  /** When a stream is complete; absent: it is clean. */
  readonly onStream?: (stream: FakeStream) => unknown;
  /** May end the conversation before anything is read. */
  readonly onConnect?: (socket: Socket) => unknown;
  /** Refuses longer streams as clamd does, by the length field. */
  readonly streamMaxBytes?: number;
  /** It does not answer PING. */
  readonly hangs?: () => boolean;
}

export interface FakeClamd {
  readonly address: { readonly path: string };
  /** Lengths of the stream's pieces. */
  readonly pieces: number[];
  readonly commands: string[];
  /** Connections that are open, and that there were. */
  open: number;
  connections: number;
  stop(): Promise<void>;
}

let count = 0;
export async function startFake(options: FakeOptions = {}): Promise<FakeClamd> {
  const path = join(tmpdir(), `clamd-${process.pid}-${(count += 1)}.sock`);
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    fake.open += 1;
    fake.connections += 1;
    socket.on("close", () => {
      fake.open -= 1;
      sockets.delete(socket);
    });
    socket.on("error", () => undefined);
    options.onConnect?.(socket);
    converse(socket, fake, options);
  }).listen(path);
  const fake: FakeClamd = {
    address: { path },
    pieces: [],
    commands: [],
    open: 0,
    connections: 0,
    async stop() {
      for (const socket of sockets) socket.destroy();
      rmSync(path, { force: true });
      if (server.listening) await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  await once(server, "listening");
  onTestFinished(() => fake.stop());
  return fake;
}

function converse(socket: Socket, fake: FakeClamd, options: FakeOptions): void {
  const { onStream, streamMaxBytes = Infinity, hangs } = options;
  let got: Buffer = Buffer.alloc(0);
  let number = 0;
  let stream: Buffer[] | undefined;
  const say = (text: string): void => void socket.write(text.endsWith("\0") ? text : `${text}\0`);
  const piece = (length: number): boolean => {
    fake.pieces.push(length);
    if (length > streamMaxBytes) {
      socket.end(`${number}: INSTREAM size limit exceeded. ERROR\0`);
      return false;
    }
    if (got.length < 4 + length) {
      fake.pieces.pop();
      return false;
    }
    const octets = stream ?? [];
    stream = length === 0 ? undefined : [...octets, got.subarray(4, 4 + length)];
    got = got.subarray(4 + length);
    if (length > 0) return true;
    const mine = number;
    const answer = (text: string): void => say(`${mine}: ${text}`);
    if (onStream === undefined) answer("stream: OK");
    else onStream({ socket, octets: Buffer.concat(octets), number, answer });
    return true;
  };
  const command = (): boolean => {
    const end = got.indexOf(0);
    if (end < 0) return false;
    const text = got.toString("latin1", 0, end);
    got = got.subarray(end + 1);
    fake.commands.push(text);
    if (text === "zIDSESSION") return true;
    number += 1;
    if (text === "zINSTREAM") stream = [];
    else if (text === "zPING" && hangs?.() !== true) say(`${number}: PONG`);
    else if (text === "zVERSION") say(`${number}: ClamAV 1.4.6/27400/Mon Jul  7 08:30:00 2025`);
    return true;
  };
  socket.on("data", (data) => {
    got = Buffer.concat([got, data]);
    while (!socket.writableEnded) {
      if (stream === undefined ? !command() : got.length < 4 || !piece(got.readUInt32BE())) return;
    }
  });
}

export const plain: ClamdSettings = {
  onInfected: "reject",
  signatures: {},
  tagHeader: "X-Virus-Found",
  header: false,
  maxSize: undefined,
  hostname: "mx.example.test",
  deadlineMs: 20_000,
  clock: systemClock,
};

export interface EngineOptions extends Partial<ClamdSettings> {
  readonly connections?: number;
}

/** An engine on these clamd, closed with the test. */
export function engineOn(
  addresses: readonly FakeClamd["address"][],
  { connections = 20, ...more }: EngineOptions = {},
): Engine & { readonly daemons: readonly Daemon[] } {
  const settings = { ...plain, ...more };
  const daemons = addresses.map((address, at) => newDaemon(address, { connections, clock: settings.clock, at }));
  onTestFinished(() => daemons.forEach((daemon) => daemon.close()));
  return { ...createClamd(daemons, settings), daemons };
}

function newDaemon(
  address: FakeClamd["address"],
  { connections, clock, at }: { readonly connections: number; readonly clock: Clock; readonly at: number },
): Daemon {
  return new Daemon({ name: `clamd-${at}`, address, connections, pingMs: 300, clock });
}

/** A message of a source that is no list of chunks. */
export function readingMessage(sizeBytes: number, read: () => AsyncIterable<Buffer>): Message {
  const raw: Pick<Blob, "sizeBytes" | "chunks" | "read"> = { sizeBytes, chunks: undefined, read };
  return { raw, body: raw, sizeBytes } as unknown as Message;
}
