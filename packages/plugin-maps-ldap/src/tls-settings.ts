/** `tls_*`: what Postfix names for OpenLDAP's library, as Node's TLS wants it. Files are read at opening. */
import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { createSecureContext } from "node:tls";
import type { DatabaseParameters } from "@postern/core";
import type { TlsSettings } from "./settings.ts";

/** Throws `ConfigError`. */
export function readTlsSettings(
  parameters: DatabaseParameters,
  directory: string,
  warn: (message: string) => void,
): TlsSettings {
  const authorities = readAuthorities(parameters, directory);
  const cert = readNamed(parameters, "tls_cert", directory);
  const key = readNamed(parameters, "tls_key", directory);
  if ((cert === undefined) !== (key === undefined)) {
    throw parameters.mistake(cert === undefined ? "tls_cert" : "tls_key", "tls_cert and tls_key go together");
  }
  const ciphers = parameters.text("tls_cipher_suite");
  if (parameters.text("tls_random_file") !== undefined) {
    warn(`table ${parameters.label}: tls_random_file does nothing`);
  }
  const settings = {
    rejectUnauthorized: parameters.flag("tls_require_cert", false),
    ...(authorities === undefined ? {} : { ca: authorities }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(ciphers === undefined ? {} : { ciphers }),
  };
  prove(settings, parameters);
  return settings;
}

/** `tls_ca_cert_file` takes precedence. */
function readAuthorities(parameters: DatabaseParameters, directory: string): string[] | undefined {
  const file = readNamed(parameters, "tls_ca_cert_file", directory);
  const folder = parameters.text("tls_ca_cert_dir");
  if (file !== undefined || folder === undefined) return file === undefined ? undefined : [file];
  const path = resolve(directory, folder);
  let texts: string[];
  try {
    const names = readdirSync(path, { withFileTypes: true }).filter((entry) => !entry.isDirectory());
    texts = names.map(({ name }) => readFileSync(resolve(path, name), "latin1"));
  } catch (error) {
    throw parameters.mistake("tls_ca_cert_dir", `${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  const found = texts.filter((text) => text.includes("-----BEGIN CERTIFICATE-----"));
  if (found.length === 0) throw parameters.mistake("tls_ca_cert_dir", `${path} holds no certificate`);
  return found;
}

function readNamed(parameters: DatabaseParameters, key: string, directory: string): string | undefined {
  const name = parameters.text(key);
  if (name === undefined) return undefined;
  const path = resolve(directory, name);
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw parameters.mistake(key, `${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

function prove(settings: TlsSettings, parameters: DatabaseParameters): void {
  const { ciphers, ...rest } = settings;
  try {
    createSecureContext(rest);
  } catch (error) {
    throw parameters.mistake("tls_cert", `the certificates cannot be used: ${(error as Error).message}`);
  }
  if (ciphers === undefined) return;
  try {
    createSecureContext({ ciphers });
  } catch (error) {
    throw parameters.mistake("tls_cipher_suite", `no list of OpenSSL cipher names: ${(error as Error).message}`);
  }
}
