// Knot DNS: an authoritative server for zones of the test's own, on UDP and TCP. Unsigned; it does not recurse, so that
// what is in no zone does not exist. A resolver may ask it as if it were a recursive one.
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "./ports.ts";
import { programPath } from "./programs.ts";
import { startService } from "./service.ts";
import type { Service } from "./service.ts";

/** Records of a zone as master files write them (RFC 1035 §5), by the zone's name: `{ "example.test": "@ MX 10 mx1\nmx1 A 192.0.2.1" }`. */
export type Zones = Readonly<Record<string, string>>;

export interface KnotOptions {
  /** Its data go into a folder below this one; starting again there with the same port resumes it. */
  readonly folder: string;
  /** Name of that folder: "knot". */
  readonly name?: string;
  /** An address of loopback: 127.0.0.1. */
  readonly address?: string;
  readonly port?: number;
  /**
   * SOA and NS are added where a zone has none, its TTL is a minute (`$TTL` changes it). An empty root zone stands behind all others,
   * so that every other name gets NXDOMAIN.
   */
  readonly zones: Zones;
  /** Zones that cannot be loaded: every name in them gets SERVFAIL. */
  readonly dead?: readonly string[];
  /** Whole lines for the section `server` of knot.conf: `udp-max-payload: 512`. */
  readonly lines?: readonly string[];
}

export interface Knot extends Service {
  readonly address: string;
  readonly port: number;
  /** `address:port`, as `dns.servers` wants it. */
  readonly server: string;
  /** Replaces zones that it was started with; resolves when it answers by them. */
  replace(zones: Zones): void;
}

export async function startKnot(options: KnotOptions): Promise<Knot> {
  const home = join(options.folder, options.name ?? "knot");
  const run = join(home, "run");
  const address = options.address ?? "127.0.0.1";
  const port = options.port ?? (await freePort());
  const zones: Zones = { ".": "", ...options.zones };
  const control = join(run, "control");
  for (const folder of [run, join(home, "zones"), join(home, "database")]) mkdirSync(folder, { recursive: true });
  const write = (name: string, text: string) => writeFileSync(zoneFile(home, name), composeZone(name, text));
  for (const [name, text] of Object.entries(zones)) write(name, text);
  const config = join(home, "knot.conf");
  const own = [...Object.keys(zones), ...(options.dead ?? [])];
  writeFileSync(config, `${composeConfig(home, control, `${address}@${port}`, own, options.lines ?? []).join("\n")}\n`);
  const dig = (type: string, name: string) =>
    execFileSync(programPath("kdig"), [`@${address}`, "-p", `${port}`, "+tcp", "+time=30", "+retry=0", name, type], {
      encoding: "utf8",
      stdio: "pipe",
      timeout: 30_000,
    });
  const service = await startService(programPath("knotd"), ["-c", config], {
    logFile: join(home, "knot.log"),
    // Its zones are loaded one by one while it answers already.
    ready: async () => {
      for (const name of Object.keys(zones)) {
        if (!/status: NOERROR/.test(dig("SOA", fullName(name)))) throw new Error(`zone ${name} is not loaded`);
      }
    },
  });
  return {
    ...service,
    address,
    port,
    server: `${address}:${port}`,
    replace(changed) {
      for (const [name, text] of Object.entries(changed)) {
        if (zones[name] === undefined) throw new Error(`knot was not started with a zone ${name}`);
        write(name, text);
      }
      const names = Object.keys(changed).map(fullName);
      // `-f -b`: the file as it is, whatever its serial, and only then back.
      execFileSync(programPath("knotc"), ["-s", control, "-f", "-b", "zone-reload", ...names], { stdio: "pipe" });
    },
  };
}

function composeConfig(
  home: string,
  control: string,
  listen: string,
  zones: readonly string[],
  lines: readonly string[],
): string[] {
  return [
    "server:",
    `  rundir: ${join(home, "run")}`,
    `  listen: ${listen}`,
    "  udp-workers: 1",
    "  tcp-workers: 1",
    "  background-workers: 1",
    ...lines.map((line) => `  ${line}`),
    "control:",
    `  listen: ${control}`,
    "log:",
    "  - target: stderr",
    "    any: warning",
    "database:",
    `  storage: ${join(home, "database")}`,
    "template:",
    "  - id: default",
    `    storage: ${join(home, "zones")}`,
    "    zonefile-sync: -1",
    "    zonefile-load: whole",
    "    journal-content: none",
    "    semantic-checks: off",
    "zone:",
    ...zones.flatMap((name) => [`  - domain: ${fullName(name)}`, `    file: ${zoneFile(home, name)}`]),
  ];
}

function composeZone(name: string, text: string): string {
  const origin = fullName(name);
  const has = (type: string) => new RegExp(`^@\\s(?:.*\\s)?${type}\\s`, "m").test(text);
  const lines = [`$ORIGIN ${origin}`, "$TTL 60"];
  if (!has("SOA")) lines.push("@ SOA ns.invalid. root.invalid. 1 3600 600 86400 60");
  if (!has("NS")) lines.push("@ NS ns.invalid.");
  return `${[...lines, text].join("\n")}\n`;
}

function zoneFile(home: string, name: string): string {
  return join(home, "zones", name === "." ? "root.zone" : `${name}.zone`);
}

function fullName(name: string): string {
  return name.endsWith(".") ? name : `${name}.`;
}
