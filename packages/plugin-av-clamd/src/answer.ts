/** clamd's answer to INSTREAM, read to the letter: what is not exactly known is a failure, never "clean". */
import { ScannerFailure } from "@postern/core";

export const sizeExceeded = "INSTREAM size limit exceeded. ERROR";

/** The signature's name, made printable; `undefined`: clean. Throws `ScannerFailure` for anything but a verdict. */
export function readAnswer(answer: string): string | undefined {
  if (answer === "stream: OK") return undefined;
  // With `ExtendedDetectionInfo` hash and size of what matched follow the name.
  const found = /^stream: (.+?)(?:\([0-9a-f]{32}:\d+\))? FOUND$/s.exec(answer)?.[1];
  if (found !== undefined) return printable(found);
  if (answer === sizeExceeded) {
    throw new ScannerFailure("tooLarge", "clamd: the message is larger than its StreamMaxLength");
  }
  if (answer === "COMMAND READ TIMED OUT") throw new ScannerFailure("timeout", "clamd gave up waiting for the message");
  throw new ScannerFailure("error", `clamd answered ${JSON.stringify(answer.slice(0, 200))}`);
}

/** Signatures come from databases of anybody's making, and their names stand in SMTP replies and header fields. */
export function printable(name: string): string {
  return name.replace(/[^\x21-\x7e]+/g, "?").slice(0, 128);
}
