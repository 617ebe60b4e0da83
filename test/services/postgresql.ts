// PostgreSQL with its data below one folder, on 127.0.0.1 and a unix socket. It refuses root, so root's runs as the user postgres. The
// data folder is made once a process and copied.
import { execFileSync } from "node:child_process";
import {
  chownSync,
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { makeCertificate } from "./certificate.ts";
import { freePort } from "./ports.ts";
import { standStill } from "./processes.ts";
import { findProgram, programPath } from "./programs.ts";
import { startService } from "./service.ts";
import type { Service } from "./service.ts";

export interface PostgresqlOptions {
  /** Its data go into `name` below this folder; starting again there with the same port goes on with them. */
  readonly folder: string;
  /** `postgresql`; two servers in one folder need two names. */
  readonly name?: string;
  readonly port?: number;
  /** Run at the first start as the superuser, in the database `mail`. */
  readonly sql?: string;
  /** Offers TLS with a certificate for localhost and 127.0.0.1. */
  readonly tls?: boolean;
  /** More options of postgres(1): `-c max_connections=5`. */
  readonly args?: readonly string[];
}

/** `pause()` holds all of its processes. */
export interface Postgresql extends Service {
  readonly host: "127.0.0.1";
  readonly port: number;
  /** The folder of the unix socket, where everybody is trusted. TCP asks for the password. */
  readonly socketFolder: string;
  readonly user: "mail";
  readonly password: "secret";
  readonly database: "mail";
  /** PEM file of the authority; only with `tls`. */
  readonly authority: string | undefined;
  /** Runs statements as the superuser and gives what psql prints: one row a line, columns separated by `|`. */
  query(sql: string, database?: string): string;
}

/** Without durability, and small. */
const lean = [
  "fsync=off",
  "synchronous_commit=off",
  "full_page_writes=off",
  "autovacuum=off",
  "shared_buffers=8MB",
  "max_connections=60",
  "wal_level=minimal",
  "max_wal_senders=0",
].flatMap((setting) => ["-c", setting]);

export async function startPostgresql(options: PostgresqlOptions): Promise<Postgresql> {
  const home = join(options.folder, options.name ?? "postgresql");
  const data = join(home, "data");
  const port = options.port ?? (await freePort());
  const first = !existsSync(data);
  if (first) {
    mkdirSync(home, { recursive: true });
    cpSync(emptyData(), data, { recursive: true });
    if (options.tls === true) {
      const { cert, key } = makeCertificate(home, ["localhost"]);
      copyFileSync(cert, join(data, "server.crt"));
      copyFileSync(key, join(data, "server.key"));
      chmodSync(join(data, "server.key"), 0o600);
    }
    if (isRoot()) execFileSync("chown", ["-R", "postgres:", home]);
    chmodSync(data, 0o700);
  }
  const query = (sql: string, database = "mail") =>
    execFileSync(
      programPath("psql"),
      ["-qXAt", "-v", "ON_ERROR_STOP=1", "-h", home, "-p", String(port), "-U", "postgres", "-d", database],
      {
        input: sql,
        encoding: "utf8",
        stdio: ["pipe", "pipe", "pipe"],
        env: { ...process.env, PGCLIENTENCODING: "UTF8" },
      },
    );
  const server = [
    serverProgram("postgres"),
    "-D",
    data,
    "-k",
    home,
    "-p",
    String(port),
    "-c",
    "listen_addresses=127.0.0.1",
  ];
  const [program = "", ...args] = asPostgres([
    ...server,
    ...lean,
    ...(options.tls === true ? ["-c", "ssl=on"] : []),
    ...(options.args ?? []),
  ]);
  const service = await startService(program, args, {
    logFile: join(home, "postgresql.log"),
    cwd: home,
    // Its workers leave its process group: see pause() and kill().
    ready: () => Promise.resolve(query("SELECT 1", "postgres")),
  });
  if (first) {
    query("CREATE ROLE mail LOGIN PASSWORD 'secret'; CREATE DATABASE mail OWNER mail", "postgres");
    query(`SET ROLE mail; ${options.sql ?? ""}`);
  }
  const workers = () => childrenOf(service.pid);
  const toWorkers = (name: NodeJS.Signals) => {
    for (const pid of workers()) signal(pid, name);
  };
  const resume = () => {
    toWorkers("SIGCONT");
    service.resume();
  };
  const stop = () => {
    resume();
    return service.stop();
  };
  return {
    ...service,
    host: "127.0.0.1",
    port,
    socketFolder: home,
    user: "mail",
    password: "secret",
    database: "mail",
    authority: options.tls === true ? join(home, "tls.pem") : undefined,
    query,
    pause: async () => {
      // The parent first: then nobody is born meanwhile.
      await service.pause();
      toWorkers("SIGSTOP");
      await standStill(workers());
    },
    resume,
    // Fast shutdown: it does not wait for clients.
    stop: async () => {
      resume();
      signal(service.pid, "SIGINT");
      await service.stop();
    },
    // A worker that lives holds the memory that the next server wants.
    kill: async () => {
      await service.pause();
      const left = workers();
      for (const pid of [...left, service.pid]) signal(pid, "SIGKILL");
      await service.kill();
      while (left.some(lives)) await delay(1);
    },
    [Symbol.asyncDispose]: stop,
  };
}

let empty: string | undefined;

/** A fresh cluster, made by initdb. */
function emptyData(): string {
  if (empty !== undefined) return empty;
  const folder = mkdtempSync(join(tmpdir(), "ps-pg-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  if (isRoot()) chownSync(folder, idOf("-u"), idOf("-g"));
  const data = join(folder, "data");
  const [program = "", ...args] = asPostgres([
    serverProgram("initdb"),
    `--pgdata=${data}`,
    "--username=postgres",
    "--encoding=UTF8",
    "--no-locale",
    "--no-sync",
    "--no-instructions",
    "--auth-local=trust",
    "--auth-host=scram-sha-256",
  ]);
  execFileSync(program, args, { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
  empty = data;
  return data;
}

/** Debian keeps the server's programs where no PATH looks. */
function serverProgram(name: string): string {
  const versions = "/usr/lib/postgresql";
  const [newest] = existsSync(versions) ? readdirSync(versions).toSorted((a, b) => Number(b) - Number(a)) : [];
  const packaged = join(versions, newest ?? "", "bin", name);
  return findProgram(name) ?? (existsSync(packaged) ? packaged : programPath(name));
}

/** Why tests with PostgreSQL are to be skipped; `undefined` when it is here. */
export function requirePostgresql(): string | undefined {
  try {
    serverProgram("initdb");
    programPath("psql");
    return undefined;
  } catch (error) {
    return `needs postgresql: ${error instanceof Error ? error.message : ""}`;
  }
}

function asPostgres(command: readonly string[]): readonly string[] {
  return isRoot() ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", ...command] : command;
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

function idOf(kind: "-u" | "-g"): number {
  return Number(execFileSync("id", [kind, "postgres"], { encoding: "utf8" }));
}

function childrenOf(pid: number): number[] {
  const path = `/proc/${pid}/task/${pid}/children`;
  return existsSync(path) ? readFileSync(path, "latin1").split(" ").filter(Boolean).map(Number) : [];
}

/** Nobody may have reaped it. */
function lives(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return false;
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended.
  }
}
