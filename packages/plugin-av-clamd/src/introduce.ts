/** At the start: does each clamd live, which is it, and does it take what the gateway takes? It is only said; mail comes in any case. */
import type { PluginLog } from "@postern/core";
import type { Daemon } from "./daemon.ts";

/** `largestBytes`: the largest message that will be sent to clamd; Infinity when nobody knows. */
export async function introduce(
  daemons: readonly Daemon[],
  { log }: { readonly log: PluginLog },
  largestBytes: number,
): Promise<void> {
  await Promise.all(daemons.map((daemon) => introduceOne(daemon, log, largestBytes)));
}

async function introduceOne(daemon: Daemon, log: PluginLog, largestBytes: number): Promise<void> {
  if (!(await daemon.ask())) {
    log.warn(`clamd at ${daemon.name} does not answer PING; until it does mail fares as onError says`);
    return;
  }
  log.info(`clamd at ${daemon.name} is ${daemon.version}`);
  if (!Number.isFinite(largestBytes)) return;
  try {
    await daemon.measure(largestBytes);
  } catch (error) {
    log.warn(`clamd at ${daemon.name} does not tell what it takes: ${(error as Error).message}`);
    return;
  }
  if (daemon.streamMaxBytes === undefined) return;
  log.warn(
    `clamd at ${daemon.name} takes ${daemon.streamMaxBytes} bytes (StreamMaxLength) and the gateway ${largestBytes}: larger messages fail as tooLarge; bring limits.messageSize and StreamMaxLength together, and MaxFileSize and MaxScanSize with it`,
  );
}
