/** For tests only: an SMTP server on loopback that answers as each case says, and keeps what it was told, octet by octet. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TLSSocket } from "node:tls";

/** A reply without its CRLF (lines parted by `\n`), or the words silence, close, reset, or octets as they are. */
export type Act = string | { readonly raw: string | Buffer; readonly close?: boolean };

export interface Script {
  greeting?: Act;
  /** EHLO keywords, or what is said instead. */
  ehlo?: readonly string[] | Act;
  helo?: Act;
  starttls?: Act;
  /** After a 220 to STARTTLS: plain garbage in place of the handshake. */
  brokenTls?: boolean;
  mail?: (line: string, nth: number) => Act;
  rcpt?: (line: string, nth: number) => Act;
  data?: Act | ((nth: number) => Act);
  /** Acts as soon as so many octets of content came. */
  during?: { readonly after: number; readonly act: Act };
  /** Reads no content at all. */
  deaf?: boolean;
  end?: (nth: number) => Act;
}

export interface ScriptedPeer extends AsyncDisposable {
  readonly port: number;
  /** Command lines of all connections, in order. */
  readonly commands: string[];
  /** Contents as they came: dot-stuffed, without the final `.` line. */
  readonly contents: Buffer[];
  readonly connections: number;
  /** Commands as they arrived together. */
  readonly chunks: string[];
  /** Says it on every open connection. */
  say(line: string): void;
  /** Resolves when no connection is open. */
  idle(): Promise<void>;
  /** Closes what is open, and goes on listening. */
  hangUp(): void;
}

