/** The key and certificate of a config: read, and tried out, so that a mistake shows at start and not with the first client. */
import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import { ConfigError } from "../errors.ts";

export interface TlsFiles {
  readonly key: Buffer;
  readonly cert: Buffer;
}

/** Absolute paths to PEM files. Throws `ConfigError`. */
export async function readTlsFiles(paths: { readonly key: string; readonly cert: string }): Promise<TlsFiles> {
  const read = async (name: "key" | "cert"): Promise<Buffer> => {
    try {
      return await readFile(paths[name]);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const why = code === "ENOENT" ? "does not exist" : `cannot be read (${code})`;
      throw new ConfigError(`tls.${name}: ${paths[name]} ${why}`, { cause: error });
    }
  };
  const files = { key: await read("key"), cert: await read("cert") };
  attempt(() => createSecureContext({ cert: files.cert }), `tls.cert: ${paths.cert} holds no certificate in PEM`);
  attempt(
    () => createSecureContext({ key: files.key }),
    `tls.key: ${paths.key} holds no private key in PEM without passphrase`,
  );
  attempt(() => createSecureContext(files), `tls.key: ${paths.key} is not the key of ${paths.cert}`);
  return files;
}

function attempt(call: () => void, sentence: string): void {
  try {
    call();
  } catch (error) {
    throw new ConfigError(sentence, { cause: error });
  }
}
