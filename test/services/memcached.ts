// memcached on TCP and, as a second process, on a unix socket: one process cannot do both. It keeps nothing over a restart.
import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { ask, freePort } from "./ports.ts";
import { programPath } from "./programs.ts";
import { startService } from "./service.ts";
import type { Service } from "./service.ts";

export interface MemcachedOptions {
  /** Its log and socket go into `memcached` below this folder. */
  readonly folder: string;
  readonly port?: number;
  /** On a unix socket instead of a port. */
  readonly unix?: boolean;
  /** More arguments of memcached(1). */
  readonly args?: readonly string[];
}

export interface Memcached extends Service {
  readonly host: "127.0.0.1";
  /** 0 on a unix socket. */
  readonly port: number;
  /** The unix socket, "" on a port. */
  readonly socket: string;
  /** One command and the first piece of what it answers: `get key`. */
  command(line: string): Promise<string>;
}

export async function startMemcached(options: MemcachedOptions): Promise<Memcached> {
  const home = join(options.folder, "memcached");
  mkdirSync(home, { recursive: true });
  const unix = options.unix === true;
  const socket = unix ? join(home, "memcached.sock") : "";
  const port = unix ? 0 : (options.port ?? (await freePort()));
  // It refuses root, and must be able to make its socket as somebody else.
  const root = process.getuid?.() === 0;
  if (root) chmodSync(home, 0o777);
  const address = unix ? ["-s", socket, "-a", "0777"] : ["-l", "127.0.0.1", "-p", String(port), "-U", "0"];
  const command = (line: string) => ask(unix ? socket : port, `${line}\r\n`);
  const args = [...(root ? ["-u", "nobody"] : []), ...address, "-m", "16", "-t", "1", ...(options.args ?? [])];
  const service = await startService(programPath("memcached"), args, {
    logFile: join(home, "memcached.log"),
    ready: async () => {
      const answer = await command("version");
      if (!answer.startsWith("VERSION ")) throw new Error(`memcached answered ${JSON.stringify(answer)}`);
    },
  });
  return { ...service, host: "127.0.0.1", port, socket, command };
}
