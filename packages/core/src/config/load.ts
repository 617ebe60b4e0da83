/** Reads a config file with cosmiconfig's loaders and checks it. Its search is not used: it obeys files of the current folder. */
import { readFileSync } from "node:fs";
import { dirname, extname } from "node:path";
import { defaultLoaders } from "cosmiconfig";
import { ConfigError } from "../errors.ts";
import { importAsModules } from "./modules.ts";
import { ConfigProblems } from "./problem.ts";
import { resolveConfig, type ResolvedConfig } from "./resolve.ts";
import { currentUser, findDistrust, type TrustScope } from "./trust.ts";

export interface LoadedConfig {
  readonly file: string;
  /** As written: what the file says or its function returned. */
  readonly written: Readonly<Record<string, unknown>>;
  readonly config: ResolvedConfig;
}

export interface LoadOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly trust?: TrustScope;
  /** The system's name, for the default of `hostname`. */
  readonly systemHostname?: string;
  /** What is written, with what a command adds to it. */
  readonly complete?: (written: Readonly<Record<string, unknown>>) => object;
}

/** Throws `ConfigError`; `ConfigProblems` with all of them when the content is wrong. */
export async function loadConfig(file: string, options: LoadOptions = {}): Promise<LoadedConfig> {
  const { env = process.env, trust = currentUser() } = options;
  const distrust = findDistrust(file, trust);
  if (distrust !== undefined) throw new ConfigError(`${file}: ${distrust}`);
  const exported = await read(file);
  const written = typeof exported === "function" ? await computed(file, exported, env) : exported;
  if (typeof written !== "object" || written === null || Array.isArray(written)) {
    throw new ConfigProblems([{ file, path: "", message: missing(file, written) }]);
  }
  const completed = options.complete?.(written as Record<string, unknown>) ?? written;
  const config = resolveConfig(completed, { file, ...options });
  return { file, written: written as Record<string, unknown>, config };
}

async function read(file: string): Promise<unknown> {
  const extension = extname(file);
  const loader = defaultLoaders[extension as keyof typeof defaultLoaders] as
    (typeof defaultLoaders)[".json"] | undefined;
  if (loader === undefined || extension === "") {
    throw new ConfigError(`${file}: a config ends in .ts, .js, .json or .yaml`);
  }
  importAsModules(dirname(file));
  try {
    const content = readFileSync(file, "utf8");
    return content.trim() === "" ? undefined : ((await loader(file, content)) as unknown);
  } catch (error) {
    throw new ConfigError(`${file}: ${reasonOf(error)}`, { cause: error });
  }
}

async function computed(file: string, call: unknown, env: LoadOptions["env"]): Promise<unknown> {
  try {
    return await (call as (environment: { env: LoadOptions["env"] }) => unknown)({ env });
  } catch (error) {
    throw new ConfigError(`${file}: the exported function threw: ${reasonOf(error)}`, { cause: error });
  }
}

function missing(file: string, written: unknown): string {
  if (written === undefined && /\.[cm]?[jt]s$/.test(file))
    return "no default export; write export default defineConfig({ … })";
  if (written === undefined || written === null) return "the file is empty";
  return "expected an object of settings";
}

/** On one line: a parser's code frame is folded. */
function reasonOf(error: unknown): string {
  const { code, message = String(error) } = error as Partial<NodeJS.ErrnoException>;
  if (code === "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX") {
    return `${firstLine(message)}; only TypeScript that can be erased is run: no enum, namespace or parameter property`;
  }
  return (
    message
      .replace(/^(?:JSON|YAML) Error in [^\n]*:\n/, "")
      .trim()
      .split(/\n\s*\n/)[0]
      ?.replace(/\s*\n\s*/g, " ") ?? message
  );
}

function firstLine(text: string): string {
  return text.trim().split("\n")[0] ?? "";
}
