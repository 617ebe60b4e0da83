/** What a dialogue gets from its listener. */
import type { NetworkList } from "../address/index.ts";
import type { MaybePromise, Session } from "../model/index.ts";
import type { Dialogue } from "./dialogue.ts";
import type { Judged } from "./disposition.ts";
import type { ListenerSettings } from "./front.ts";
import type { OpenTransaction } from "./open-transaction.ts";

export interface Place {
  readonly settings: ListenerSettings;
  readonly xclient: NetworkList;
  /** There is a key. */
  readonly tlsAvailable: boolean;
  /** Explaining: what a session has from its start without having done it. */
  readonly assumed: Partial<Pick<Session, "auth" | "tls">>;
  /** Another mail server queues the message: it is judged as it came, and this says what it hears. Absent: the queue is ours. */
  readonly ending?: (dialogue: Dialogue, transaction: OpenTransaction, judged: Judged) => MaybePromise<void>;
}
