/** Postern as a relay: one process, twelve words in `rcpt` on local tables, every hook tapped. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync, symlinkSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { System } from "./run.ts";

export const repository = fileURLToPath(new URL("../..", import.meta.url));

export interface PosternOptions {
  /** Its own; not there yet. */
  readonly folder: string;
  readonly port: number;
  readonly sinkPort: number;
  /** Runs what `npm run build` made, as an installed package does, in place of the source. */
  readonly built?: boolean;
  /** Over the settings of the config. */
  readonly config?: Readonly<Record<string, unknown>>;
}

export async function startPostern(options: PosternOptions): Promise<System> {
  const { port, built = false } = options;
  const config = writeRelay(options);
  // Its mail log goes to a file, as Postfix's does.
  const log = openSync(join(options.folder, "mail.log"), "a");
  const main = built ? ["packages/cli/dist/main.js"] : ["--conditions=@postern/source", "packages/cli/src/main.ts"];
  const child = spawn(
    process.execPath,
    [
      // `BENCH_NODE_FLAGS=--cpu-prof` says where the time goes.
      ...(process.env["BENCH_NODE_FLAGS"]?.split(" ") ?? []),
      ...main.map((argument) => (argument.startsWith("-") ? argument : join(repository, argument))),
      "start",
      "--config",
      config,
    ],
    { stdio: ["ignore", log, log], cwd: options.folder },
  );
  closeSync(log);
  process.once("exit", () => child.kill("SIGKILL"));
  await untilGreeting(port);
  return {
    name: "postern",
    port,
    pid: child.pid ?? 0,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
    },
  };
}

/** Config and tables; answers the config's path. */
export function writeRelay({ folder, port, sinkPort, config: more }: PosternOptions): string {
  mkdirSync(folder, { recursive: true });
  symlinkSync(join(repository, "node_modules"), join(folder, "node_modules"));
  writeFileSync(join(folder, "clients"), "192.0.2.1 REJECT\n198.51.100 REJECT\n");
  writeFileSync(join(folder, "senders"), "spam.test REJECT\nbad@source.test REJECT\n");
  writeFileSync(join(folder, "recipients"), "trap@example.test REJECT\n");
  const config = join(folder, "postern.config.json");
  writeFileSync(config, JSON.stringify({ ...relayConfig(port, sinkPort), ...more }, undefined, 2));
  return config;
}

function relayConfig(port: number, sinkPort: number) {
  return {
    hostname: "mx.example.test",
    networks: ["192.0.2.0/24"],
    domains: { relay: ["example.test"] },
    listeners: [{ host: "127.0.0.1", port }],
    queue: { directory: "./queue" },
    limits: { sessionsPerClient: 1000 },
    plugins: [
      "@postern/plugin-access",
      "@postern/plugin-transport-smtp",
      join(repository, "bench/relay/tap-everything.ts"),
    ],
    policy: {
      rcpt: [
        "permit_mynetworks",
        "permit_sasl_authenticated",
        "reject_unauth_destination",
        "reject_non_fqdn_sender",
        "reject_non_fqdn_recipient",
        "reject_unlisted_recipient",
        "check_client_access texthash:./clients",
        "check_helo_access inline:{ spam.test=REJECT }",
        "check_sender_access texthash:./senders",
        "check_recipient_access texthash:./recipients",
        "check_client_access inline:{ 203.0.113.9=REJECT }",
        "check_sender_access inline:{ worse.test=REJECT }",
      ],
    },
    relayhost: `[127.0.0.1]:${sinkPort}`,
  };
}

export async function untilGreeting(port: number): Promise<void> {
  for (let attempt = 0; attempt < 2000; attempt += 1) {
    if (await greets(port)) return;
    await delay(5);
  }
  throw new Error(`nothing greets on port ${port}`);
}

function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("data", (data) => {
      socket.end("QUIT\r\n");
      resolve(data.toString("latin1").startsWith("220"));
    });
    socket.once("error", () => resolve(false));
    socket.once("close", () => resolve(false));
  });
}
