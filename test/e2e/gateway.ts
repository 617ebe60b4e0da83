// The real gateway as a child process: `postern start` on a config of the test's, in a folder of its own.
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { temporaryFolder } from "../services/folder.ts";
import { ask, freePort } from "../services/ports.ts";
import { startService, type Service } from "../services/service.ts";

export const repository = fileURLToPath(new URL("../..", import.meta.url));
/** The program `postern`, from source. */
export const command: string = join(repository, "packages/cli/src/main.ts");

/** A config as written to `postern.config.json`; `listeners` and `queue` have defaults here. */
export type Config = Readonly<Record<string, unknown>>;

export interface GatewayOptions {
  /** Written to `postern.config.json`. */
  readonly config?: Config;
  /** One of `files`, in place of `config`; it must name `port` itself. */
  readonly configFile?: string;
  /** More files below the config's folder, by relative path: plugins, tables. */
  readonly files?: Readonly<Record<string, string>>;
  /** Of the first listener. */
  readonly port?: number;
  /** A folder to start in again; by default a new one, removed at the end. */
  readonly folder?: string;
  /** Goes before `node`: `strace …`, `faketime …`. */
  readonly wrapper?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

export interface GatewayProcess extends AsyncDisposable {
  readonly port: number;
  readonly folder: string;
  readonly pid: number;
  /** Standard output and error so far. */
  log(): string;
  /** SIGTERM and the end. */
  stop(): Promise<void>;
  /** SIGKILL and the end. */
  kill(): Promise<void>;
}

export async function startGateway(options: GatewayOptions): Promise<GatewayProcess> {
  const own = options.folder === undefined ? temporaryFolder() : undefined;
  const folder = options.folder ?? own?.path ?? "";
  const port = options.port ?? (await freePort());
  const config = {
    hostname: "mx.example.test",
    listeners: [{ host: "127.0.0.1", port }],
    queue: { directory: "./queue" },
    ...options.config,
  };
  const configFile = options.configFile ?? "postern.config.json";
  writeFiles(folder, { [configFile]: JSON.stringify(config, undefined, 2), ...options.files });
  // Plugins resolve from the config's folder, as in a project where they are installed.
  const modules = join(folder, "node_modules");
  if (!existsSync(modules)) symlinkSync(join(repository, "node_modules"), modules);
  const [program = process.execPath, ...wrapped] = [...(options.wrapper ?? []), process.execPath];
  const args = [...wrapped, "--conditions=@postern/source", command, "start", "--config", configFile];
  const service: Service = await startService(program, args, {
    logFile: join(folder, "gateway.log"),
    cwd: folder,
    env: { ...process.env, ...options.env },
    ready: () => greeting(port),
  });
  return {
    port,
    folder,
    pid: service.pid,
    log: () => service.log(),
    stop: () => service.stop(),
    kill: () => service.kill(),
    async [Symbol.asyncDispose]() {
      await service.stop();
      own?.[Symbol.dispose]();
    },
  };
}

/** A listener that requires PROXY says nothing by itself: there the open port must do. */
async function greeting(port: number): Promise<void> {
  const text = await ask(port, "");
  if (!/^220[ -]/.test(text)) throw new Error(`greeted with ${text}`);
}

function writeFiles(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, { mode: 0o600 });
  }
}
