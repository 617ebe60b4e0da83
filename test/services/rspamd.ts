// Rspamd with its scanner (HTTP), its proxy as a milter, and its controller; without Redis, fuzzy hashes, and lists from outside.
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { freePort } from "./ports.ts";
import { programPath } from "./programs.ts";
import { startService } from "./service.ts";
import type { Service } from "./service.ts";
import { giveTo } from "./users.ts";

export interface RspamdOptions {
  /** Its data go into `rspamd` below this folder, which must be open to other users; starting again there with the same ports resumes it. */
  readonly folder: string;
  readonly port?: number;
  /** More files of local.d by name, such as `actions.conf`; they replace ours. */
  readonly files?: Readonly<Record<string, string>>;
  /** More lines for options.inc. */
  readonly options?: readonly string[];
  /** More Lua for rspamd.local.lua. */
  readonly lua?: string;
}

export interface Rspamd extends Service {
  readonly host: "127.0.0.1";
  /** The scanner, for `/checkv2`. */
  readonly port: number;
  /** The same over a unix socket. */
  readonly socket: string;
  readonly milterPort: number;
  readonly controllerPort: number;
  /** The controller's. */
  readonly password: string;
}

const password = "secret";

/** What needs Redis, the network, or to have learnt something. */
const without = ["asn", "fuzzy_check", "surbl", "phishing", "greylist", "ratelimit", "history_redis", "neural"].concat(
  ["bayes_expiry", "mx_check", "url_redirector", "replies", "elastic", "clickhouse", "metric_exporter", "reputation"],
  ["dcc", "p0f", "antivirus", "external_services", "known_senders", "hfilter", "rbl", "spf", "dkim", "dmarc", "arc"],
);

/** `X-Test-Spam: yes` scores 50, `X-Test-Score: n` scores n. */
const rules = `config.regexp["TEST_SPAM"] = { re = "X-Test-Spam=/yes/{header}", score = 50.0, description = "forced by the test" }
rspamd_config:register_symbol({ name = "TEST_SCORE", type = "normal", callback = function(task)
  local score = tonumber(task:get_header("X-Test-Score") or "")
  if score then task:insert_result("TEST_SCORE", score) end
end })
rspamd_config:set_metric_symbol({ name = "TEST_SCORE", score = 1.0, description = "as the test says" })
`;

/** As root it becomes its own user. */
export async function startRspamd(options: RspamdOptions): Promise<Rspamd> {
  const home = join(options.folder, "rspamd");
  const local = join(home, "local.d");
  const [port, milterPort, controllerPort] = [options.port ?? (await freePort()), await freePort(), await freePort()];
  const socket = join(home, "run", "normal.sock");
  for (const folder of [local, ...["override.d", "db", "run", "log"].map((name) => join(home, name))]) {
    mkdirSync(folder, { recursive: true });
  }
  // The packaged list of public suffixes takes 10 to 20 s of CPU to compile at the first start; a short one takes none.
  writeFileSync(join(home, "tld"), "com\nnet\norg\ntest\nco.uk\n");
  const files: Readonly<Record<string, string>> = {
    "options.inc": `control_socket = "${join(home, "run", "ctl")} mode=0600";
hs_cache_dir = "${join(home, "db")}";
explicit_modules = [];
filters = "chartable,dkim,regexp";
dns { nameserver = ["127.0.0.1:1:10"]; timeout = 0.01s; retransmits = 1; enable_dnssec = false; }
local_addrs = [];
task_timeout = 8s;
url_tld = "${join(home, "tld")}";
disable_hyperscan = true;
${(options.options ?? []).join("\n")}
`,
    "logging.inc": 'type = "console"; level = "notice"; color = false;',
    "worker-normal.inc": `bind_socket = "127.0.0.1:${port}"; bind_socket = "${socket} mode=0666"; count = 1;`,
    "worker-controller.inc": `bind_socket = "127.0.0.1:${controllerPort}"; count = 1; password = "${password}"; enable_password = "${password}"; secure_ip = [];`,
    "worker-proxy.inc": `bind_socket = "127.0.0.1:${milterPort}"; count = 1; milter = yes; timeout = 10s; upstream "local" { default = yes; self_scan = yes; }`,
    "worker-fuzzy.inc": "enabled = false;",
    "milter_headers.conf":
      'use = ["x-spamd-bar", "x-spam-status", "authentication-results"]; extended_spam_headers = true; skip_local = false; skip_authenticated = false;',
    "actions.conf": "reject = 15; add_header = 6; rewrite_subject = 8; greylist = null;",
    "classifier-bayes.conf": "enabled = false;",
    "regexp.conf": "",
    ...Object.fromEntries(without.map((name) => [`${name}.conf`, "enabled = false;"])),
    ...options.files,
  };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(local, name), `${content}\n`);
  writeFileSync(join(home, "rspamd.local.lua"), `${rules}${options.lua ?? ""}`);
  const root = process.getuid?.() === 0;
  if (root) {
    chmodSync(options.folder, 0o755);
    giveTo("_rspamd", home);
  }
  const service = await startService(
    programPath("rspamd"),
    [
      "-f",
      // Root is refused otherwise.
      ...(root ? ["-u", "_rspamd", "-g", "_rspamd"] : []),
      "-c",
      "/etc/rspamd/rspamd.conf",
      `--var=LOCAL_CONFDIR=${home}`,
      `--var=DBDIR=${join(home, "db")}`,
      `--var=RUNDIR=${join(home, "run")}`,
      `--var=LOGDIR=${join(home, "log")}`,
    ],
    {
      logFile: join(options.folder, "rspamd.log"),
      ownGroup: true,
      ready: async () => {
        await ping(port);
        await ping(controllerPort);
      },
    },
  );
  return { ...service, host: "127.0.0.1", port, socket, milterPort, controllerPort, password };
}

function ping(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = get({ host: "127.0.0.1", port, path: "/ping", agent: false, timeout: 30_000 }, (response) => {
      response.resume();
      if (response.statusCode === 200) resolve();
      else reject(new Error(`/ping was answered with ${response.statusCode}`));
    });
    request.on("timeout", () => request.destroy(new Error("no answer to /ping")));
    request.on("error", reject);
  });
}
