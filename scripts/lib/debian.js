// The Debian packages of the programs that the tests talk to: clients, peers and services. Installed only as root on
// Debian, said aloud, and without starting any daemon; the tests start their own copies. Plain JavaScript.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { withMutex } from "./mutex.js";

const PACKAGES = [
  "clamav-daemon",
  "curl",
  "libauthen-sasl-perl",
  "libio-socket-ssl-perl",
  "libnet-dns-perl",
  "libnet-ssleay-perl",
  "msmtp",
  "openssl",
  "postfix",
  "procps",
  "python3",
  "strace",
  "swaks",
];

/** Maintainer scripts ask this program before they start a daemon; 101 means no (invoke-rc.d(8)). */
const POLICY = "/usr/sbin/policy-rc.d";
const SAVED = `${POLICY}.before-postern`;
const MARK = "# For the time of an installation by Postern's tests";

/** Installs what is missing. A failure is told and not thrown: the tests that need it skip by name. */
export function installTestPackages(env = process.env) {
  if (!existsSync("/etc/debian_version")) return;
  const missing = findMissing();
  if (missing.length === 0) return;
  const names = missing.join(" ");
  if (env.POSTERN_TEST_INSTALL === "0") return say(`POSTERN_TEST_INSTALL=0, so these stay uninstalled: ${names}`);
  if (process.getuid?.() !== 0) return say(`only root can install these, their tests are skipped: ${names}`);
  say(`installing these Debian packages for the tests, no daemon is started: ${names}`);
  try {
    withMutex(
      "/run/lock/postern-test-install",
      () => say("another run is installing packages, waiting for it"),
      () => withoutDaemons(() => install(findMissing())),
    );
  } catch (error) {
    say(`nothing installed: ${error.message}`);
  }
}

function findMissing() {
  const { stdout } = spawnSync("dpkg-query", ["-W", "-f=${db:Status-Abbrev} ${Package}\n", ...PACKAGES], {
    encoding: "utf8",
  });
  const present = new Set();
  for (const line of (stdout ?? "").split("\n")) {
    const [status, name] = line.trim().split(/\s+/);
    if (status === "ii") present.add(name);
  }
  return PACKAGES.filter((name) => !present.has(name));
}

/** Together if it goes, else one by one, so that one that cannot be had does not cost the others. */
function install(missing) {
  if (missing.length === 0) return;
  if (aptInstall(missing).status === 0) return;
  // The index may be empty or old.
  apt(["update", "-qq"]);
  if (aptInstall(missing).status === 0) return;
  for (const name of missing) {
    const { status, stderr } = aptInstall([name]);
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

function apt(args) {
  return spawnSync("apt-get", ["-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0", ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", DEBCONF_NOWARNINGS: "yes", NEEDRESTART_MODE: "l" },
    stdio: ["ignore", "ignore", "pipe"],
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
}

function withoutDaemons(body) {
  // One of ours that a killed run left behind is no policy of the system's.
  if (existsSync(POLICY) && !readFileSync(POLICY, "utf8").includes(MARK)) renameSync(POLICY, SAVED);
  writeFileSync(POLICY, `#!/bin/sh\n${MARK}\nexit 101\n`, { mode: 0o755 });
  try {
    body();
  } finally {
    rmSync(POLICY, { force: true });
    if (existsSync(SAVED)) renameSync(SAVED, POLICY);
  }
}

function lastLine(text) {
  return (text ?? "").trim().split("\n").at(-1)?.slice(0, 200) || "apt-get gave no reason";
}

function say(sentence) {
  process.stderr.write(`postern: ${sentence}\n`);
}
