// OpenDKIM as a milter: signs mail of its internal hosts, verifies everybody else's.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startMilter, type Milter } from "./libmilter.ts";
import { freePort } from "./ports.ts";
import { programPath } from "./programs.ts";

export interface OpendkimOptions {
  /** Its data go into a folder `name` below this one. */
  readonly folder: string;
  /** "opendkim". */
  readonly name?: string;
  readonly port?: number;
  /** PEM; one of its own unless given. */
  readonly key?: string;
  /** Hosts whose mail is signed: "127.0.0.1". An address that nobody has makes it verify everything. */
  readonly internal?: string;
  /** A name server on 127.0.0.1. */
  readonly dnsPort?: number;
  /** More lines for opendkim.conf. */
  readonly lines?: readonly string[];
}

export interface Opendkim extends Milter {
  /** The private key, PEM, of `sel._domainkey.example.test`. */
  readonly key: string;
  /** The record of that name: `v=DKIM1; k=rsa; p=…`. */
  readonly record: string;
}

export async function startOpendkim(options: OpendkimOptions): Promise<Opendkim> {
  const home = join(options.folder, options.name ?? "opendkim");
  const config = join(home, "opendkim.conf");
  const port = options.port ?? (await freePort());
  const key = options.key ?? join(home, "key.pem");
  mkdirSync(home, { recursive: true });
  const openssl = (...args: string[]) =>
    execFileSync(programPath("openssl"), args, { stdio: ["ignore", "pipe", "ignore"] });
  if (!existsSync(key)) openssl("genrsa", "-out", key, "2048");
  const publicKey = openssl("rsa", "-in", key, "-pubout", "-outform", "DER").toString("base64");
  writeFileSync(join(home, "internal"), `${options.internal ?? "127.0.0.1"}\n`);
  const settings = [
    "Mode sv",
    `Socket inet:${port}@127.0.0.1`,
    "Domain example.test",
    "Selector sel",
    `KeyFile ${key}`,
    "RequireSafeKeys no",
    "Canonicalization relaxed/relaxed",
    `InternalHosts ${join(home, "internal")}`,
    "AuthservID mx.example.test",
    "AlwaysAddARHeader yes",
    "On-BadSignature accept",
    "DNSTimeout 3",
    "Background no",
    "Syslog no",
    "LogResults yes",
    `UserID ${execFileSync("id", ["-un"], { encoding: "utf8" }).trim()}`,
    ...(options.dnsPort === undefined ? [] : [`ResolverConfiguration ${resolver(home, options.dnsPort)}`]),
    ...(options.lines ?? []),
  ];
  writeFileSync(config, `${settings.join("\n")}\n`);
  const milter = await startMilter(programPath("opendkim"), ["-f", "-x", config], port, {
    logFile: join(home, "opendkim.log"),
  });
  return { ...milter, key: readFileSync(key, "utf8"), record: `v=DKIM1; k=rsa; p=${publicKey}` };
}

/** It resolves by libunbound, which reads a file of its own: a server on any port can be named. */
function resolver(home: string, port: number): string {
  const file = join(home, "resolver.conf");
  writeFileSync(
    file,
    `server:
  do-not-query-localhost: no
  local-zone: "test." nodefault
forward-zone:
  name: "."
  forward-addr: 127.0.0.1@${port}
`,
  );
  return file;
}
