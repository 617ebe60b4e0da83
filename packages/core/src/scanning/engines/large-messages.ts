/** Messages that are too large for an engine do not become smaller by coming again: who puts them off is told so. */
import { policyFor } from "../../guard/index.ts";
import type { OnError } from "../../guard/owner.ts";

/** What a gateway says of itself to a plugin. */
export interface SizeTold {
  readonly onError: OnError | undefined;
  readonly messageSizeBytes: number;
  readonly dry: boolean;
  readonly log: { warn(text: string): void };
}

/** `maxSizeBytes`: what the engine takes. */
export function warnOfLargeMessages({ onError, messageSizeBytes, log, dry }: SizeTold, maxSizeBytes: number): void {
  if (dry || maxSizeBytes >= messageSizeBytes || policyFor(onError ?? "defer", "tooLarge") !== "defer") return;
  log.warn(
    `messages of more than ${maxSizeBytes} bytes are put off until their sender gives up: say in "onError" what stands for tooLarge, or lower limits.messageSize`,
  );
}
