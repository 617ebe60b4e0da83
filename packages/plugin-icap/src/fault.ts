/** What an ICAP service says that cannot be believed: never "clean", and no other answer of that connection counts. */
import { ScannerFailure } from "@postern/core";

export function fault(text: string): ScannerFailure {
  return new ScannerFailure("error", `ICAP: ${text}`);
}

export function lost(text: string, cause?: unknown): ScannerFailure {
  return new ScannerFailure("down", `ICAP: ${text}`, cause === undefined ? {} : { cause });
}
