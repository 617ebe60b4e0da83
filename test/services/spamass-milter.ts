// SpamAssassin's milter in front of a spamd.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { startMilter, type Milter } from "./libmilter.ts";
import { freePort } from "./ports.ts";
import { programPath } from "./programs.ts";

export interface SpamassMilterOptions {
  /** Its data go into `spamass-milter` below this folder. */
  readonly folder: string;
  /** Of the spamd, on 127.0.0.1. */
  readonly spamdPort: number;
  readonly port?: number;
  /** The score from which mail is rejected: 15. */
  readonly rejectScore?: number;
}

export async function startSpamassMilter(options: SpamassMilterOptions): Promise<Milter> {
  const home = join(options.folder, "spamass-milter");
  const port = options.port ?? (await freePort());
  mkdirSync(home, { recursive: true });
  const socket = `inet:${port}@127.0.0.1`;
  // What stands behind "--" is for spamc, which it runs for each message.
  const args = [
    "-p",
    socket,
    "-r",
    `${options.rejectScore ?? 15}`,
    "--",
    "-d",
    "127.0.0.1",
    "-p",
    `${options.spamdPort}`,
  ];
  return startMilter(programPath("spamass-milter"), args, port, { logFile: join(home, "spamass-milter.log") });
}
