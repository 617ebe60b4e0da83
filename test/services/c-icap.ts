// c-icap with its virus scan module in front of a clamd, and its echo service: an ICAP server of other people.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ask, freePort } from "./ports.ts";
import { programPath } from "./programs.ts";
import { startService } from "./service.ts";
import type { Service } from "./service.ts";

export interface CIcapOptions {
  /** Its data go into `c-icap` below this folder. */
  readonly folder: string;
  /** The socket of a clamd, which does the scanning. */
  readonly clamd: string;
  readonly port?: number;
  /** More lines for c-icap.conf. */
  readonly lines?: readonly string[];
}

export interface CIcap extends Service {
  readonly port: number;
  /** `icap://…/avscan` finds viruses, `/echo` gives back what it got. */
  url(service: "avscan" | "echo" | (string & {})): string;
}

/** Its modules lie where Debian puts them, by architecture. */
const modules: Readonly<Partial<Record<NodeJS.Architecture, string>>> = { x64: "x86_64", arm64: "aarch64" };

export async function startCIcap(options: CIcapOptions): Promise<CIcap> {
  const home = join(options.folder, "c-icap");
  const temporary = join(home, "tmp");
  const config = join(home, "c-icap.conf");
  const port = options.port ?? (await freePort());
  mkdirSync(temporary, { recursive: true });
  const libraries = `/usr/lib/${modules[process.arch] ?? process.arch}-linux-gnu/c_icap`;
  const settings = [
    `PidFile ${join(home, "c-icap.pid")}`,
    `CommandsSocket ${join(home, "c-icap.ctl")}`,
    "Timeout 10",
    "MaxKeepAliveRequests 1000",
    "KeepAliveTimeout 30",
    "StartServers 1",
    "MaxServers 4",
    "MinSpareThreads 10",
    "MaxSpareThreads 60",
    "ThreadsPerChild 30",
    `Port 127.0.0.1:${port}`,
    `TmpDir ${temporary}`,
    "MaxMemObject 131072",
    "DebugLevel 1",
    "Pipelining on",
    `ModulesDir ${libraries}`,
    `ServicesDir ${libraries}`,
    "TemplateDir /usr/share/c_icap/templates/",
    "TemplateDefaultLanguage en",
    "LoadMagicFile /etc/c-icap/c-icap.magic",
    `ServerLog ${join(home, "server.log")}`,
    `AccessLog ${join(home, "access.log")}`,
    "Service echo srv_echo.so",
    "Module common clamd_mod.so",
    `clamd_mod.ClamdSocket ${options.clamd}`,
    "Service antivirus_module virus_scan.so",
    "ServiceAlias avscan virus_scan?allow204=on&sizelimit=off&mode=simple",
    "virus_scan.ScanFileTypes TEXT DATA EXECUTABLE ARCHIVE GIF JPEG MSOFFICE",
    "virus_scan.SendPercentData 5",
    "virus_scan.StartSendPercentDataAfter 2M",
    "virus_scan.MaxObjectSize 5M",
    "virus_scan.DefaultEngine clamd",
    ...(options.lines ?? []),
  ];
  writeFileSync(config, `${settings.join("\n")}\n`);
  const service = await startService(programPath("c-icap"), ["-N", "-D", "-f", config], {
    logFile: join(home, "c-icap.log"),
    // Its children answer, not the process that was started.
    ownGroup: true,
    ready: async () => {
      const answer = await ask(port, `OPTIONS icap://127.0.0.1:${port}/avscan ICAP/1.0\r\nHost: 127.0.0.1\r\n\r\n`);
      if (!answer.startsWith("ICAP/1.0 200 ")) throw new Error(`c-icap answered ${JSON.stringify(answer)}`);
    },
  });
  return {
    ...service,
    port,
    url: (name) => `icap://127.0.0.1:${port}/${name}`,
  };
}
