/**
 * A scripted SMTP server that takes mail and remembers it octet by octet: what a transport delivers to. It answers as its
 * script says, may hang up anywhere, and accepts whatever the script does not mention. Not for mail from strangers.
 */
import { once } from "node:events";
import { createConnection, createServer, type AddressInfo, type Socket } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";
import { SinkInput } from "./sink-input.ts";

/** Where a script is asked: a command's verb, the connection itself, or the end of a message's content. */
export type SinkPoint = "CONNECT" | "MESSAGE" | (string & {});

export interface SinkEvent {
  readonly point: SinkPoint;
  /** The command line as received; empty at `CONNECT` and `MESSAGE`. */
  readonly line: string;
  /** 1 for the first connection. */
  readonly session: number;
  /** What the transaction has so far. */
  readonly transaction: SinkTransaction;
}

/** A whole reply (`"450 4.2.0 later"`, lines divided by CRLF), or what else to do. */
export type SinkAnswer =
  | string
  | {
      readonly reply?: string;
      /** After the reply: end the connection, cut it without a word, or say nothing ever again. */
      readonly then?: "end" | "reset" | "hang";
    };

/** `undefined` is the ordinary answer. A promise delays it: let events of the test decide when. */
export type SinkScript = (event: SinkEvent) => SinkAnswer | undefined | Promise<SinkAnswer | undefined>;

export interface SinkTransaction {
  /** The MAIL line. */
  readonly mail: string;
  /** The RCPT lines that were accepted. */
  readonly rcpt: readonly string[];
  /** Octets between the command and the final dot, dot-stuffing removed; of BDAT the chunks joined. */
  readonly content: Buffer;
  readonly session: number;
  /** Whether it came over TLS. */
  readonly tls: boolean;
}

export interface SinkOptions {
  readonly script?: SinkScript;
  /** EHLO keywords; PIPELINING, 8BITMIME, SMTPUTF8, ENHANCEDSTATUSCODES, SIZE, DSN and CHUNKING unless given. */
  readonly extensions?: readonly string[];
  /** PEM: STARTTLS is offered. */
  readonly tls?: { readonly key: string | Buffer; readonly cert: string | Buffer };
}

export interface Sink {
  readonly host: "127.0.0.1";
  readonly port: number;
  /** `[127.0.0.1]:port`, as a next-hop. */
  readonly nextHop: string;
  /** Messages whose final reply was 2yz. */
  readonly transactions: readonly SinkTransaction[];
  /** Every command line of every session. */
  readonly commands: readonly string[];
  /** Connections so far, and those that are open. */
  readonly sessions: number;
  readonly open: number;
  /** A client's connection to it, for `smtp(sink)`. */
  connect(): Socket;
  /** Resolves with all accepted messages when there are `count`. */
  received(count: number): Promise<readonly SinkTransaction[]>;
  close(): Promise<void>;
}

const ordinaryExtensions = "PIPELINING 8BITMIME SMTPUTF8 ENHANCEDSTATUSCODES SIZE DSN CHUNKING".split(" ");

