/** Haraka with its outbound queue (a file and fsync a message), a process for each core, its own settings otherwise. */
import { copyFileSync, cpSync, mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ask } from "../../test/services/ports.ts";
import { startService } from "../../test/services/service.ts";
import { installHaraka } from "./haraka-install.ts";
import type { System } from "./run.ts";

const plugin = fileURLToPath(new URL("haraka/to-sink.cjs", import.meta.url));

export async function startHaraka(folder: string, port: number, sinkPort: number): Promise<System> {
  const installed = await installHaraka();
  for (const name of ["config", "plugins", "queue"]) mkdirSync(join(folder, name), { recursive: true });
  // As `haraka --install` does: it reads no file of its own once there is a config folder.
  cpSync(join(installed, "config"), join(folder, "config"), { recursive: true });
  copyFileSync(plugin, join(folder, "plugins", "to_sink.js"));
  writeFileSync(join(folder, "package.json"), '{ "type": "commonjs" }\n');
  writeFileSync(join(folder, "config", "plugins"), "to_sink\n");
  writeFileSync(
    join(folder, "config", "smtp.ini"),
    `listen=127.0.0.1:${port}\nnodes=${availableParallelism()}\nforce_shutdown_timeout=2\n`,
  );
  const service = await startService(process.execPath, [join(installed, "bin", "haraka"), "-c", folder], {
    logFile: join(folder, "haraka.log"),
    cwd: folder,
    env: { ...process.env, SINK_PORT: String(sinkPort) },
    ownGroup: true,
    ready: async () => {
      const banner = await ask(port, "");
      if (!banner.startsWith("220 ")) throw new Error(`Haraka answered ${JSON.stringify(banner)}`);
    },
  });
  return { name: "haraka", port, pid: service.pid, stop: () => service.kill() };
}
