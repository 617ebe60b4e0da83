// A policy service on 127.0.0.1 whose every answer a test decides: for our word, and for Postfix asking the same one.
import { createServer, type Socket } from "node:net";

export interface PolicyService extends AsyncDisposable {
  readonly port: number;
  /** `inet:127.0.0.1:port`. */
  readonly address: string;
  /** Questions in the order they came, without the blank line. */
  readonly heard: string[];
  /** Connections that were made, and those that are open. */
  readonly made: number;
  readonly open: number;
  /** Resolves when so many questions have come. */
  asked(count: number): Promise<void>;
  /** Ends every connection; new ones are taken. */
  hangUp(): void;
  close(): Promise<void>;
}

/** What a question gets: an action, octets to write, or a deed. */
export type Reaction = string | { readonly raw: string } | ((socket: Socket, question: string) => void);

/** `react` is asked with the question and its number, from 1 on. */
export async function startPolicyService(
  react: (question: string, number: number) => Reaction,
  port = 0,
): Promise<PolicyService> {
  const heard: string[] = [];
  const sockets = new Set<Socket>();
  let waiting: { readonly count: number; readonly wake: () => void }[] = [];
  let made = 0;
  const answer = (socket: Socket, question: string): void => {
    heard.push(question);
    const reaction = react(question, heard.length);
    if (typeof reaction === "function") reaction(socket, question);
    else socket.write(typeof reaction === "string" ? `action=${reaction}\n\n` : reaction.raw);
    for (const { wake } of waiting.filter(({ count }) => heard.length >= count)) wake();
    waiting = waiting.filter(({ count }) => heard.length < count);
  };
  const server = createServer((socket) => {
    made += 1;
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    let bytes = "";
    socket.setEncoding("utf8");
    socket.on("data", (piece: string) => {
      bytes += piece;
      for (let end = bytes.indexOf("\n\n"); end >= 0; end = bytes.indexOf("\n\n")) {
        const question = bytes.slice(0, end);
        bytes = bytes.slice(end + 2);
        answer(socket, question);
      }
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  const address = server.address();
  const own = typeof address === "object" && address !== null ? address.port : 0;
  const hangUp = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      hangUp();
    });
  return {
    port: own,
    address: `inet:127.0.0.1:${own}`,
    heard,
    get made() {
      return made;
    },
    get open() {
      return sockets.size;
    },
    asked: (count) =>
      heard.length >= count ? Promise.resolve() : new Promise((wake) => waiting.push({ count, wake })),
    hangUp,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** A question's attributes by name. */
export function attributesOf(question: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    question.split("\n").map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
}
