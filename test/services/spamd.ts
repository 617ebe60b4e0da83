// SpamAssassin's daemon with local rules alone: no DNS, nothing learnt, nothing downloaded.
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ask, freePort } from "./ports.ts";
import { programPath } from "./programs.ts";
import { startService } from "./service.ts";
import type { Service } from "./service.ts";
import { giveTo } from "./users.ts";

export interface SpamdOptions {
  /** Its data go into `spamd` below this folder, which must be open to other users; starting again there with the same port resumes it. */
  readonly folder: string;
  readonly port?: number;
  /** 2. */
  readonly children?: number;
  /** More lines for local.cf. */
  readonly lines?: readonly string[];
  readonly args?: readonly string[];
}

export interface Spamd extends Service {
  readonly host: "127.0.0.1";
  readonly port: number;
  /** The unix socket. */
  readonly socket: string;
}

/** A message with this field scores 50 more; one is spam from 5. */
export const testSpamField = "X-Test-Spam: yes";

const rules = `use_bayes 0
use_auto_welcomelist 0
skip_rbl_checks 1
dns_available no
required_score 5
report_safe 0
header   TEST_SPAM  X-Test-Spam =~ /yes/
score    TEST_SPAM  50
describe TEST_SPAM  forced by the test
`;

// Each takes time to load; these are what the packaged rules need at least.
const plugins = [
  "Check",
  "HTMLEval",
  "HeaderEval",
  "MIMEEval",
  "BodyEval",
  "MIMEHeader",
  "FreeMail",
  "ImageInfo",
].concat(["RelayEval", "WLBLEval", "URIEval", "URIDetail", "ReplaceTags"]);

/** As root it becomes its own user. */
export async function startSpamd(options: SpamdOptions): Promise<Spamd> {
  const home = join(options.folder, "spamd");
  const site = join(home, "site");
  const socket = join(home, "sock");
  const port = options.port ?? (await freePort());
  mkdirSync(site, { recursive: true });
  mkdirSync(join(home, "home"), { recursive: true });
  writeFileSync(join(site, "local.cf"), `${rules}${(options.lines ?? []).join("\n")}\n`);
  writeFileSync(
    join(site, "init.pre"),
    plugins.map((name) => `loadplugin Mail::SpamAssassin::Plugin::${name}\n`).join(""),
  );
  const root = process.getuid?.() === 0;
  if (root) {
    chmodSync(options.folder, 0o755);
    giveTo("debian-spamd", home);
  }
  const children = options.children ?? 2;
  const service = await startService(
    programPath("spamd"),
    [
      "-L",
      "-x",
      `--siteconfigpath=${site}`,
      `--port=${port}`,
      "--listen-ip=127.0.0.1",
      "--allowed-ips=127.0.0.1",
      `--socketpath=${socket}`,
      "--socketmode=666",
      `--max-children=${children}`,
      `--min-children=${children}`,
      "--syslog=stderr",
      `--helper-home-dir=${join(home, "home")}`,
      ...(root ? ["--username=debian-spamd", "--groupname=debian-spamd"] : []),
      ...(options.args ?? []),
    ],
    {
      logFile: join(options.folder, "spamd.log"),
      env: { ...process.env, HOME: join(home, "home"), LC_ALL: "C" },
      // Its children take the connections.
      ownGroup: true,
      ready: async () => {
        for (const address of [port, socket]) {
          const answer = await ask(address, "PING SPAMC/1.2\r\n\r\n");
          if (!answer.includes("PONG")) throw new Error(`spamd answered ${JSON.stringify(answer)}`);
        }
      },
    },
  );
  return { ...service, host: "127.0.0.1", port, socket };
}
