/** What became of a message and its envelope, for the mail server that has them as they were. */
import type { Message } from "../message/index.ts";
import { after, type MaybePromise, type Recipient, type Transaction } from "../model/index.ts";
import { noChanges, type Changes } from "./disposal.ts";
import { headerChanges } from "./header-changes.ts";
import { sameOctets } from "./same-octets.ts";

export interface Told {
  readonly sender: string;
  /** Each as it was named, those who were named twice too. */
  readonly recipients: readonly Recipient[];
  readonly message: Message;
}

export interface Finished {
  readonly envelope: Transaction;
  readonly message: Message;
}

export function changesOf(told: Told, finished: Finished): MaybePromise<Changes> {
  const { recipients, sender } = finished.envelope;
  const remaining = new Set(recipients.map(({ address }) => address));
  const before = new Set(told.recipients.map(({ address }) => address));
  const aboutEnvelope = {
    ...(sender === told.sender ? {} : { sender }),
    removed: told.recipients.filter(({ address }) => !remaining.has(address)),
    added: recipients.filter(({ address }) => !before.has(address)),
  };
  if (finished.message === told.message) return { ...noChanges, ...aboutEnvelope };
  const headers = headerChanges([...told.message.headers], [...finished.message.headers]);
  return after(sameOctets(told.message.body, finished.message.body), (isSame) => ({
    ...aboutEnvelope,
    headers,
    body: isSame ? undefined : finished.message.body,
  }));
}
