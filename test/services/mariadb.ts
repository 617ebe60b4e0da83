// MariaDB with its data below one folder, on 127.0.0.1 and a unix socket. Root's starts it as the user mysql. The data
// folder is made once a process and copied, since making one takes longer than starting the server.
import { execFileSync } from "node:child_process";
import { chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./ports.ts";
import { programPath } from "./programs.ts";
import { startService } from "./service.ts";
import type { Service } from "./service.ts";

export interface MariadbOptions {
  /** Its data go into `name` below this folder; starting again there with the same port goes on with them. */
  readonly folder: string;
  /** `mariadb`; two servers in one folder need two names. */
  readonly name?: string;
  readonly port?: number;
  /** Run at the first start, as root: databases, tables, users. */
  readonly sql?: string;
  /** More options of mariadbd(8). */
  readonly args?: readonly string[];
}

export interface Mariadb extends Service {
  readonly host: "127.0.0.1";
  readonly port: number;
  /** The unix socket. */
  readonly socket: string;
  /** Runs statements as root and gives what the client prints: one row a line, columns separated by tabs. */
  query(sql: string, database?: string): string;
}

/** Small, and safe from kill(1) alone: it starts and stops in well under a second. */
const lean = [
  "--innodb-log-file-size=4M",
  "--innodb-buffer-pool-size=8M",
  "--innodb-data-file-path=ibdata1:4M:autoextend",
  "--innodb-flush-log-at-trx-commit=2",
  "--innodb-fast-shutdown=2",
  "--innodb-doublewrite=0",
  "--performance-schema=0",
  "--aria-log-file-size=8M",
  "--key-buffer-size=64K",
  "--skip-name-resolve",
  "--skip-log-bin",
];

export async function startMariadb(options: MariadbOptions): Promise<Mariadb> {
  const home = join(options.folder, options.name ?? "mariadb");
  const data = join(home, "data");
  const socket = join(home, "s");
  const port = options.port ?? (await freePort());
  const first = !existsSync(data);
  if (first) {
    mkdirSync(home, { recursive: true });
    cpSync(emptyData(), data, { recursive: true, preserveTimestamps: true });
    if (isRoot()) execFileSync("chown", ["-R", "mysql:", home]);
  }
  const query = (sql: string, database?: string) =>
    execFileSync(
      programPath("mariadb"),
      [
        "--no-defaults",
        "-uroot",
        "-S",
        socket,
        "--default-character-set=utf8mb4",
        "-N",
        ...(database === undefined ? [] : [database]),
      ],
      { input: sql, encoding: "utf8", stdio: ["pipe", "pipe", "pipe"] },
    );
  const service = await startService(
    programPath("mariadbd"),
    [
      "--no-defaults",
      ...asUser(),
      `--datadir=${data}`,
      `--socket=${socket}`,
      `--port=${port}`,
      "--bind-address=127.0.0.1",
      `--pid-file=${join(home, "pid")}`,
      "--max-connections=200",
      "--character-set-server=utf8mb4",
      ...lean,
      ...(options.args ?? []),
    ],
    // The port opens before it answers.
    { logFile: join(home, "log"), ready: async () => query("SELECT 1") },
  );
  if (first && options.sql !== undefined) query(options.sql);
  return { ...service, host: "127.0.0.1", port, socket, query };
}

let empty: string | undefined;

/** A data folder without anything but the server's own tables, removed when the process ends. */
function emptyData(): string {
  if (empty !== undefined) return empty;
  const folder = mkdtempSync(join(tmpdir(), "ps-mariadb-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  if (isRoot()) chownSync(folder, userId("-u"), userId("-g"));
  const data = join(folder, "data");
  execFileSync(
    programPath("mariadb-install-db"),
    [
      "--no-defaults",
      ...asUser(),
      `--datadir=${data}`,
      "--skip-test-db",
      "--auth-root-authentication-method=normal",
      ...lean,
    ],
    { stdio: "pipe" },
  );
  return (empty = data);
}

function asUser(): string[] {
  return isRoot() ? ["--user=mysql"] : [];
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

function userId(kind: "-u" | "-g"): number {
  return Number(execFileSync("id", [kind, "mysql"], { encoding: "utf8" }));
}
