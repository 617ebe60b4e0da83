/** What a dialogue gets from its listener. */
import type { NetworkList } from "../address/index.ts";
import type { Session } from "../model/index.ts";
import type { ListenerSettings } from "./front.ts";

export interface Place {
  readonly settings: ListenerSettings;
  readonly xclient: NetworkList;
  /** There is a key. */
  readonly tlsAvailable: boolean;
  /** Explaining: what a session has from its start without having done it. */
  readonly assumed: Partial<Pick<Session, "auth" | "tls">>;
}
