/** The engine: a message to clamd, its verdict as an answer. */
import { reject, ScannerFailure, type Answer, type Clock, type ScanAsk } from "@postern/core";
import type { ClamdAddress } from "./address.ts";
import { scanStream } from "./instream.ts";
import type { Options } from "./options.ts";
import { createSlots } from "./slots.ts";

export function createClamd(
  address: ClamdAddress,
  { onInfected, maxSize, connections }: Pick<Options, "onInfected" | "maxSize" | "connections">,
  clock: Clock,
): (ask: Pick<ScanAsk, "message" | "signal">) => Promise<Answer> {
  const slots = createSlots(connections);
  return async ({ message, signal }) => {
    if (maxSize !== undefined && message.sizeBytes > maxSize) {
      throw new ScannerFailure("tooLarge", `${message.sizeBytes} bytes are more than maxSize, ${maxSize}`);
    }
    const name = await slots.run(signal, () => scanStream(address, message.raw, signal, clock));
    if (name === undefined) return undefined;
    return onInfected === "reject" ? reject(`infected: ${name}`) : { kind: "discard", text: `infected: ${name}` };
  };
}
