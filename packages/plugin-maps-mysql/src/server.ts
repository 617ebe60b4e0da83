/** Which servers, as whom, and how long to wait: all parameters that say nothing of the query. Tables that agree in them share their connections. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { isIP } from "node:net";
import { join, resolve } from "node:path";
import type { ConnectionOptions } from "mysql2";
import type { DatabaseParameters } from "@postern/core";
import { defaultHost, parseHost, type HostAddress } from "./hosts.ts";
import { readOptionFile, type OptionFile } from "./option-file.ts";

type Tls = Exclude<ConnectionOptions["ssl"], string | undefined>;

export interface ServerLogin {
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** mysql2's name: "UTF8MB4_GENERAL_CI". */
  readonly collation: string;
  /** For TCP only. */
  readonly tls?: Tls;
}

export interface ServerSettings {
  readonly hosts: readonly HostAddress[];
  readonly login: ServerLogin;
  /** The most connections at a time, over all hosts. */
  readonly connections: number;
  readonly idleMs: number;
  /** How long a host that failed is left alone while another answers. */
  readonly retryMs: number;
  readonly connectMs: number;
  readonly queryMs: number;
}

/** Default collation of each charset as MySQL's library has it; only those in which every key can be written. */
const collations: Readonly<Record<string, string>> = {
  utf8mb4: "UTF8MB4_GENERAL_CI",
  utf8mb3: "UTF8_GENERAL_CI",
  utf8: "UTF8_GENERAL_CI",
};

/** Read when no `option_file` is named, as MySQL's library does. */
const globalOptionFiles = ["/etc/my.cnf", "/etc/mysql/my.cnf"];

/** Throws `ConfigError` naming the key. */
export function readServerSettings(parameters: DatabaseParameters, directory: string): ServerSettings {
  const options = readOptions(parameters, directory);
  const charset = parameters.text("charset") ?? "utf8mb4";
  const collation = collations[charset.toLowerCase()];
  if (collation === undefined) {
    throw parameters.mistake(
      "charset",
      `"${charset}" cannot carry every address; known are ${Object.keys(collations).join(", ")}`,
    );
  }
  const tls = readTls(parameters, directory, options);
  const hosts = readHosts(parameters, options);
  const nameless = hosts.find((address) => address.kind === "inet" && isIP(address.host) !== 0);
  if (tls?.verifyIdentity === true && nameless !== undefined) {
    // mysql2 would compare the certificate with "localhost".
    throw parameters.mistake(
      "tls_verify_cert",
      `"${nameless.text}" has no name to verify; write the server's name in hosts`,
    );
  }
  return {
    hosts,
    login: {
      user: parameters.text("user") ?? options.get("user") ?? "",
      password: parameters.text("password") ?? options.get("password") ?? "",
      database: parameters.required("dbname"),
      collation,
      ...(tls === undefined ? {} : { tls }),
    },
    connections: parameters.integer("connections", 10, { min: 1, max: 1000 }),
    idleMs: parameters.milliseconds("idle_interval", 60_000),
    retryMs: parameters.milliseconds("retry_interval", 60_000),
    connectMs: parameters.milliseconds("connect_timeout", 2000),
    queryMs: parameters.milliseconds("query_timeout", 4000),
  };
}

function readHosts(parameters: DatabaseParameters, options: OptionFile): HostAddress[] {
  const defaults = {
    port: Number(options.get("port") ?? defaultHost.port),
    socket: options.get("socket") ?? defaultHost.socket,
  };
  const words = parameters.list("hosts");
  if (words.length === 0) words.push(options.has("socket") ? "localhost" : (options.get("host") ?? "localhost"));
  return words.map((word) => {
    const address = parseHost(word, defaults);
    if (address === undefined) {
      throw parameters.mistake("hosts", `"${word}" is no host; write name:port, inet:name:port or unix:/path`);
    }
    return address;
  });
}

function readOptions(parameters: DatabaseParameters, directory: string): OptionFile {
  const named = parameters.text("option_file");
  const group = parameters.text("option_group") ?? (parameters.isEmpty("option_group") ? "" : "client");
  if (named === undefined && group === "") return new Map();
  const groups = new Set(["client", "client-server", "client-mariadb", group]);
  const options = new Map<string, string>();
  for (const path of named === undefined ? globalOptionFiles : [resolve(directory, named)]) {
    try {
      for (const [name, value] of readOptionFile(path, groups)) options.set(name, value);
    } catch (error) {
      if (named !== undefined) throw parameters.mistake("option_file", `cannot be read: ${(error as Error).message}`);
    }
  }
  return options;
}

/** TLS as soon as one of its parameters is there. With certificates to trust the server's is verified, its name with `tls_verify_cert`. */
function readTls(parameters: DatabaseParameters, directory: string, options: OptionFile): Tls | undefined {
  const read = (key: string, option: string): string | undefined => {
    const path = parameters.text(key) ?? options.get(option);
    if (path === undefined || path === "") return undefined;
    try {
      return readFileSync(resolve(directory, path), "utf8");
    } catch (error) {
      throw parameters.mistake(key, `cannot be read: ${(error as Error).message}`);
    }
  };
  const cert = read("tls_cert_file", "ssl-cert");
  const key = read("tls_key_file", "ssl-key");
  const file = read("tls_CAfile", "ssl-ca");
  const folder = parameters.text("tls_CApath") ?? options.get("ssl-capath");
  const ciphers = parameters.text("tls_ciphers") ?? options.get("ssl-cipher");
  const verifyIdentity = parameters.flag("tls_verify_cert", isOn(options.get("ssl-verify-server-cert")));
  let ca: string | string[] | undefined = file;
  if (file === undefined && folder !== undefined && folder !== "") {
    try {
      ca = readCertificates(resolve(directory, folder));
    } catch (error) {
      throw parameters.mistake("tls_CApath", `cannot be read: ${(error as Error).message}`);
    }
  }
  if ((cert ?? key ?? ca ?? ciphers) === undefined && !verifyIdentity) return undefined;
  if ((cert === undefined) !== (key === undefined)) {
    throw parameters.mistake(
      cert === undefined ? "tls_cert_file" : "tls_key_file",
      "a certificate and its key belong together",
    );
  }
  return {
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(ca === undefined ? {} : { ca }),
    ...(ciphers === undefined ? {} : { ciphers }),
    rejectUnauthorized: verifyIdentity || ca !== undefined,
    verifyIdentity,
  };
}

function readCertificates(folder: string): string[] {
  return readdirSync(folder)
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => readFileSync(path, "utf8"))
    .filter((text) => text.includes("-----BEGIN CERTIFICATE-----"));
}

/** An option without a value is on. */
function isOn(value: string | undefined): boolean {
  return value !== undefined && !/^(?:0|off|false|no|skip)$/i.test(value);
}
