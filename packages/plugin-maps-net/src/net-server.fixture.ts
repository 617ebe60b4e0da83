// A server on 127.0.0.1 whose every answer a test decides: for tables behind sockets, and for Postfix asking the same one.
import { createServer, type Socket } from "node:net";

/** The first whole request at the start of what came, and its length with all framing. */
export type Framing = (bytes: string) => { readonly request: string; readonly used: number } | undefined;

export interface NetServer extends AsyncDisposable {
  readonly port: number;
  /** Requests in the order they came, as latin1. */
  readonly heard: string[];
  /** Connections that were made, and those that are open. */
  readonly made: number;
  readonly open: number;
  close(): Promise<void>;
}

/** One line, without its end. */
export const lines: Framing = (bytes) => {
  const end = bytes.indexOf("\n");
  return end < 0 ? undefined : { request: bytes.slice(0, end).replace(/\r$/, ""), used: end + 1 };
};

export const netstrings: Framing = (bytes) => {
  const colon = bytes.indexOf(":");
  const length = Number(bytes.slice(0, Math.max(colon, 0)));
  const used = colon + length + 2;
  return colon < 0 || bytes.length < used ? undefined : { request: bytes.slice(colon + 1, used - 1), used };
};

/** Commands of Redis, their words with blanks between. */
export const commands: Framing = (bytes) => {
  const [head = "", count] = /^\*(\d+)\r\n/.exec(bytes) ?? [];
  if (count === undefined) return undefined;
  const words: string[] = [];
  let used = head.length;
  while (words.length < Number(count)) {
    const [line = "", length] = /^\$(\d+)\r\n/.exec(bytes.slice(used)) ?? [];
    const end = used + line.length + Number(length);
    if (length === undefined || bytes.length < end + 2) return undefined;
    words.push(bytes.slice(used + line.length, end));
    used = end + 2;
  }
  return { request: words.join(" "), used };
};

/** `answer` gets each request and the socket to write on; what it does is its own affair. `where`: a port, 0 for any, or a path. */
export async function startNetServer(
  framing: Framing,
  answer: (request: string, socket: Socket) => void,
  where: number | string = 0,
): Promise<NetServer> {
  const heard: string[] = [];
  const sockets = new Set<Socket>();
  let made = 0;
  const server = createServer((socket) => {
    made++;
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    let bytes = "";
    socket.setEncoding("latin1");
    socket.on("data", (piece: string) => {
      bytes += piece;
      for (let whole = framing(bytes); whole !== undefined; whole = framing(bytes)) {
        bytes = bytes.slice(whole.used);
        heard.push(whole.request);
        answer(whole.request, socket);
      }
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    if (typeof where === "string") server.listen(where, resolve);
    else server.listen(where, "127.0.0.1", resolve);
  });
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    heard,
    get made() {
      return made;
    },
    get open() {
      return sockets.size;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

export function netstring(text: string): string {
  return `${Buffer.byteLength(text, "latin1")}:${text},`;
}