const defaults = ["PIPELINING", "SIZE 1000000", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES"];

export async function startPeer(script: Script = {}, port = 0, host = "127.0.0.1"): Promise<ScriptedPeer> {
  const sockets = new Set<Socket>();
  const commands: string[] = [];
  const contents: Buffer[] = [];
  const chunks: string[] = [];
  let connections = 0;
  const server = createServer({ noDelay: true }, (socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    new PeerSession(script, { commands, contents, chunks }).serve(socket, true);
  });
  await new Promise<void>((resolve) => server.listen(port, host, resolve));
  const address = server.address();
  const hangUp = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    commands,
    contents,
    chunks,
    get connections() {
      return connections;
    },
    say(line) {
      for (const socket of sockets) socket.write(`${line}\r\n`);
    },
    async idle() {
      for (const socket of sockets) await new Promise<void>((resolve) => socket.once("close", () => resolve()));
    },
    hangUp,
    async [Symbol.asyncDispose]() {
      hangUp();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

class PeerSession {
  #script: Script;
  #kept: { commands: string[]; contents: Buffer[]; chunks: string[] };
  #received: Buffer = Buffer.alloc(0);
  #content = false;
  #duringDone = false;
  /** After a silence nothing is said any more. */
  #mute = false;
  #mails = 0;
  #rcpts = 0;
  #socket: Socket | undefined;

  constructor(script: Script, kept: { commands: string[]; contents: Buffer[]; chunks: string[] }) {
    this.#script = script;
    this.#kept = kept;
  }

  serve(socket: Socket, greet: boolean): void {
    this.#socket = socket;
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    if (greet) this.#act(this.#script.greeting ?? "220 peer.test ESMTP");
  }

  #receive(chunk: Buffer): void {
    if (this.#socket?.destroyed) return;
    if (!this.#content) this.#kept.chunks.push(chunk.toString("latin1"));
    this.#received = Buffer.concat([this.#received, chunk]);
    for (;;) {
      if (this.#content) {
        const { during } = this.#script;
        if (during !== undefined && !this.#duringDone && this.#received.length >= during.after) {
          this.#duringDone = true;
          this.#act(during.act);
        }
        const empty = this.#received.subarray(0, 3).equals(Buffer.from(".\r\n"));
        const at = empty ? 0 : this.#received.indexOf("\r\n.\r\n");
        if (at < 0) return;
        this.#kept.contents.push(this.#received.subarray(0, empty ? 0 : at + 2));
        this.#received = this.#received.subarray(empty ? 3 : at + 5);
        this.#content = false;
        this.#act(this.#script.end?.(this.#mails) ?? "250 2.0.0 queued as X1");
        continue;
      }
      const at = this.#received.indexOf("\r\n");
      if (at < 0) return;
      const line = this.#received.toString("utf8", 0, at);
      this.#received = this.#received.subarray(at + 2);
      if (this.#command(line)) return;
    }
  }

  /** True when the socket is somebody else's now. */
  #command(line: string): boolean {
    this.#kept.commands.push(line);
    const verb = line.slice(0, 4).toUpperCase();
    const script = this.#script;
    if (verb === "EHLO") {
      const said = script.ehlo ?? defaults;
      this.#act(
        Array.isArray(said)
          ? ["peer.test", ...said]
              .map((text, index, all) => `250${index === all.length - 1 ? " " : "-"}${text}`)
              .join("\n")
          : (said as Act),
      );
    } else if (verb === "HELO") this.#act(script.helo ?? "250 peer.test");
    else if (verb === "STAR") {
      const act = script.starttls ?? "220 2.0.0 go ahead";
      this.#act(act);
      // A handshake may hold a CRLF by chance, and must not be answered as if it were a command.
      if (typeof act === "object") this.#mute = true;
      if (act !== "220 2.0.0 go ahead") return false;
      if (script.brokenTls === true) this.#answerTlsWithText();
      else this.#upgrade();
      return true;
    } else if (verb === "MAIL") {
      this.#rcpts = 0;
      this.#mails += 1;
      this.#act(script.mail?.(line, this.#mails) ?? "250 2.1.0 Ok");
    } else if (verb === "RCPT") {
      this.#rcpts += 1;
      this.#act(script.rcpt?.(line, this.#rcpts) ?? "250 2.1.5 Ok");
    } else if (verb === "DATA") {
      const act = (typeof script.data === "function" ? script.data(this.#mails) : script.data) ?? "354 go on";
      this.#content = typeof act === "string" && act.startsWith("3");
      this.#act(act);
      if (script.deaf === true) this.#socket?.pause();
    } else if (verb === "QUIT") {
      this.#act("221 2.0.0 Bye");
      this.#socket?.end();
    } else this.#act("250 2.0.0 Ok");
    return false;
  }

  #answerTlsWithText(): void {
    const socket = this.#socket;
    socket?.removeAllListeners("data");
    socket?.once("data", () => socket.write("this is no TLS\r\n".repeat(10)));
  }

  #upgrade(): void {
    const plain = this.#socket;
    if (plain === undefined) return;
    plain.removeAllListeners("data");
    const secure = new TLSSocket(plain, { isServer: true, ...certificate() });
    this.#script = {
      ...this.#script,
      ehlo: (this.#script.ehlo as string[] | undefined)?.filter((word) => word !== "STARTTLS") ?? defaults,
    };
    this.serve(secure, false);
  }

  #act(act: Act): void {
    const socket = this.#socket;
    if (socket === undefined || socket.destroyed) return;
    if (act === "silence") this.#mute = true;
    if (this.#mute) return;
    if (act === "close") return void socket.end();
    if (act === "reset") return void socket.resetAndDestroy();
    if (typeof act === "string") return void socket.write(`${act.replaceAll("\n", "\r\n")}\r\n`);
    socket.write(act.raw);
    if (act.close === true) socket.end();
  }
}

let made: { key: Buffer; cert: Buffer } | undefined;

function certificate(): { key: Buffer; cert: Buffer } {
  if (made !== undefined) return made;
  const folder = mkdtempSync(join(tmpdir(), "postern-peer-"));
  try {
    const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
    const args = [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-days",
      "2",
      "-subj",
      "/CN=peer.test",
    ];
    execFileSync("openssl", [...args, "-keyout", key, "-out", cert], { stdio: "ignore" });
    made = { key: readFileSync(key), cert: readFileSync(cert) };
    return made;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
