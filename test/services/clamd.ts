// ClamAV's daemon with a signature database of its own, so that nothing is downloaded and the answers are known.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eicar } from "./eicar.ts";
import { ask, freePort } from "./ports.ts";
import { programPath } from "./programs.ts";
import { startService } from "./service.ts";
import type { Service } from "./service.ts";

export interface ClamdOptions {
  /** Its data go into `clamd` below this folder; starting again there with the same port resumes it. */
  readonly folder: string;
  readonly port?: number;
  /** StreamMaxLength; 1 MiB. One byte more is answered with `INSTREAM size limit exceeded. ERROR`. */
  readonly streamMaxBytes?: number;
  /** More signatures by file name, in ClamAV's formats: `{ "more.yar": "rule …" }`. */
  readonly signatures?: Readonly<Record<string, string>>;
  /** More lines for clamd.conf; of one that is there already the later stands. */
  readonly lines?: readonly string[];
}

export interface Clamd extends Service {
  readonly host: "127.0.0.1";
  readonly port: number;
  /** The unix socket. */
  readonly socket: string;
}

/** What clamd says about `eicar`: it marks signatures that are not ClamAV's own. */
export const eicarName = "Eicar-Test.UNOFFICIAL";

export async function startClamd(options: ClamdOptions): Promise<Clamd> {
  const home = join(options.folder, "clamd");
  const database = join(home, "db");
  const temporary = join(home, "tmp");
  const socket = join(home, "clamd.sock");
  const config = join(home, "clamd.conf");
  const port = options.port ?? (await freePort());
  for (const folder of [database, temporary]) mkdirSync(folder, { recursive: true });
  // Name:target type (0 = any):offset (* = anywhere):bytes in hex. It matches inside MIME parts and archives, too.
  writeFileSync(join(database, "test.ndb"), `Eicar-Test:0:*:${Buffer.from(eicar).toString("hex")}\n`);
  for (const [name, text] of Object.entries(options.signatures ?? {})) writeFileSync(join(database, name), text);
  const settings = [
    "Foreground yes",
    "LogTime no",
    `DatabaseDirectory ${database}`,
    `TemporaryDirectory ${temporary}`,
    `LocalSocket ${socket}`,
    "LocalSocketMode 600",
    "FixStaleSocket yes",
    "TCPAddr 127.0.0.1",
    `TCPSocket ${port}`,
    `StreamMaxLength ${options.streamMaxBytes ?? 1024 * 1024}`,
    "MaxThreads 4",
    "ReadTimeout 10",
    "CommandReadTimeout 5",
    "SelfCheck 0",
    "Bytecode no",
    ...(options.lines ?? []),
  ];
  writeFileSync(config, `${settings.join("\n")}\n`);
  // The sockets are opened only after the signatures were read; both are asked.
  const ready = async () => {
    for (const address of [port, socket]) {
      const answer = await ask(address, "zPING\0");
      if (answer !== "PONG\0") throw new Error(`clamd answered ${JSON.stringify(answer)}`);
    }
  };
  const service = await startService(programPath("clamd"), [`--config-file=${config}`], {
    logFile: join(home, "clamd.log"),
    ready,
  });
  return { ...service, host: "127.0.0.1", port, socket };
}
