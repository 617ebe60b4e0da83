/** The beginning of every connection: what both know of the protocol. */
import type { ScannerFailure } from "@postern/core";
import {
  encodeCommand,
  oldestVersion,
  steps,
  termsOf,
  type Response,
  type Terms,
  type WantedMacros,
} from "../protocol/index.ts";
import type { MilterConnection } from "./connection.ts";
import { invalid } from "./trouble.ts";

export interface Agreement extends Terms {
  /** What the version that both speak has: what is not in it is neither sent nor asked for. */
  readonly known: number;
  readonly macros: WantedMacros;
}

const packetSteps = steps.packets256K | steps.packets1M;

/** What is offered: all of a version, and large packets only where the operator says so. */
export function offer(version: number, largePackets: boolean): Terms {
  const all = termsOf(version);
  return largePackets ? all : { ...all, steps: all.steps & ~packetSteps };
}

/** Rejects with `ScannerFailure`. */
export async function negotiate(connection: MilterConnection, offered: Terms, timeoutMs: number): Promise<Agreement> {
  connection.write([encodeCommand({ kind: "negotiate", ...offered })]);
  const response = await connection.next(timeoutMs);
  const agreed = agree(offered, response);
  if (!("version" in agreed)) {
    connection.destroy(agreed);
    throw agreed;
  }
  return agreed;
}

/** What the milter makes of an offer. It may want less, and an older version; what it wants beyond the offer cannot be given. */
export function agree(offered: Terms, response: Response): Agreement | ScannerFailure {
  if (response.kind !== "negotiate") return invalid(`it answered the negotiation with ${response.kind}`);
  const { version, actions, steps: wanted, macros = {} } = response;
  if (version > offered.version || version < oldestVersion)
    return invalid(`it wants version ${version} of the protocol`);
  const beyond = actions & ~offered.actions;
  if (beyond !== 0) return invalid(`it wants actions that were not offered: 0x${(beyond >>> 0).toString(16)}`);
  // Flags of steps that the offer did not have are noise of some libraries, and mean nothing here.
  return { version, actions, steps: wanted & offered.steps, known: termsOf(version).steps & offered.steps, macros };
}
