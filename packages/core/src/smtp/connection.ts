/**
 * One connection: smtp-server's lifecycle of sockets and its TLS upgrade, with our parser beneath and our dialogue on top. None of
 * smtp-server's commands, replies, timers or greeting delay are used.
 */
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { SMTPConnection, type SMTPConnectionOptions } from "smtp-server/lib/smtp-connection.js";
import { formatIp, parseIp } from "../address/index.ts";
import { isPromise, type Client, type MaybePromise, type Session, type TlsInfo } from "../model/index.ts";
import { CommandStream, type Receiver } from "./command-stream.ts";
import { lookUpClientName, nameless } from "./client-name.ts";
import { askTls } from "./commands/starttls.ts";
import { Dialogue } from "./dialogue.ts";
import type { SessionGeneration } from "./front.ts";
import { greet } from "./greeting.ts";
import { askNetworks } from "./own-clients.ts";
import type { PosternServer } from "./server.ts";
import type { Wire } from "./wire.ts";

/** Replies that wait for the end of a packet; more leave at once. */
const mostGathered = 16 * 1024;

export class PosternConnection extends SMTPConnection implements Wire {
  readonly #server: PosternServer;
  readonly #generation: SessionGeneration;
  #dialogue: Dialogue | undefined;
  #gathered = "";
  #ended = false;

  constructor(
    server: PosternServer,
    socket: Socket | TLSSocket,
    /** With the session's id, which also spares smtp-server's random one. */
    options: SMTPConnectionOptions & { readonly id: string },
    generation: SessionGeneration,
  ) {
    super(server, socket, options);
    this.#server = server;
    this.#generation = generation;
  }

  override init(): void {
    this._setListeners(() => this.#begin());
  }

  override _createParser(): CommandStream {
    // Called by the parent's constructor, before any field of ours is there: the reader looks later.
    const dialogue = (): Dialogue | undefined => this.#dialogue;
    const stream = new CommandStream(
      {
        command: (line, ahead) => dialogue()?.command(line, ahead),
        malformed: (fault) => dialogue()?.malformed(fault),
        tooEarly: () => dialogue()?.tooEarly() ?? true,
        settled: (commands) => dialogue()?.settled(commands),
        inputEnded: () => dialogue()?.inputEnded(),
        broken: (error) => dialogue()?.broken(error),
        get longestLineBytes() {
          return dialogue()?.longestLineBytes ?? 0;
        },
      },
      (this._server as PosternServer).place.settings.lineEndings === "normalize",
    );
    stream.on("error", () => this._onError());
    return stream;
  }

  /** Ours is the watchdog's. */
  override _armTimeout(): void {}

  /** Ours is the dialogue's. */
  override _resetSession(): void {}

  /** A client that vanishes, or a handshake that failed, is no event of its own: the session ends. */
  override _onError(): void {
    this.close();
  }

  override _onClose(): void {
    super._onClose();
    this.#endOnce();
  }

  // Wire

  write(text: string): void {
    this.#gathered += text;
    if (this.#gathered.length > mostGathered) this.#send();
  }

  flush(): MaybePromise<void> {
    this.#send();
    const socket = this._socket;
    if (!socket.writableNeedDrain || socket.destroyed) return undefined;
    return new Promise((resolve) => {
      const go = (): void => {
        socket.off("drain", go);
        socket.off("close", go);
        resolve();
      };
      socket.on("drain", go);
      socket.on("close", go);
    });
  }

  hangUp(): void {
    this.#send();
    this.close();
    this.#dialogue?.end();
  }

  part(): void {
    this.#send();
    const socket = this._socket;
    // What could not be written at once, as the end of TLS may not be, needs the deadline of the lingering.
    const isWritten = socket.writableLength === 0 && !(socket instanceof TLSSocket);
    if (this._parser instanceof CommandStream && !this._upgrading && isWritten) {
      this._parser.isClosed = true;
      socket.destroySoon();
    } else this.close();
    this.#dialogue?.end();
  }

  receive(receiver: Receiver): void {
    if (this._parser instanceof CommandStream) this._parser.receive(receiver);
  }

  startTls(begun: (tls: TlsInfo | undefined) => MaybePromise<void>): void {
    this.#send();
    this.#server.onceSecure(this.session, () => begun(describeTls(this._socket)));
    this.upgrade(() => {});
  }

  /** Says that the server goes down: between messages at once. */
  shutDown(): void {
    this.#dialogue?.shutDown();
  }

  cutOff(): void {
    this.#dialogue?.cutOff();
    this._socket.destroySoon();
  }

  #send(): void {
    const text = this.#gathered;
    if (text === "" || this._upgrading) return;
    this.#gathered = "";
    if (!this._socket.destroyed && this._socket.writable) this._socket.write(text);
  }

  #endOnce(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#dialogue?.end();
    this.#server.left(this);
  }

  #begin(): void {
    const server = this.#server;
    const peerAddress = canonical(this.remoteAddress);
    const generation = this.#generation;
    const client: Client = { ...nameless, address: peerAddress, port: this.remotePort, inNetworks: false };
    const session: Session = {
      id: this.id,
      listener: server.place.settings.name,
      startedAt: server.host.clock.now(),
      client,
      server: { address: canonical(this.localAddress), port: this.localPort },
      helo: undefined,
      tls: describeTls(this._socket) ?? server.place.assumed.tls,
      auth: server.place.assumed.auth,
    };
    const dialogue = new Dialogue(server.host, generation, server.place, this, session, peerAddress);
    this.#dialogue = dialogue;
    const greeted = dialogue.guarded("CONNECT", () => greetClient(dialogue, client), "");
    if (isPromise(greeted)) void greeted.then(() => this.flush());
    else void this.flush();
  }
}

function greetClient(dialogue: Dialogue, client: Client): MaybePromise<void> {
  const { host, generation } = dialogue;
  const name = lookUpClientName(client.address ?? "", generation.resolver, host.clock);
  const membership = askNetworks(generation.networks, client.address);
  return dialogue.proceed(name, (known) =>
    dialogue.proceed(membership, (own) => {
      dialogue.session = { ...dialogue.session, client: { ...client, ...known, ...own } };
      host.log({ kind: "connected", session: dialogue.session });
      // One turn of the loop, in which a client that speaks too early is heard.
      const turn = new Promise<void>((resolve) => setImmediate(resolve));
      return dialogue.proceed(turn, () =>
        dialogue.proceed(dialogue.session.tls === undefined ? undefined : askTls(dialogue), () => greet(dialogue)),
      );
    }),
  );
}

/** Without the prefix of IPv4 in IPv6. */
function canonical(address: string): string {
  const ip = parseIp(address);
  return ip === undefined ? address : formatIp(ip);
}

function describeTls(socket: Socket | TLSSocket): TlsInfo | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  const { name } = socket.getCipher();
  const servername = typeof socket.servername === "string" ? socket.servername : undefined;
  return { protocol: socket.getProtocol() ?? "TLS", cipher: name, bits: strengthOf(name), servername };
}

/** OpenSSL tells the strength by the name alone, where the hash has a number, too. */
function strengthOf(cipher: string): number {
  if (/(?:AES|ARIA|CAMELLIA)[-_]?256|CHACHA20/.test(cipher)) return 256;
  return /128/.test(cipher) ? 128 : 112;
}
