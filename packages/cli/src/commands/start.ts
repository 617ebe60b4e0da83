/** `postern start`: the gateway until a signal or `postern stop` ends it. */
import { checkFolderOwners, createRuntime } from "@postern/core";
import { takeOverCollection } from "../collector.ts";
import { loadRequired, type ConfigOptions } from "../config-source.ts";
import { embeddedConfig, makeEmbeddedFolder } from "../embedded.ts";
import { startedText } from "../greeting.ts";
import { ownFolder } from "../inspection.ts";
import { createMailLog } from "../mail-log.ts";
import { namingFile } from "../naming-file.ts";
import type { Output } from "../output.ts";
import { onStop } from "../signals.ts";

export interface StartOptions extends ConfigOptions {
  readonly defaults?: boolean;
}

export async function start(options: StartOptions, cwd: string, output: Output): Promise<void> {
  const collector = takeOverCollection();
  const isEmbedded = options.defaults === true && options.config === undefined;
  const { config, file } = isEmbedded ? embeddedConfig(cwd) : await loadRequired(options, cwd);
  if (isEmbedded) makeEmbeddedFolder(cwd);
  checkFolderOwners(config);
  // From here on a signal is answered, even one that comes while the queue is being read.
  const stopping = onStop();
  const log = createMailLog(options.json === true, (text) => output.warn(text));
  // Timers of the gateway keep no process alive; what it waits for while it ends must not end it half way.
  const alive = setInterval(() => undefined, 60_000);
  try {
    const given = { searchFrom: [ownFolder], log: log.add, collector };
    const runtime = await namingFile(file, () => createRuntime(config, given));
    output.write(
      options.json === true
        ? `${JSON.stringify({ event: "ready", file, listeners: runtime.listeners })}\n`
        : startedText(config, runtime.listeners, isEmbedded),
    );
    const reason = await Promise.race([stopping.asked, runtime.closed.then(() => "stop")]);
    await runtime.close(reason);
  } finally {
    clearInterval(alive);
    log.close();
    stopping.release();
  }
}
