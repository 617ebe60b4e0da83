/**
 * Secrets are named in a config, never written there: `{ file: "./password" }`, `{ env: "PASSWORD" }` or
 * `{ credential: "password" }` (systemd). The value is read when it is needed and is never printed.
 */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { inspect } from "node:util";
import { z } from "zod";
import { ConfigError } from "../errors.ts";

export type SecretSource = { readonly file: string } | { readonly env: string } | { readonly credential: string };

const redacted = "[secret]";
/** No password or key is longer; whoever names /dev/zero is told so. */
const longestBytes = 64 * 1024;

/** Where a secret is. However it is printed, the value is not in it. */
export class Secret {
  readonly #source: SecretSource;

  constructor(source: SecretSource) {
    this.#source = source;
  }

  /**
   * The value, without one final line end. A relative file is sought from `directory`, the config's folder.
   * Throws `ConfigError`, naming the source, when it is missing or empty.
   */
  reveal(directory: string, env: NodeJS.ProcessEnv = process.env): string {
    const value = this.#read(directory, env)?.replace(/\r?\n$/, "");
    if (value === undefined || value === "")
      throw new ConfigError(`the secret in ${this.describe()} is not there or empty`);
    return value;
  }

  #read(directory: string, env: NodeJS.ProcessEnv): string | undefined {
    const source = this.#source;
    if ("env" in source) return env[source.env];
    if ("file" in source) return this.#readFile(resolve(directory, source.file));
    const folder = env["CREDENTIALS_DIRECTORY"];
    return folder === undefined ? undefined : this.#readFile(join(folder, source.credential));
  }

  #readFile(path: string): string {
    try {
      const value = readFileSync(path);
      if (value.length > longestBytes) throw new ConfigError(`the secret in ${this.describe()} is longer than 64 KB`);
      return value.toString("utf8");
    } catch (error) {
      if (error instanceof ConfigError) throw error;
      const code = (error as NodeJS.ErrnoException).code ?? "unknown error";
      throw new ConfigError(`the secret in ${this.describe()} cannot be read (${code})`, { cause: error });
    }
  }

  /** `file ./password`: the place, not the value. */
  describe(): string {
    const [[kind, name] = ["", ""]] = Object.entries(this.#source);
    return `${kind} ${name}`;
  }

  toJSON(): string {
    return redacted;
  }
  toString(): string {
    return redacted;
  }
  [inspect.custom](): string {
    return redacted;
  }
}

const name = z.string().min(1);
const source = z.union([
  z.strictObject({ file: name }),
  z.strictObject({ env: name }),
  z.strictObject({ credential: z.string().regex(/^[^/]+$/) }),
]);
const expected = 'a secret as { file: "…" }, { env: "…" } or { credential: "…" }, never the value itself';

/** Schema of a secret: it becomes a `Secret`. What is written in its place is not repeated in the error. */
export function secret(): z.ZodType<Secret, SecretSource> {
  return z
    .custom<SecretSource>((value) => source.safeParse(value).success, {
      message: `expected ${expected}`,
      params: { expected, secret: true },
    })
    .transform((value) => new Secret(value))
    .meta({ kind: "secret" });
}
