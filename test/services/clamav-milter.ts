// ClamAV's own milter in front of a clamd, as sites with Postfix run it.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startMilter, type Milter } from "./libmilter.ts";
import { freePort } from "./ports.ts";
import { programPath } from "./programs.ts";

export interface ClamavMilterOptions {
  /** Its data go into `clamav-milter` below this folder. */
  readonly folder: string;
  /** The clamd: a port on 127.0.0.1, where what is scanned goes as a stream, or its socket, where it is handed over as a file. */
  readonly clamdPort: number | string;
  readonly port?: number;
  /** "Reject" unless given. */
  readonly onInfected?: "Reject" | "Quarantine" | "Blackhole" | "Accept" | "Defer";
  /** More lines for clamav-milter.conf. */
  readonly lines?: readonly string[];
}

export async function startClamavMilter(options: ClamavMilterOptions): Promise<Milter> {
  const home = join(options.folder, "clamav-milter");
  const config = join(home, "clamav-milter.conf");
  const port = options.port ?? (await freePort());
  mkdirSync(home, { recursive: true });
  const settings = [
    `MilterSocket inet:${port}@127.0.0.1`,
    `ClamdSocket ${typeof options.clamdPort === "string" ? `unix:${options.clamdPort}` : `tcp:127.0.0.1:${options.clamdPort}`}`,
    "Foreground yes",
    `TemporaryDirectory ${home}`,
    "OnClean Accept",
    `OnInfected ${options.onInfected ?? "Reject"}`,
    "OnFail Defer",
    "RejectMsg infected: %v",
    "AddHeader Replace",
    "ReadTimeout 30",
    "MaxFileSize 60M",
    `LogFile ${join(home, "clamav-milter.log")}`,
    ...(options.lines ?? []),
  ];
  writeFileSync(config, `${settings.join("\n")}\n`);
  return startMilter(programPath("clamav-milter"), ["-c", config], port, { logFile: join(home, "output.log") });
}
