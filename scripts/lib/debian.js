// The Debian packages of the programs that the tests talk to: clients, peers and services. Installed only as root on
// Debian, said aloud, and without starting any daemon; the tests start their own copies. Plain JavaScript.
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { runQuietly } from "../../packages/cli/bin/child.js";
import { ShimError } from "../../packages/cli/bin/node.js";
import { withMutex } from "./mutex.js";

const PACKAGES = [
  "c-icap",
  "clamav-daemon",
  "clamav-milter",
  "curl",
  "knot",
  "knot-dnsutils",
  "ldap-utils",
  "libauthen-sasl-perl",
  "libc-icap-mod-virus-scan",
  "libio-socket-ssl-perl",
  "libnet-dns-perl",
  "libnet-ssleay-perl",
  "mariadb-client",
  "mariadb-server",
  "memcached",
  "msmtp",
  "opendkim",
  "opendkim-tools",
  "openssl",
  "postfix",
  "postfix-cdb",
  "postfix-ldap",
  "postfix-lmdb",
  "postfix-mysql",
  "postfix-pcre",
  "postfix-pgsql",
  "postfix-policyd-spf-python",
  "postfix-sqlite",
  "postgresql-15",
  "postgrey",
  "procps",
  "python3",
  "python3-dkim",
  "python3-milter",
  "redis-server",
  "rspamd",
  "slapd",
  "socat",
  "spamass-milter",
  "spamc",
  "spamd",
  "strace",
  "swaks",
];

/** Maintainer scripts ask this program before they start a daemon; 101 means no (invoke-rc.d(8)). */
const POLICY = "/usr/sbin/policy-rc.d";
const SAVED = `${POLICY}.before-postern`;
const MARK = "# For the time of an installation by Postern's tests";

/** Installs what is missing. A failure is told and not thrown: the tests that need it skip by name. */
export async function installTestPackages(env = process.env) {
  if (!existsSync("/etc/debian_version")) return;
  const missing = await findMissing();
  if (missing.length === 0) return;
  const names = missing.join(" ");
  if (env.POSTERN_TEST_INSTALL === "0") return say(`POSTERN_TEST_INSTALL=0, so these stay uninstalled: ${names}`);
  if (process.getuid?.() !== 0) return say(`only root can install these, their tests are skipped: ${names}`);
  say(`installing these Debian packages for the tests, no daemon is started: ${names}`);
  try {
    await withMutex(
      "/run/lock/postern-test-install",
      () => say("another run is installing packages, waiting for it"),
      () => withoutDaemons(async () => install(await findMissing())),
    );
  } catch (error) {
    if (error instanceof ShimError) throw error;
    say(`nothing installed: ${error.message}`);
  }
}

async function findMissing() {
  const format = "-f=${db:Status-Abbrev} ${Package}\n";
  const { stdout } = await runQuietly("dpkg-query", ["-W", format, ...PACKAGES]);
  const present = new Set();
  for (const line of stdout.split("\n")) {
    const [status, name] = line.trim().split(/\s+/);
    if (status === "ii") present.add(name);
  }
  return PACKAGES.filter((name) => !present.has(name));
}

/** Together if it goes, else one by one, so that one that cannot be had does not cost the others. */
async function install(missing) {
  if (missing.length === 0) return;
  if ((await aptInstall(missing)).status === 0) return;
  // The index may be empty or old.
  await apt(["update", "-qq"]);
  if ((await aptInstall(missing)).status === 0) return;
  for (const name of missing) {
    const { status, stderr } = await aptInstall([name]);
    if (status !== 0) say(`${name} could not be installed: ${lastLine(stderr)}`);
  }
}

/** `--no-remove`: a mail server that is there already is not thrown out for the tests' sake. */
function aptInstall(names) {
  return apt(
    ["install", "-y", "-qq", "--no-install-recommends", "--no-remove", "-o", "Dpkg::Options::=--force-confold"].concat(
      names,
    ),
  );
}

async function apt(args) {
  const result = await runQuietly("apt-get", ["-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0", ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", DEBCONF_NOWARNINGS: "yes", NEEDRESTART_MODE: "l" },
  });
  if (result.status > 128) throw new ShimError("installing packages was interrupted", result.status);
  return result;
}

async function withoutDaemons(body) {
  // One of ours that a killed run left behind is no policy of the system's.
  if (existsSync(POLICY) && !readFileSync(POLICY, "utf8").includes(MARK)) renameSync(POLICY, SAVED);
  writeFileSync(POLICY, `#!/bin/sh\n${MARK}\nexit 101\n`, { mode: 0o755 });
  try {
    await body();
  } finally {
    rmSync(POLICY, { force: true });
    if (existsSync(SAVED)) renameSync(SAVED, POLICY);
  }
}

function lastLine(text) {
  return text.trim().split("\n").at(-1)?.slice(0, 200) || "apt-get gave no reason";
}

function say(sentence) {
  process.stderr.write(`postern: ${sentence}\n`);
}
