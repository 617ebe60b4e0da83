/** Who is not limited. */
import { after, hostOf, type Gateway, type MaybePromise, type Session } from "@postern/core";
import type { Options } from "./options.ts";

export interface Exemptions {
  client(session: Session): MaybePromise<boolean>;
  sender(address: string): MaybePromise<boolean>;
  user(identity: string): boolean;
  recipient(address: string): MaybePromise<boolean>;
}

export function createExemptions({ lists }: Pick<Gateway, "lists">, { allow }: Options): Exemptions {
  const clients = lists.clients(allow.clients, "allow.clients");
  const senders = lists.addresses(allow.senders, "allow.senders");
  const recipients = lists.addresses(allow.recipients, "allow.recipients");
  const users = new Set(allow.users);
  return {
    client({ client }) {
      if (allow.networks && client.inNetworks) return true;
      const host = hostOf(client);
      return host !== undefined && clients.matches(host);
    },
    sender: (address) => senders.matches(address),
    user: (identity) => users.has(identity),
    recipient: (address) => recipients.matches(address),
  };
}

/** The answer of `limited` unless the question is exempt. */
export function unless<T>(exempt: MaybePromise<boolean>, limited: () => MaybePromise<T>): MaybePromise<T | undefined> {
  return after(exempt, (is): MaybePromise<T | undefined> => (is ? undefined : limited()));
}
