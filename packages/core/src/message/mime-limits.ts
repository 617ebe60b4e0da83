/** How far a walk through a message's parts goes. What is beyond is told, never left out in silence. */
import { ScannerFailure } from "../errors.ts";

export interface MimeLimits {
  /** Parts within parts; the message itself is at depth 0. 100, as in Postfix. */
  readonly depth?: number;
  /** Parts in all, those that hold others counted. 10,000. */
  readonly parts?: number;
  /** Octets of one part's header section; the message's own has its limit at ingress. 102,400, as in Postfix. */
  readonly partHeaderBytes?: number;
  /** Octets of all parts' header sections. 4 MiB. */
  readonly headerBytes?: number;
  /** Octets of a boundary. 2048, as in Postfix; RFC 2046 allows 70. */
  readonly boundaryBytes?: number;
}

export type MimeLimitName = keyof MimeLimits;

export const defaultMimeLimits: Required<MimeLimits> = Object.freeze({
  depth: 100,
  parts: 10_000,
  partHeaderBytes: 102_400,
  headerBytes: 4 * 1024 * 1024,
  boundaryBytes: 2048,
});

/** The message goes beyond a limit. A scanner that lets it pass upwards has answered `unscannable`. */
export class MimeLimit extends ScannerFailure {
  readonly limit: MimeLimitName;

  constructor(limit: MimeLimitName, most: number) {
    super("unscannable", `the message goes beyond the limit of ${most} for ${limitTexts[limit]}`);
    this.limit = limit;
  }
}

const limitTexts: Readonly<Record<MimeLimitName, string>> = {
  depth: "parts within parts",
  parts: "parts",
  partHeaderBytes: "octets of a part's header",
  headerBytes: "octets of all parts' headers",
  boundaryBytes: "octets of a boundary",
};
