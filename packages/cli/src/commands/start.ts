/** `postern start`: the gateway until a signal or `postern stop` ends it. */
import { createRuntime, type LogLevel } from "@postern/core";
import { loadRequired, type ConfigOptions } from "../config-source.ts";
import { embeddedConfig, makeEmbeddedFolder } from "../embedded.ts";
import { startedText } from "../greeting.ts";
import { ownFolder } from "../inspection.ts";
import { namingFile } from "../naming-file.ts";
import type { Output } from "../output.ts";
import { onStop } from "../signals.ts";

export interface StartOptions extends ConfigOptions {
  readonly defaults?: boolean;
}

export async function start(options: StartOptions, cwd: string, output: Output): Promise<void> {
  const isEmbedded = options.defaults === true && options.config === undefined;
  const { config, file } = isEmbedded ? embeddedConfig(cwd) : await loadRequired(options, cwd);
  if (isEmbedded) makeEmbeddedFolder(cwd);
  // From here on a signal is answered, even one that comes while the queue is being read.
  const stopping = onStop();
  // Timers of the gateway keep no process alive; what it waits for while it ends must not end it half way.
  const alive = setInterval(() => undefined, 60_000);
  try {
    const runtime = await namingFile(file, () =>
      createRuntime(config, { searchFrom: [ownFolder], log: createLog(options.json === true, output) }),
    );
    output.write(
      options.json === true
        ? `${JSON.stringify({ event: "ready", file, listeners: runtime.listeners })}\n`
        : startedText(config, runtime.listeners, isEmbedded),
    );
    const reason = await Promise.race([stopping.asked, runtime.closed.then(() => "stop")]);
    await runtime.close(reason);
  } finally {
    clearInterval(alive);
    stopping.release();
  }
}

/** The mail log goes to standard error, one line an event, as a supervisor expects it. */
function createLog(json: boolean, output: Output): (level: LogLevel, line: string) => void {
  if (json) return (level, line) => output.warn(`${JSON.stringify({ level, line })}\n`);
  return (level, line) => output.warn(level === "warn" ? `warning: ${line}\n` : `${line}\n`);
}
