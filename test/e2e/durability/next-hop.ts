// A next-hop that remembers everything it took and fails as told, at the places where a relay may lose or double mail.
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { freePort } from "../../services/ports.ts";
import { recognize } from "./numbered-mail.ts";

/**
 * What becomes of one transaction. Hanging up after the dot, before or within the reply, leaves the sender in doubt: the
 * message has arrived, and it will come again (RFC 5321 §6.1).
 */
export type Mood =
  | "take"
  | "refuse connection"
  | "refuse MAIL"
  | "refuse a recipient"
  | "refuse after the dot"
  | "hang up in DATA"
  | "hang up after the dot"
  | "hang up in the reply"
  | "hang up between lines of the reply";

/** A message that came whole up to its dot and was not refused. */
export interface Arrival {
  /** `undefined` for mail of others. */
  readonly number: number | undefined;
  readonly whole: boolean;
  readonly recipients: readonly string[];
  readonly at: number;
  /** The reply was sent whole. */
  readonly answered: boolean;
  /** When the sender's next command came on this connection, so that it has read the reply; `performance.now()`. */
  heardAt: number | undefined;
}

export interface NextHop extends AsyncDisposable {
  readonly port: number;
  readonly arrivals: readonly Arrival[];
  /** Transactions by what became of them. */
  readonly moods: ReadonlyMap<Mood, number>;
  setMood(mood: Mood | ((transaction: number) => Mood)): void;
  close(): Promise<void>;
}

export interface NextHopOptions {
  readonly port?: number;
  /** One for all, or by the count of transactions so far. */
  readonly mood?: Mood | ((transaction: number) => Mood);
}

export async function startNextHop(options: NextHopOptions = {}): Promise<NextHop> {
  const port = options.port ?? (await freePort());
  const arrivals: Arrival[] = [];
  const moods = new Map<Mood, number>();
  const sockets = new Set<Socket>();
  let mood = options.mood ?? "take";
  let transactions = 0;
  const next = (): Mood => (typeof mood === "string" ? mood : mood(transactions));
  const begin = (): Mood => {
    const now = next();
    transactions += 1;
    moods.set(now, (moods.get(now) ?? 0) + 1);
    return now;
  };
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    if (next() === "refuse connection") {
      begin();
      socket.end("421 4.3.2 not now\r\n");
    } else converse(socket, begin, (arrival) => arrivals.push(arrival));
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    server.close();
    for (const socket of sockets) socket.destroy();
    await once(server, "close");
  };
  return { port, arrivals, moods, setMood: (to) => void (mood = to), close, [Symbol.asyncDispose]: close };
}

const dot = Buffer.from("\r\n.\r\n");

function converse(socket: Socket, begin: () => Mood, arrived: (arrival: Arrival) => void): void {
  let mood: Mood = "take";
  let recipients: string[] = [];
  let commands = "";
  let content: Buffer[] | undefined;
  let tail: Buffer = Buffer.alloc(0);
  let last: Arrival | undefined;

  const answer = (line: string): string => {
    const [, word = ""] = /^([A-Z]+)/i.exec(line) ?? [];
    if (last !== undefined) last.heardAt ??= performance.now();
    switch (word.toUpperCase()) {
      case "EHLO":
        return "250-next-hop.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 100000000\r\n";
      case "MAIL":
        recipients = [];
        mood = begin();
        return mood === "refuse MAIL" ? "451 4.3.0 not now\r\n" : "250 2.1.0 Ok\r\n";
      case "RCPT":
        if (mood === "refuse MAIL" || (mood === "refuse a recipient" && recipients.length > 0))
          return "451 4.3.0 not now\r\n";
        recipients.push(/<(.*?)>/.exec(line)?.[1] ?? "");
        return "250 2.1.5 Ok\r\n";
      case "DATA":
        if (recipients.length === 0) return "554 5.5.1 no recipients\r\n";
        content = [];
        tail = Buffer.from("\r\n");
        return "354 go on\r\n";
      case "QUIT":
        return "221 2.0.0 Bye\r\n";
      default:
        return "250 2.0.0 Ok\r\n";
    }
  };

  const finish = (): void => {
    const raw = Buffer.concat(content ?? []);
    content = undefined;
    const unstuffed = raw.toString("latin1", 0, raw.length - 3).replaceAll(/^\./gm, "");
    if (mood === "refuse after the dot") return void socket.write("451 4.3.0 not now\r\n");
    const known = recognize(Buffer.from(unstuffed, "latin1"));
    const answered = !mood.startsWith("hang up");
    last = {
      number: known?.number,
      whole: known?.whole ?? true,
      recipients,
      at: performance.now(),
      answered,
      heardAt: undefined,
    };
    arrived(last);
    if (answered) socket.write("250 2.0.0 taken\r\n");
    else if (mood === "hang up after the dot") socket.destroy();
    else socket.write(mood === "hang up in the reply" ? "250 2.0" : "250-2.0.0 taken\r\n", () => socket.destroy());
  };

  socket.on("data", (chunk: Buffer) => {
    if (content !== undefined) {
      if (mood === "hang up in DATA") return void socket.destroy();
      content.push(chunk);
      tail = Buffer.concat([tail, chunk.subarray(-dot.length)]).subarray(-dot.length);
      // Whoever sends the dot waits for its reply, so nothing can stand behind it.
      if (tail.equals(dot)) finish();
      return;
    }
    commands += chunk.toString("latin1");
    let replies = "";
    for (let end = commands.indexOf("\r\n"); end >= 0; end = commands.indexOf("\r\n")) {
      replies += answer(commands.slice(0, end));
      commands = commands.slice(end + 2);
    }
    if (replies !== "") socket.write(replies);
  });
  socket.write("220 next-hop.test ESMTP\r\n");
}