export async function createSink(options: SinkOptions = {}): Promise<Sink> {
  const { script = () => undefined, extensions = ordinaryExtensions, tls } = options;
  const transactions: SinkTransaction[] = [];
  const commands: string[] = [];
  const sockets = new Set<Socket>();
  const waiting: { readonly count: number; readonly wake: () => void }[] = [];
  let sessions = 0;

  function accept(transaction: SinkTransaction): void {
    transactions.push(transaction);
    for (const { count, wake } of waiting) if (transactions.length >= count) wake();
  }

  async function converse(plain: Socket, session: number): Promise<void> {
    let socket = plain;
    let input = new SinkInput(socket);
    let secure = false;
    const blank: { mail: string; rcpt: string[]; content: Buffer } = { mail: "", rcpt: [], content: Buffer.alloc(0) };
    let transaction = { ...blank };

    /** Asks the script and answers; the code said, 0 when the conversation is over. */
    async function answer(point: SinkPoint, line: string, ordinary: string): Promise<number> {
      const seen = { ...transaction, session, tls: secure };
      const given = (await script({ point, line, session, transaction: seen })) ?? ordinary;
      const { reply, then = undefined } = typeof given === "string" ? { reply: given } : given;
      if (reply !== undefined) socket.write(`${reply}\r\n`);
      if (then === "end") socket.end();
      else if (then === "reset") socket.resetAndDestroy();
      else if (then === "hang") await once(socket, "close");
      return then === undefined && reply !== undefined ? Number(reply.slice(0, 3)) : 0;
    }
    async function finish(): Promise<boolean> {
      const code = await answer("MESSAGE", "", "250 2.0.0 Ok");
      if (code >= 200 && code < 300) accept({ ...transaction, session, tls: secure });
      transaction = { ...blank, rcpt: [] };
      return code !== 0;
    }

    if ((await answer("CONNECT", "", "220 sink.test ESMTP")) === 0) return;
    for (;;) {
      const line = await input.line();
      if (line === undefined) return;
      commands.push(line);
      const verb = (/^[A-Za-z]*/.exec(line)?.[0] ?? "").toUpperCase();
      switch (verb) {
        case "EHLO": {
          const keywords = [...extensions, ...(tls !== undefined && !secure ? ["STARTTLS"] : [])];
          const lines = ["sink.test", ...keywords].map(
            (text, at, all) => `250${at < all.length - 1 ? "-" : " "}${text}`,
          );
          if ((await answer(verb, line, lines.join("\r\n"))) === 0) return;
          break;
        }
        case "STARTTLS": {
          if ((await answer(verb, line, "220 2.0.0 Ready")) !== 220 || tls === undefined) break;
          input.detach();
          socket = new TLSSocket(socket, { isServer: true, secureContext: createSecureContext(tls) });
          socket.on("error", () => undefined);
          input = new SinkInput(socket);
          secure = true;
          transaction = { ...blank, rcpt: [] };
          break;
        }
        case "MAIL": {
          const code = await answer(verb, line, "250 2.1.0 Ok");
          if (code === 0) return;
          if (code < 300) transaction = { ...blank, rcpt: [], mail: line };
          break;
        }
        case "RCPT": {
          const code = await answer(verb, line, "250 2.1.5 Ok");
          if (code === 0) return;
          if (code < 300) transaction.rcpt.push(line);
          break;
        }
        case "DATA": {
          const refusal = transaction.rcpt.length === 0 ? "554 5.5.1 No valid recipients" : "354 Go ahead";
          const code = await answer(verb, line, refusal);
          if (code === 0) return;
          if (code !== 354) break;
          const content = await input.dotted();
          if (content === undefined) return;
          transaction = { ...transaction, content };
          if (!(await finish())) return;
          break;
        }
        case "BDAT": {
          const [, size = "0", last] = /^BDAT (\d+)( LAST)?$/i.exec(line) ?? [];
          const chunk = await input.octets(Number(size));
          if (chunk === undefined) return;
          transaction = { ...transaction, content: Buffer.concat([transaction.content, chunk]) };
          if (last === undefined) {
            if ((await answer(verb, line, "250 2.0.0 Ok")) === 0) return;
          } else if (!(await finish())) return;
          break;
        }
        case "QUIT":
          await answer(verb, line, "221 2.0.0 Bye");
          socket.end();
          return;
        default: {
          const known = ["HELO", "RSET", "NOOP"].includes(verb);
          if (verb === "RSET") transaction = { ...blank, rcpt: [] };
          if ((await answer(verb, line, known ? "250 2.0.0 Ok" : "502 5.5.1 Not here")) === 0) return;
        }
      }
    }
  }

  const server = createServer({ noDelay: true }, (socket) => {
    sessions += 1;
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => undefined);
    void converse(socket, sessions).catch((error: unknown) => {
      // A script that throws is a mistake of the test; the client hears of it.
      if (socket.writable) socket.end(`421 4.3.0 the script threw: ${String(error).replace(/\s+/g, " ")}\r\n`);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;

  return {
    host: "127.0.0.1",
    port,
    nextHop: `[127.0.0.1]:${port}`,
    transactions,
    commands,
    get sessions() {
      return sessions;
    },
    get open() {
      return sockets.size;
    },
    connect: () => createConnection(port, "127.0.0.1"),
    async received(count) {
      if (transactions.length < count) await new Promise<void>((wake) => waiting.push({ count, wake }));
      return transactions;
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
