/** At the start, of a clamd that answers: which is it, and does it take what the gateway takes? It is only said; mail comes in any case. */
import type { PluginLog } from "@postern/core";
import type { Daemon } from "./daemon.ts";
import { selfTest } from "./self-test.ts";

export interface IntroduceOptions {
  readonly log: PluginLog;
  /** The largest message that will be sent to clamd; Infinity when nobody knows. */
  readonly largestBytes: number;
  readonly selfTest: boolean;
  /** Aborted when the gateway closes. */
  readonly signal: AbortSignal;
}

export async function introduce(daemon: Daemon, options: IntroduceOptions): Promise<void> {
  const { log, signal, largestBytes } = options;
  log.info(`clamd at ${daemon.name} is ${daemon.version}`);
  if (!(await measure(daemon, options)) || !options.selfTest) return;
  try {
    const wrong = await selfTest(daemon, Math.min(largestBytes, daemon.streamMaxBytes ?? Infinity), signal);
    if (wrong !== undefined) log.warn(`clamd at ${daemon.name} ${wrong}`);
  } catch (error) {
    if (signal.aborted) return;
    log.warn(`clamd at ${daemon.name} does not end its self test: ${(error as Error).message}`);
  }
}

/** `false`: the gateway has closed meanwhile. */
async function measure(daemon: Daemon, { log, largestBytes, signal }: IntroduceOptions): Promise<boolean> {
  if (!Number.isFinite(largestBytes)) return true;
  try {
    await daemon.measure(largestBytes);
  } catch (error) {
    if (signal.aborted) return false;
    log.warn(`clamd at ${daemon.name} does not tell what it takes: ${(error as Error).message}`);
    return true;
  }
  if (daemon.streamMaxBytes === undefined) return true;
  log.warn(
    `clamd at ${daemon.name} takes ${daemon.streamMaxBytes} bytes (StreamMaxLength) and the gateway ${largestBytes}: larger messages fail as tooLarge; bring limits.messageSize and StreamMaxLength together, and MaxFileSize and MaxScanSize with it`,
  );
  return true;
}
