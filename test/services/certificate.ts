// Self-signed certificates, made by openssl.
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { programPath } from "./programs.ts";

export interface Certificate {
  /** Paths of PEM files. The certificate is its own authority. */
  readonly cert: string;
  readonly key: string;
}

/** A certificate for these host names and for 127.0.0.1, valid for ten days, as `name.pem` and `name.key` in the folder. */
export function makeCertificate(folder: string, names: readonly [string, ...string[]], name = "tls"): Certificate {
  const cert = join(folder, `${name}.pem`);
  const key = join(folder, `${name}.key`);
  const alternatives = [...names.map((host) => `DNS:${host}`), "IP:127.0.0.1"].join(",");
  const make = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "10"];
  const subject = ["-subj", `/CN=${names[0]}`, "-addext", `subjectAltName=${alternatives}`];
  execFileSync(programPath("openssl"), [...make, ...subject, "-keyout", key, "-out", cert], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  return { cert, key };
}
