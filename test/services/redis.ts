// Redis on TCP, a unix socket and, when asked for, TLS. It keeps nothing over a restart unless told to.
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { makeCertificate } from "./certificate.ts";
import { ask, freePort } from "./ports.ts";
import { programPath } from "./programs.ts";
import { startService } from "./service.ts";
import type { Service } from "./service.ts";

export interface RedisOptions {
  /** Its data go into `redis` below this folder; starting again there with the same port resumes what was saved. */
  readonly folder: string;
  readonly port?: number;
  /** requirepass: nobody is let in without it. */
  readonly password?: string;
  /** A second port with a certificate of its own for `localhost`. */
  readonly tls?: boolean;
  /** Writes each change at once, so that it is there after `kill()`. */
  readonly persistent?: boolean;
  /** More arguments of redis-server. */
  readonly args?: readonly string[];
}

export interface Redis extends Service {
  readonly host: "127.0.0.1";
  readonly port: number;
  /** The unix socket. */
  readonly socket: string;
  /** With `tls`: the port, and the PEM file to trust. */
  readonly tls: { readonly port: number; readonly certificate: string } | undefined;
  /** One command, as redis-cli prints its answer. */
  command(...words: readonly string[]): string;
}

export async function startRedis(options: RedisOptions): Promise<Redis> {
  const home = join(options.folder, "redis");
  mkdirSync(home, { recursive: true });
  const socket = join(home, "redis.sock");
  const port = options.port ?? (await freePort());
  const { password } = options;
  const certificate = options.tls === true ? makeCertificate(home, ["localhost"]) : undefined;
  const tlsPort = certificate === undefined ? 0 : await freePort();
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--unixsocket", socket, "--unixsocketperm", "777"];
  args.push("--dir", home, "--save", "", "--daemonize", "no", "--maxmemory", "64mb");
  if (options.persistent === true) args.push("--appendonly", "yes", "--appendfsync", "always");
  if (password !== undefined) args.push("--requirepass", password);
  if (certificate !== undefined) {
    const { cert, key } = certificate;
    args.push("--tls-port", String(tlsPort), "--tls-auth-clients", "no", "--tls-ca-cert-file", cert);
    args.push("--tls-cert-file", cert, "--tls-key-file", key);
  }
  args.push(...(options.args ?? []));
  const service = await startService(programPath("redis-server"), args, {
    logFile: join(home, "redis.log"),
    ready: async () => {
      const answer = await ask(port, "PING\r\n");
      // While it reads its file it says -LOADING.
      if (!/^(?:\+PONG|-NOAUTH)/.test(answer)) throw new Error(`Redis answered ${JSON.stringify(answer)}`);
    },
  });
  const login = password === undefined ? [] : ["--no-auth-warning", "-a", password];
  return {
    ...service,
    host: "127.0.0.1",
    port,
    socket,
    tls: certificate === undefined ? undefined : { port: tlsPort, certificate: certificate.cert },
    command: (...words) =>
      execFileSync(programPath("redis-cli"), ["-s", socket, ...login, ...words], { encoding: "utf8" }).replace(
        /\n$/,
        "",
      ),
  };
}
