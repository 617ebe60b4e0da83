/** Ways to lose a milter, in the gateway's own words for failures. The text is for the log only. */
import { ScannerFailure } from "@postern/core";
import { ProtocolFault } from "../protocol/index.ts";

/** It cannot be reached, or closed the connection. */
export function down(text: string, cause?: unknown): ScannerFailure {
  return new ScannerFailure("down", text, { cause });
}

export function late(text: string): ScannerFailure {
  return new ScannerFailure("timeout", text);
}

/** It spoke, and not the protocol. */
export function invalid(text: string): ScannerFailure {
  return new ScannerFailure("invalid", text);
}

/** The protocol has no room for it: who sends it all the same is cut off. */
export function tooLarge(text: string): ScannerFailure {
  return new ScannerFailure("tooLarge", text);
}

export function toTrouble(error: unknown): ScannerFailure {
  if (error instanceof ScannerFailure) return error;
  if (error instanceof ProtocolFault) return invalid(error.message);
  return new ScannerFailure("error", error instanceof Error ? error.message : String(error), { cause: error });
}
