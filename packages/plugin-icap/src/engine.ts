/** The scanner: a message, or each of its parts, to the first service that answers. */
import { defer, reject, ScannerFailure, type Clock, type ScanAnswer, type ScanAsk } from "@postern/core";
import type { IcapAddress } from "./address.ts";
import type { Options } from "./options.ts";
import { leavesOf, wholeOf, type Item } from "./item.ts";
import { composeRequest } from "./request.ts";
import { IcapServer } from "./server.ts";

/** A service that failed is asked last for so long. */
const restMs = 10_000;

export interface Engine {
  scan(ask: Pick<ScanAsk, "message" | "session" | "transaction" | "signal">): Promise<ScanAnswer>;
  readonly servers: readonly IcapServer[];
  close(): void;
}

export interface EngineScope {
  readonly hostname: string;
  readonly clock: Clock;
}

type Settings = Pick<
  Options,
  "method" | "parts" | "onInfected" | "tagHeader" | "maxSize" | "connections" | "headers" | "timeouts"
>;

export function createEngine(
  addresses: readonly IcapAddress[],
  { method, parts, onInfected, tagHeader, maxSize, connections, headers, timeouts }: Settings,
  { hostname, clock }: EngineScope,
): Engine {
  const servers = addresses.map(
    (address) => new IcapServer(address, { method, connections, patience: timeouts, clock }),
  );

  async function scanItem(item: Item, { session, signal }: Pick<ScanAsk, "session" | "signal">) {
    const compose = (address: IcapAddress, preview: number | undefined): string =>
      composeRequest(address, { method, hostname, headers }, item, session, preview);
    const now = clock.monotonic();
    const order = servers.toSorted((one, other) => Number(one.restsUntil > now) - Number(other.restsUntil > now));
    for (let index = 0; ; index += 1) {
      const server = order[index] as IcapServer;
      try {
        return await server.scan(item, compose, signal);
      } catch (error) {
        if (signal.aborted || !(error instanceof ScannerFailure) || !isServers(error)) throw error;
        server.restsUntil = clock.monotonic() + restMs;
        if (index + 1 >= order.length) throw error;
      }
    }
  }

  return {
    servers,
    async scan(ask) {
      const { message, transaction } = ask;
      if (message.sizeBytes > maxSize) {
        throw new ScannerFailure("tooLarge", `${message.sizeBytes} bytes are more than maxSize, ${maxSize}`);
      }
      for await (const item of parts ? leavesOf(message, transaction.id) : [wholeOf(message, transaction.id)]) {
        const name = await scanItem(item, ask);
        if (name !== undefined) return answer(onInfected, name, tagHeader);
      }
      return undefined;
    },
    close() {
      for (const server of servers) server.close();
    },
  };
}

/** Another service may know better. What was found unreadable is so everywhere. */
function isServers({ reason }: ScannerFailure): boolean {
  return reason === "down" || reason === "timeout" || reason === "error";
}

function answer(onInfected: Options["onInfected"], name: string, tagHeader: string): ScanAnswer {
  const text = `infected: ${name}`;
  switch (onInfected) {
    case "reject":
      return reject(text);
    case "defer":
      return defer(text);
    case "tag":
      return { kind: "prepend", name: tagHeader, value: name };
    default:
      return { kind: onInfected, text };
  }
}
