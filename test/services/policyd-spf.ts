// policyd-spf: SPF behind Postfix's policy protocol. It speaks on its standard input and output, so that socat starts one for each
// connection, as Postfix's spawn(8) would. Its resolver is the system's; a few lines in front of it name the test's.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ask, freePort } from "./ports.ts";
import { programPath } from "./programs.ts";
import { startService } from "./service.ts";
import type { Service } from "./service.ts";

export interface PolicydSpfOptions {
  /** Its data go into `policyd-spf` below this folder. */
  readonly folder: string;
  /** The name server that it asks, on 127.0.0.1. */
  readonly dnsPort: number;
  /** Over those of the package. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface PolicydSpf extends Service {
  readonly port: number;
  /** `inet:127.0.0.1:port`. */
  readonly address: string;
  /** The same by `unix:path`. */
  readonly socket: string;
}

export async function startPolicydSpf(options: PolicydSpfOptions): Promise<PolicydSpf> {
  const home = join(options.folder, "policyd-spf");
  mkdirSync(home, { recursive: true });
  const config = join(home, "policyd-spf.conf");
  const settings = {
    debugLevel: "1",
    TestOnly: "1",
    HELO_reject: "Fail",
    Mail_From_reject: "Fail",
    PermError_reject: "False",
    TempError_Defer: "True",
    skip_addresses: "127.9.9.9/32",
    Lookup_Time: "5",
    ...options.settings,
  };
  writeFileSync(
    config,
    Object.entries(settings)
      .map(([name, value]) => `${name} = ${value}\n`)
      .join(""),
  );
  const starter = join(home, "starter.py");
  writeFileSync(
    starter,
    `import runpy, sys
try:
    import dns.resolver
    own = dns.resolver.Resolver(configure=False)
    own.nameservers = ["127.0.0.1"]
    own.port = ${options.dnsPort}
    dns.resolver.default_resolver = own
except ImportError:
    import DNS
    DNS.defaults.update(server=["127.0.0.1"], port=${options.dnsPort})
    DNS.DiscoverNameServers = lambda *given: None
sys.argv = ["policyd-spf", "${config}"]
runpy.run_path("${programPath("policyd-spf")}", run_name="__main__")
`,
  );
  // The one that Debian's package belongs to, whatever else is first in the path.
  const python = existsSync("/usr/bin/python3") ? "/usr/bin/python3" : programPath("python3");
  const port = await freePort();
  const socket = join(home, "socket");
  const own = { logFile: join(home, "log"), ownGroup: true };
  const run = `EXEC:${python} ${starter}`;
  const question = "request=smtpd_access_policy\nprotocol_state=RCPT\nclient_address=127.9.9.9\ninstance=ready\n\n";
  const inet = await startService(programPath("socat"), [`TCP-LISTEN:${port},bind=127.0.0.1,reuseaddr,fork`, run], {
    ...own,
    ready: () => ask(port, question, 10_000),
  });
  const unix = await startService(programPath("socat"), [`UNIX-LISTEN:${socket},fork,mode=600,unlink-early`, run], {
    ...own,
    ready: () => ask(socket, question, 10_000),
  });
  const both = (end: (service: Service) => Promise<void>) => async () => {
    await Promise.all([end(inet), end(unix)]);
  };
  const stop = both((service) => service.stop());
  return {
    ...inet,
    port,
    address: `inet:127.0.0.1:${port}`,
    socket: `unix:${socket}`,
    stop,
    kill: both((service) => service.kill()),
    [Symbol.asyncDispose]: stop,
  };
}
