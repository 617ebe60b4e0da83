// Postgrey: greylisting behind Postfix's policy protocol, on TCP. It logs to syslog alone, and here there may be none: a module in
// front of Perl's own writes to standard error instead.
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ask, freePort } from "./ports.ts";
import { programPath } from "./programs.ts";
import { startService } from "./service.ts";
import type { Service } from "./service.ts";

export interface PostgreyOptions {
  /** Its data go into `postgrey` below this folder, which must be open to other users; starting again there resumes it. */
  readonly folder: string;
  readonly port?: number;
  /** 1 s. */
  readonly delaySeconds?: number;
}

export interface Postgrey extends Service {
  readonly port: number;
  /** `inet:127.0.0.1:port`. */
  readonly address: string;
}

const syslog = `package Sys::Syslog;
use Exporter 'import';
our @EXPORT = qw(openlog syslog closelog setlogmask setlogsock);
our @EXPORT_OK = @EXPORT;
our %EXPORT_TAGS = (DEFAULT => \\@EXPORT, standard => \\@EXPORT, macros => [], extended => []);
sub openlog {1} sub closelog {1} sub setlogmask {1} sub setlogsock {1}
sub syslog { my ($level, $format, @rest) = @_; print STDERR "$level: ", (@rest ? sprintf($format, @rest) : $format), "\\n"; 1 }
1;
`;

/** Root only: it changes to its own user. */
export async function startPostgrey(options: PostgreyOptions): Promise<Postgrey> {
  const home = join(options.folder, "postgrey");
  const modules = join(home, "lib");
  const database = join(home, "db");
  const port = options.port ?? (await freePort());
  for (const folder of [join(modules, "Sys"), database]) mkdirSync(folder, { recursive: true });
  writeFileSync(join(modules, "Sys", "Syslog.pm"), syslog);
  for (const list of ["clients", "recipients"]) writeFileSync(join(home, list), "");
  execFileSync("chown", ["-R", "postgrey", home]);
  const args = [
    `--inet=127.0.0.1:${port}`,
    `--dbdir=${database}`,
    "--user=postgrey",
    "--group=postgrey",
    `--delay=${options.delaySeconds ?? 1}`,
    "--auto-whitelist-clients=0",
    `--whitelist-clients=${join(home, "clients")}`,
    `--whitelist-recipients=${join(home, "recipients")}`,
    `--pidfile=${join(home, "pid")}`,
  ];
  const question = "request=smtpd_access_policy\nprotocol_state=CONNECT\nclient_address=192.0.2.1\ninstance=ready\n\n";
  const service = await startService(programPath("postgrey"), args, {
    logFile: join(home, "log"),
    env: { ...process.env, PERL5LIB: modules, LC_ALL: "C" },
    ready: () => ask(port, question),
  });
  return { ...service, port, address: `inet:127.0.0.1:${port}` };
}
