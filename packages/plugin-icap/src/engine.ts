/** The scanner: a message, or each of its parts, to the first service that answers. */
import {
  EngineServers,
  infected,
  ScannerFailure,
  type Clock,
  type FailureReason,
  type ScanAnswer,
  type ScanAsk,
} from "@postern/core";
import type { IcapAddress } from "./address.ts";
import type { Options } from "./options.ts";
import { leavesOf, wholeOf, type Item } from "./item.ts";
import { composeRequest, type RequestSettings } from "./request.ts";
import { IcapServer } from "./server.ts";

export interface Engine {
  scan(ask: Pick<ScanAsk, "message" | "session" | "transaction" | "signal">): Promise<ScanAnswer>;
  readonly servers: readonly IcapServer[];
  close(): void;
}

export interface EngineScope {
  readonly hostname: string;
  readonly clock: Clock;
  /** Told of a service in whose place the next one is asked. */
  readonly failed: (point: string, error: unknown) => void;
}

interface Settings extends Pick<
  Options,
  "method" | "parts" | "onInfected" | "tagHeader" | "maxSize" | "connections" | "timeouts"
> {
  readonly headers: RequestSettings["headers"];
}

export function createEngine(
  addresses: readonly IcapAddress[],
  { method, parts, onInfected, tagHeader, maxSize, connections, headers, timeouts }: Settings,
  { hostname, clock, failed }: EngineScope,
): Engine {
  const servers = addresses.map(
    (address) => new IcapServer(address, { method, connections, patience: timeouts, clock }),
  );
  // Another service may know better. What was found unreadable is so everywhere.
  const inTurn = new EngineServers(servers, {
    clock,
    tryNext: ["down", "timeout", "error"],
    passedOver: ({ address }, failure) => failed(address.authority, failure),
  });

  async function scanItem(item: Item, { session, signal }: Pick<ScanAsk, "session" | "signal">) {
    const compose = (address: IcapAddress, preview: number | undefined): string =>
      composeRequest(address, { method, hostname, headers }, item, session, preview);
    return inTurn.ask(signal, (server) => server.scan(item, compose, signal));
  }

  return {
    servers,
    async scan(ask) {
      const { message, transaction } = ask;
      if (message.sizeBytes > maxSize) {
        throw new ScannerFailure("tooLarge", `${message.sizeBytes} bytes are more than maxSize, ${maxSize}`);
      }
      let unread: ScannerFailure | undefined;
      for await (const item of parts ? leavesOf(message, transaction.id) : [wholeOf(message, transaction.id)]) {
        try {
          const name = await scanItem(item, ask);
          if (name !== undefined) return infected(name, onInfected, tagHeader);
        } catch (error) {
          if (!isItems(error)) throw error;
          if (unread === undefined || rank(error) < rank(unread)) unread = error;
        }
      }
      if (unread !== undefined) throw unread;
      return undefined;
    },
    close() {
      for (const server of servers) server.close();
    },
  };
}

/** What one part is to blame for, however it came about: whatever `onError` makes of it, it hides nothing in those behind it. */
const failuresOfItems: readonly FailureReason[] = ["error", "invalid", "tooLarge", "unscannable", "encrypted"];

function isItems(error: unknown): error is ScannerFailure {
  return error instanceof ScannerFailure && failuresOfItems.includes(error.reason);
}

/** Of several the one about which the least is known is told. */
const rank = ({ reason }: ScannerFailure): number => failuresOfItems.indexOf(reason);
