/** What a scanner is asked, where a test calls it by itself; whatever a case does not name is plausible. */
import { createMemoryBlob, type ScanAsk, type Spool } from "@postern/core";
import { sampleMessage, sampleRecipient, sampleSession, sampleTransaction } from "./samples.ts";

export interface ScanAskSample extends Partial<ScanAsk> {
  /** What a spool holds. */
  readonly spoolBytes?: number;
}

/** Spools are in memory. */
export function sampleScanAsk({ spoolBytes = Infinity, ...rest }: ScanAskSample = {}): ScanAsk {
  return {
    session: sampleSession(),
    transaction: sampleTransaction({ recipients: [sampleRecipient()] }),
    message: sampleMessage(),
    signal: new AbortController().signal,
    openSpool: () => memorySpool(spoolBytes),
    ...rest,
  };
}

function memorySpool(maxBytes: number): Spool {
  const pieces: Buffer[] = [];
  let sizeBytes = 0;
  return {
    get sizeBytes() {
      return sizeBytes;
    },
    get overflowed() {
      return sizeBytes > maxBytes;
    },
    write: (piece) => {
      sizeBytes += piece.length;
      if (sizeBytes <= maxBytes) pieces.push(piece);
      return sizeBytes <= maxBytes;
    },
    end: () => (sizeBytes > maxBytes ? undefined : createMemoryBlob(pieces)),
    dispose: () => undefined,
  };
}
