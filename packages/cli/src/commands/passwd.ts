/** `postern passwd`: the hash of a password for the table of @postern/plugin-auth, or whether a hash is a password's. */
import { pathToFileURL } from "node:url";
import { resolvePlugin } from "@postern/core";
import { exitCodes } from "../exit-codes.ts";
import { UsageError } from "../failure.ts";
import { ownFolder } from "../inspection.ts";
import { print, type Output } from "../output.ts";
import { readPassword } from "../read-password.ts";

export interface PasswdOptions {
  readonly json?: boolean;
  readonly scheme?: string;
  readonly identity?: string;
  readonly check?: string;
}

/** What of the plugin is used. */
interface Hashing {
  readonly schemes: readonly string[];
  hashPassword(password: string, scheme?: string): string;
  /** Throws for what is no hash. */
  verifyPassword(password: string, hash: string): boolean;
  /** The same without a password, at once. */
  parseHash(hash: string): unknown;
}

const plugin = "@postern/plugin-auth";

/** 0, or 1 when `--check`'s hash is not the password's. */
export async function passwd(
  { json, scheme = "scrypt", identity, check }: PasswdOptions,
  cwd: string,
  { output, input }: { readonly output: Output; readonly input?: AsyncIterable<Uint8Array> | undefined },
): Promise<number> {
  const hashing = (await import(pathToFileURL(resolvePlugin(plugin, [cwd, ownFolder])).href)) as Hashing;
  if (!hashing.schemes.includes(scheme)) {
    throw new UsageError(`there is no scheme "${scheme}"; there are ${hashing.schemes.join(", ")}`);
  }
  if (identity !== undefined && !/^[^\s#"\u0000-\u001f][^\s\u0000-\u001f]*$/.test(identity)) {
    throw new UsageError("an identity is one word, as user@example.com");
  }
  if (check !== undefined) {
    orUsage(() => hashing.parseHash(check));
    const password = await readPassword({ output, input, twice: false });
    const same = hashing.verifyPassword(password, check);
    print(output, json, { ok: same }, () => (same ? "the password is right\n" : "the password is wrong\n"));
    return same ? exitCodes.ok : exitCodes.notFound;
  }
  const password = await readPassword({ output, input, twice: true });
  const hash = orUsage(() => hashing.hashPassword(password, scheme));
  const data = { scheme, ...(identity !== undefined && { identity }), hash };
  print(output, json, data, () => (identity === undefined ? `${hash}\n` : `${identity}\t${hash}\n`));
  return exitCodes.ok;
}

function orUsage<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
