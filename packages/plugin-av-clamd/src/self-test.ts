/**
 * Does clamd find what it must, in a message as large as the gateway takes? Its MaxFileSize and MaxScanSize are told by no command; what is
 * beyond them it does not look into, and answers OK. EICAR's test file behind so much text shows it.
 */
import type { Blob } from "@postern/core";
import type { Daemon } from "./daemon.ts";

/** In halves, so that no scanner takes this file for it. */
const eicar = [String.raw`X5O!P%@AP[4\PZX54(P^)7CC)7}`, "$EICAR-STANDARD-", "ANTIVIRUS-TEST-FILE!$H+H*"].join("");

const head = Buffer.from(
  [
    "Subject: self test",
    "MIME-Version: 1.0",
    'Content-Type: multipart/mixed; boundary="self-test"',
    "",
    "--self-test",
    "Content-Type: text/plain",
    "",
    "",
  ].join("\r\n"),
);
const tail = Buffer.from(
  [
    "",
    "--self-test",
    'Content-Type: application/octet-stream; name="eicar.com"',
    "Content-Transfer-Encoding: base64",
    "",
    Buffer.from(eicar).toString("base64"),
    "--self-test--",
    "",
  ].join("\r\n"),
);
const text = Buffer.from("All work and no play makes Jack a dull boy.\r\n".repeat(1_000));

/** What is wrong, as a sentence; `undefined`: nothing. Rejects with `ScannerFailure`. */
export async function selfTest(daemon: Daemon, largestBytes: number, signal: AbortSignal): Promise<string | undefined> {
  if ((await daemon.scan(testMessage(0), signal)) === undefined) {
    return "does not find EICAR's test file: has it its signatures?";
  }
  if (!Number.isFinite(largestBytes)) return undefined;
  if ((await daemon.scan(testMessage(largestBytes), signal)) !== undefined) return undefined;
  return `finds EICAR in a small message and not in one of ${largestBytes} bytes: raise MaxFileSize and MaxScanSize, or set AlertExceedsMax, or a smaller maxSize`;
}

/** Of `sizeBytes`, or as small as it can be. */
function testMessage(sizeBytes: number): Blob {
  const fillBytes = Math.max(0, sizeBytes - head.length - tail.length);
  const size = head.length + fillBytes + tail.length;
  return {
    sizeBytes: size,
    chunks: undefined,
    async *read() {
      yield head;
      for (let left = fillBytes; left > 0; left -= text.length) yield text.subarray(0, left);
      yield tail;
    },
    slice: () => testMessage(size),
  };
}
